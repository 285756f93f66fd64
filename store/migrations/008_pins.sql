-- The keys of issuers that a guard relies on.
CREATE TABLE pins (
	issuer TEXT PRIMARY KEY,
	keys   BLOB NOT NULL
);
