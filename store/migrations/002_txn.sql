ALTER TABLE entries ADD COLUMN txn TEXT NOT NULL DEFAULT '';
UPDATE entries SET txn = coalesce(json_extract(CAST(body AS TEXT), '$.txn'), '');
CREATE INDEX entries_txn ON entries (txn);
