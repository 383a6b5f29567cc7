-- One row for every act. Rows are only ever added: the triggers refuse the rest, and the chain of hashes shows what
-- somebody did who went round the triggers.
CREATE TABLE audit_row (
	seq        INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	actor_kind TEXT NOT NULL,
	actor_id   TEXT NOT NULL,
	door       TEXT NOT NULL,
	roles      TEXT NOT NULL,
	verb       TEXT NOT NULL CHECK (verb <> ''),
	subject    TEXT NOT NULL,
	reason     TEXT NOT NULL,
	before     TEXT NOT NULL,
	after      TEXT NOT NULL,
	policy     TEXT NOT NULL,
	prev       BLOB NOT NULL CHECK (length(prev) = 32),
	hash       BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX audit_row_subject ON audit_row (subject, seq);
CREATE INDEX audit_row_actor ON audit_row (actor_id, seq);

CREATE TRIGGER audit_row_kept BEFORE DELETE ON audit_row
BEGIN SELECT RAISE(ABORT, 'audit rows are never deleted'); END;

CREATE TRIGGER audit_row_fixed BEFORE UPDATE ON audit_row
BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;

-- INSERT OR REPLACE deletes without asking the DELETE trigger.
CREATE TRIGGER audit_row_once BEFORE INSERT ON audit_row
WHEN EXISTS (SELECT 1 FROM audit_row WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'audit rows are never replaced'); END;
