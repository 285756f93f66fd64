ALTER TABLE holds ADD COLUMN approved_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE holds ADD COLUMN bulk BLOB NOT NULL DEFAULT '';
CREATE INDEX holds_pending ON holds (expires) WHERE state = 'pending';
CREATE INDEX holds_approved ON holds (approved_until) WHERE state = 'approved';
CREATE INDEX holds_sending ON holds (lease) WHERE state = 'sending';
CREATE INDEX holds_ended ON holds (changed) WHERE state IN ('done', 'refused', 'unknown', 'denied', 'expired', 'cancelled');
