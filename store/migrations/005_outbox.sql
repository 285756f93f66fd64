CREATE TABLE outbox (
  id      TEXT PRIMARY KEY,
  channel TEXT NOT NULL,
  hold    TEXT NOT NULL,
  state   TEXT NOT NULL,
  created BIGINT NOT NULL,
  due     BIGINT NOT NULL,
  tries   BIGINT NOT NULL,
  owner   TEXT NOT NULL,
  lease   BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (state, channel, due);
CREATE INDEX outbox_age ON outbox (channel, created, id);
CREATE INDEX outbox_hold ON outbox (hold);

CREATE TABLE channels (
  name     TEXT PRIMARY KEY,
  sent     BIGINT NOT NULL,
  tried    BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  dropped  BIGINT NOT NULL,
  problem  TEXT NOT NULL
);

CREATE TABLE subscriptions (
  id        TEXT PRIMARY KEY,
  person    TEXT NOT NULL,
  principal BLOB NOT NULL,
  endpoint  TEXT NOT NULL UNIQUE,
  p256dh    TEXT NOT NULL,
  auth      TEXT NOT NULL,
  created   BIGINT NOT NULL
);
CREATE INDEX subscriptions_person ON subscriptions (person, created);
