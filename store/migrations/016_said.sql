-- Counts the changes of what people have said: of their rules, of the clock that
-- ends them, and of the entries that give or take rights. Whoever writes counts,
-- also another program: a process asks for one number before each call, and reads
-- the rules only if it is another one. A migration that makes one of these tables
-- anew has to make its triggers again, with the same texts (see store/moment.go).
CREATE TABLE said (
  id      INTEGER PRIMARY KEY CHECK (id = 1),
  version BIGINT NOT NULL
);
INSERT INTO said (id, version) VALUES (1, 0);
CREATE TRIGGER said_rules_insert AFTER INSERT ON rules BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_rules_update AFTER UPDATE ON rules BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_rules_delete AFTER DELETE ON rules BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_clock_insert AFTER INSERT ON clock BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_clock_update AFTER UPDATE ON clock BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_clock_delete AFTER DELETE ON clock BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_entries_insert AFTER INSERT ON entries WHEN NEW.seal <> x'' OR NEW.kind IN ('passkey', 'stop', 'start', 'end', 'accept', 'grant', 'block', 'revoke') BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_entries_update AFTER UPDATE ON entries BEGIN UPDATE said SET version = version + 1; END;
CREATE TRIGGER said_entries_delete AFTER DELETE ON entries BEGIN UPDATE said SET version = version + 1; END;
