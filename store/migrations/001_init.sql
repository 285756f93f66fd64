CREATE TABLE holds (
  id         TEXT PRIMARY KEY,
  version    BIGINT NOT NULL,
  state      TEXT NOT NULL,
  subject    TEXT NOT NULL,
  api        TEXT NOT NULL,
  dedupe     TEXT NOT NULL,
  created    BIGINT NOT NULL,
  expires    BIGINT NOT NULL,
  lease      BIGINT NOT NULL,
  changed    BIGINT NOT NULL,
  fixed      BLOB NOT NULL,
  changing   BLOB NOT NULL
);
CREATE UNIQUE INDEX holds_open ON holds (dedupe) WHERE state IN ('pending', 'approved', 'sending');
CREATE INDEX holds_state ON holds (state, created);
CREATE INDEX holds_subject ON holds (subject, state, created);

CREATE TABLE entries (
  seq       BIGINT PRIMARY KEY,
  at        BIGINT NOT NULL,
  kind      TEXT NOT NULL,
  principal TEXT NOT NULL,
  api       TEXT NOT NULL,
  tool      TEXT NOT NULL,
  body      BLOB NOT NULL,
  hash      TEXT NOT NULL
);
CREATE INDEX entries_usage ON entries (principal, api, tool, kind, at);

CREATE TABLE spent (
  iss   TEXT NOT NULL,
  jti   TEXT NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (iss, jti)
);
CREATE INDEX spent_until ON spent (until);
