-- Seals of entries that give or take a right: a MAC over the entry's hash, made with
-- a key that is not in the database. Others have none.
ALTER TABLE entries ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
