CREATE TABLE rules (
  id      TEXT PRIMARY KEY,
  version BIGINT NOT NULL,
  kind    TEXT NOT NULL,
  subject TEXT NOT NULL,
  agent   TEXT NOT NULL,
  created BIGINT NOT NULL,
  ends    BIGINT NOT NULL,
  revoked BIGINT NOT NULL,
  fixed   BLOB NOT NULL,
  state   BLOB NOT NULL,
  mark    BLOB NOT NULL
);
CREATE INDEX rules_caller ON rules (subject, agent, revoked, ends);
CREATE INDEX rules_over ON rules (ends);

CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  at BIGINT NOT NULL
);
