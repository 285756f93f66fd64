-- The second format of entries: see entries.go. What was written before stays as it is,
-- in a table of its own that nobody writes to any more: nothing is copied.
DROP TRIGGER said_entries_insert;
DROP TRIGGER said_entries_update;
DROP TRIGGER said_entries_delete;
ALTER TABLE entries RENAME TO entries_1;
CREATE TABLE entries (
  seq   INTEGER PRIMARY KEY,
  tally INTEGER,       -- as what it counts for budgets, and since when; NULL if it does not
  at    INTEGER,
  ref   INTEGER,       -- of its txn; NULL if it has none
  body  BLOB NOT NULL,
  hash  BLOB NOT NULL,
  seal  BLOB
);
CREATE INDEX entries_ref ON entries (ref) WHERE ref IS NOT NULL;

-- Kinds of calls that budgets tell apart, and how many there were of each up to a time:
-- how many there were since another time is a difference of two rows.
CREATE TABLE tallies (
  id        INTEGER PRIMARY KEY,
  principal TEXT NOT NULL,
  api       TEXT NOT NULL,
  tool      TEXT NOT NULL,
  effect    TEXT NOT NULL,
  agent     TEXT NOT NULL,
  UNIQUE (principal, api, tool, effect, agent)
);
CREATE TABLE tally_counts (
  tally INTEGER NOT NULL,
  at    INTEGER NOT NULL,
  n     INTEGER NOT NULL,
  PRIMARY KEY (tally, at)
) WITHOUT ROWID;
INSERT INTO tallies (principal, api, tool, effect, agent)
  SELECT DISTINCT principal, api, tool, effect, agent FROM entries_1 WHERE kind IN ('call', 'send');
INSERT INTO tally_counts (tally, at, n)
  SELECT id, at, sum(count(*)) OVER (PARTITION BY id ORDER BY at)
  FROM entries_1 JOIN tallies USING (principal, api, tool, effect, agent)
  WHERE kind IN ('call', 'send') GROUP BY id, at;

-- As before (see 016_said.sql), of both tables. What counts for a budget gives no right.
CREATE TRIGGER said_first_insert AFTER INSERT ON entries_1 BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_first_update AFTER UPDATE ON entries_1 BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_first_delete AFTER DELETE ON entries_1 BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_entries_insert AFTER INSERT ON entries WHEN NEW.seal IS NOT NULL OR NEW.tally IS NULL AND json_extract(CAST(NEW.body AS TEXT), '$.kind') IN ('passkey', 'stop', 'start', 'end', 'accept', 'grant', 'block', 'revoke') BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_entries_update AFTER UPDATE ON entries BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_entries_delete AFTER DELETE ON entries BEGIN UPDATE said SET version = version + 1; END;
