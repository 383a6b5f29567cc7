-- The catalogue of recordings. The media lies sealed in a folder that the gateway wrote; its data keys lie in the keyring.
CREATE TABLE recording (
  id        TEXT    PRIMARY KEY,
  call      TEXT    NOT NULL REFERENCES call(id),
  visit     TEXT    NOT NULL REFERENCES visits(id),
  folder    TEXT    NOT NULL,
  state     TEXT    NOT NULL CHECK (state IN ('recording', 'finalizing', 'available', 'partial', 'failed', 'expiring', 'deleted')),
  armed     INTEGER NOT NULL,
  ended     INTEGER,
  length_ms INTEGER NOT NULL DEFAULT 0,
  manifest  TEXT    NOT NULL DEFAULT '',      -- SHA-256 of manifest.json, anchored in the audit chain
  head      TEXT    NOT NULL DEFAULT '',      -- last link of the chunk chain
  bytes     INTEGER NOT NULL DEFAULT 0,
  chunks    INTEGER NOT NULL DEFAULT 0,
  segments  INTEGER NOT NULL DEFAULT 0,
  verdict   TEXT    NOT NULL DEFAULT '' CHECK (verdict IN ('', 'whole', 'gaps', 'altered', 'open')),
  checked   INTEGER,
  gaps      INTEGER NOT NULL DEFAULT 0,
  recovered INTEGER NOT NULL DEFAULT 0 CHECK (recovered IN (0, 1)),
  sealed    INTEGER,
  expires   INTEGER,
  erased    INTEGER,
  tries     INTEGER NOT NULL DEFAULT 0,       -- of finalizing; a folder that cannot be read is tried again, more slowly
  next_try  INTEGER NOT NULL DEFAULT 0,
  CHECK (state <> 'deleted' OR erased IS NOT NULL)
) STRICT;

CREATE INDEX recording_call ON recording (call);
CREATE INDEX recording_armed ON recording (armed);
CREATE INDEX recording_waiting ON recording (next_try) WHERE state = 'finalizing';
CREATE INDEX recording_expires ON recording (expires) WHERE state IN ('available', 'partial', 'expiring');

-- A privileged call is never recorded: not by us, not by a mistake of anybody.
CREATE TRIGGER recording_never_privileged BEFORE INSERT ON recording
WHEN (SELECT class FROM call WHERE id = NEW.call) = 'privileged'
BEGIN SELECT RAISE(ABORT, 'a privileged call has no recording'); END;

CREATE TABLE recording_seat (
  recording TEXT NOT NULL REFERENCES recording(id),
  seat      TEXT NOT NULL,
  PRIMARY KEY (recording, seat)
) STRICT, WITHOUT ROWID;

-- Marks of the time line: ids and codes. Staff's own words stay inside the sealed recording.
CREATE TABLE recording_mark (
  recording TEXT    NOT NULL REFERENCES recording(id),
  n         INTEGER NOT NULL,
  at_ms     INTEGER NOT NULL,
  kind      TEXT    NOT NULL,
  seat      TEXT    NOT NULL,
  reason    TEXT    NOT NULL,
  by        TEXT    NOT NULL,
  PRIMARY KEY (recording, n)
) STRICT, WITHOUT ROWID;

-- Custody: who had the recording in hands, when and why. Rows are only ever added.
CREATE TABLE custody (
  n         INTEGER PRIMARY KEY AUTOINCREMENT,
  recording TEXT    NOT NULL REFERENCES recording(id),
  at        INTEGER NOT NULL,
  who_kind  TEXT    NOT NULL,
  who       TEXT    NOT NULL,
  what      TEXT    NOT NULL CHECK (what IN ('armed', 'gap', 'failed', 'sealed', 'verified', 'altered', 'opened', 'played', 'held',
                                             'hold_lifted', 'expiring', 'erased')),
  purpose   TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX custody_recording ON custody (recording, n);

CREATE TRIGGER custody_fixed BEFORE UPDATE ON custody BEGIN SELECT RAISE(ABORT, 'custody is only ever added to'); END;
CREATE TRIGGER custody_kept BEFORE DELETE ON custody BEGIN SELECT RAISE(ABORT, 'custody is only ever added to'); END;

-- One opening of a recording by one member of staff for one purpose.
CREATE TABLE recording_view (
  id        TEXT    PRIMARY KEY,
  recording TEXT    NOT NULL REFERENCES recording(id),
  staff     TEXT    NOT NULL,
  purpose   TEXT    NOT NULL CHECK (length(purpose) >= 3),
  opened    INTEGER NOT NULL,
  expires   INTEGER NOT NULL,
  played    INTEGER                           -- first byte of media
) STRICT;

CREATE TABLE legal_hold (
  id        TEXT    PRIMARY KEY,
  recording TEXT    NOT NULL REFERENCES recording(id),
  reason    TEXT    NOT NULL CHECK (reason <> ''),
  review    TEXT    NOT NULL,                 -- date of the facility
  staff     TEXT    NOT NULL,
  at        INTEGER NOT NULL,
  asked_by  TEXT,                             -- first of two who lift
  lifted_by TEXT,
  lifted    INTEGER,
  CHECK (lifted_by IS NULL OR lifted_by <> asked_by)
) STRICT;

CREATE INDEX legal_hold_standing ON legal_hold (recording) WHERE lifted IS NULL;
