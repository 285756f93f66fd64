CREATE TABLE passkeys (
  id         TEXT PRIMARY KEY,
  version    BIGINT NOT NULL,
  person     TEXT NOT NULL,
  name       TEXT NOT NULL,
  credential BLOB NOT NULL,
  created    BIGINT NOT NULL,
  used       BIGINT NOT NULL,
  revoked    BIGINT NOT NULL,
  mark       BLOB NOT NULL
);
CREATE INDEX passkeys_person ON passkeys (person, created);
