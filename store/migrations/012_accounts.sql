-- Accounts that people connected: what exeat may renew in their name at the
-- authorization servers of APIs. What is secret of them is sealed, with a key that is
-- not in the database.
CREATE TABLE accounts (
  id      TEXT PRIMARY KEY,  -- another one each time that somebody connects
  version BIGINT NOT NULL,
  person  TEXT NOT NULL,
  api     TEXT NOT NULL,
  sealed  BLOB NOT NULL,
  owner   TEXT NOT NULL,     -- who renews it now
  busy    BIGINT NOT NULL,   -- until when nobody else does
  UNIQUE (person, api)
);
