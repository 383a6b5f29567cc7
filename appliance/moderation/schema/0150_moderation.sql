-- Moderation: cases, leases on them, verdicts.
CREATE TABLE mod_case (
  id          TEXT PRIMARY KEY,
  kind        TEXT NOT NULL,
  item        TEXT NOT NULL,                 -- typed id of what is looked at
  hash        TEXT NOT NULL,                 -- of exactly what is shown
  submitter   TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('open','claimed','second','escalated','waiting_submitter','decided','closed')),
  two         INTEGER NOT NULL DEFAULT 0 CHECK (two IN (0, 1)),
  opened_at   INTEGER NOT NULL,
  due_at      INTEGER NOT NULL,
  claimed_by  TEXT,
  claimed_until INTEGER,
  first_by    TEXT,                          -- of two people: who decided first, and what
  first_verdict TEXT,
  verdict     TEXT CHECK (verdict IN ('approve','reject','ask')),
  reason      TEXT NOT NULL DEFAULT '',
  note        TEXT NOT NULL DEFAULT '',      -- internal
  decided_by  TEXT,
  decided_at  INTEGER,
  CHECK ((state = 'claimed') = (claimed_by IS NOT NULL)),
  CHECK ((state = 'decided') = (verdict IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX mod_case_item ON mod_case (kind, item) WHERE state IN ('open','claimed','second','escalated','waiting_submitter');
CREATE UNIQUE INDEX mod_case_claim ON mod_case (claimed_by, kind) WHERE state = 'claimed';
CREATE INDEX mod_case_queue ON mod_case (state, due_at);
CREATE TABLE mod_case_event (
  seq     INTEGER PRIMARY KEY,
  case_id TEXT NOT NULL REFERENCES mod_case (id),
  at      INTEGER NOT NULL,
  what    TEXT NOT NULL,
  who     TEXT NOT NULL,
  reason  TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX mod_case_event_case ON mod_case_event (case_id, seq);
