-- What budgets over several tools count by. Entries from before say no effect.
ALTER TABLE entries ADD COLUMN effect TEXT NOT NULL DEFAULT '';
ALTER TABLE entries ADD COLUMN agent TEXT NOT NULL DEFAULT '';
UPDATE entries SET agent = coalesce(json_extract(CAST(body AS TEXT), '$.agent'), '');
CREATE INDEX entries_usage_all ON entries (principal, kind, at, api, tool, effect, agent, txn);
