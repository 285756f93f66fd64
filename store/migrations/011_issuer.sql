-- What the issuer in this process knows: clients that registered themselves, and
-- what people let clients do.
CREATE TABLE issuer_clients (
  id      TEXT PRIMARY KEY,
  body    BLOB NOT NULL,
  created BIGINT NOT NULL,
  ends    BIGINT NOT NULL
);
CREATE TABLE issuer_access (
  id      TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  family  BLOB NOT NULL UNIQUE, -- MAC of what all of its secrets begin with
  current BLOB NOT NULL,        -- MAC of the one that is good now, and of what was allowed
  due     BIGINT NOT NULL,      -- until when that one is
  code    BIGINT NOT NULL,      -- 1: it is a code
  person  TEXT NOT NULL,
  client  TEXT NOT NULL,
  body    BLOB NOT NULL,
  created BIGINT NOT NULL,
  used    BIGINT NOT NULL,
  ends    BIGINT NOT NULL
);
CREATE INDEX issuer_access_person ON issuer_access (person, created);
CREATE INDEX issuer_access_client ON issuer_access (client);
