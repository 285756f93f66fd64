-- The path of a held call as it is compared: other calls on the same thing are found
-- without reading all that wait. Holds from before have none and are always looked at.
ALTER TABLE holds ADD COLUMN thing TEXT NOT NULL DEFAULT '';
CREATE INDEX holds_thing ON holds (api, thing) WHERE state IN ('pending', 'approved', 'sending');
CREATE INDEX holds_recent ON holds (subject, api, created);
