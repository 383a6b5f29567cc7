-- A call is the media of one visit. It exists from the opening of the waiting room.
CREATE TABLE call (
  id            TEXT    PRIMARY KEY,
  visit         TEXT    NOT NULL UNIQUE REFERENCES visits(id),
  class         TEXT    NOT NULL CHECK (class IN ('social', 'onsite', 'official', 'privileged')),
  state         TEXT    NOT NULL CHECK (state IN ('lobby_open', 'waiting', 'live', 'paused', 'security_check', 'ending',
                                                  'ended', 'terminated', 'failed', 'not_held')),
  state_at      INTEGER NOT NULL,
  spec          TEXT    NOT NULL,             -- linkspec.Spec, what the gateway was told
  version       INTEGER NOT NULL CHECK (version > 0),
  opens         INTEGER NOT NULL,
  starts        INTEGER NOT NULL,
  ends          INTEGER NOT NULL CHECK (ends > starts),
  wanted_boot   TEXT    NOT NULL DEFAULT '',  -- instant of the last order of ours: facts from before it cannot undo it
  wanted_mono   INTEGER NOT NULL DEFAULT 0,
  wanted_at     INTEGER NOT NULL DEFAULT 0,
  live_at       INTEGER,                      -- first live
  ended_at      INTEGER,
  code          TEXT    NOT NULL DEFAULT '',  -- why it ended; reason codes of the rules
  ended_by      TEXT    NOT NULL DEFAULT '',
  pause_reason  TEXT    NOT NULL DEFAULT '',
  pause_by      TEXT    NOT NULL DEFAULT '',
  pauses        INTEGER NOT NULL DEFAULT 0,
  metered_s     INTEGER NOT NULL DEFAULT 0,
  live_ms       INTEGER NOT NULL DEFAULT 0,
  recorder      TEXT    NOT NULL DEFAULT '' CHECK (recorder IN ('', 'armed', 'gap', 'failed', 'sealed')),
  CHECK (class <> 'privileged' OR recorder = ''),
  CHECK ((ended_at IS NULL) = (state NOT IN ('ended', 'terminated', 'failed', 'not_held')))
) STRICT;

CREATE INDEX call_open ON call (ends) WHERE ended_at IS NULL;

CREATE TABLE call_seat (
  call       TEXT    NOT NULL REFERENCES call(id),
  seat       TEXT    NOT NULL,
  role       TEXT    NOT NULL CHECK (role IN ('visitor', 'inmate', 'support')),
  who        TEXT    NOT NULL,
  state      TEXT    NOT NULL DEFAULT 'expected'
             CHECK (state IN ('expected', 'waiting', 'connected', 'lost', 'left', 'refused', 'removed')),
  state_at   INTEGER NOT NULL,
  asked_at   INTEGER,                         -- first join grant: the waiting room was opened
  joined_at  INTEGER,                         -- first connection
  generation INTEGER NOT NULL DEFAULT 0,
  path       TEXT    NOT NULL DEFAULT '',
  muted      TEXT    NOT NULL DEFAULT '',     -- '', 'audio', 'video', 'both': by staff
  PRIMARY KEY (call, seat)
) STRICT, WITHOUT ROWID;

-- Orders to the gateway. AUTOINCREMENT: a number is never used twice, so the gateway's "applied" can be trusted.
CREATE TABLE call_command (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  id   TEXT    NOT NULL UNIQUE,
  at   INTEGER NOT NULL,
  call TEXT,
  body TEXT    NOT NULL                       -- linkspec.Command without seq
) STRICT;

-- Facts of the gateway, taken once. A fact for a call that we do not know, or that does not fit, is parked, not lost.
CREATE TABLE gateway_event (
  id     TEXT    PRIMARY KEY,
  at     INTEGER NOT NULL,
  taken  INTEGER NOT NULL,
  boot   TEXT    NOT NULL,
  seq    INTEGER NOT NULL,
  kind   TEXT    NOT NULL,
  call   TEXT    NOT NULL,
  seat   TEXT    NOT NULL,
  data   TEXT    NOT NULL,
  parked TEXT    NOT NULL DEFAULT ''          -- why
) STRICT, WITHOUT ROWID;

CREATE INDEX gateway_event_call ON gateway_event (call, at);

-- A security check before a paused call goes on: each step is stored before the gateway is told anything.
CREATE TABLE security_check (
  id      TEXT    PRIMARY KEY,
  call    TEXT    NOT NULL REFERENCES call(id),
  staff   TEXT    NOT NULL,
  began   INTEGER NOT NULL,
  ended   INTEGER,
  outcome TEXT    NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'passed', 'failed', 'dropped')),
  note    TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE UNIQUE INDEX security_check_open ON security_check (call) WHERE outcome = 'open';

CREATE TABLE security_check_step (
  security_check TEXT NOT NULL REFERENCES security_check(id),
  step     TEXT    NOT NULL,
  answer   TEXT    NOT NULL CHECK (answer IN ('passed', 'skipped', 'failed')),
  reason   TEXT    NOT NULL DEFAULT '',
  at       INTEGER NOT NULL,
  CHECK (answer = 'passed' OR reason <> ''),
  PRIMARY KEY (security_check, step)
) STRICT, WITHOUT ROWID;

-- Who watched: one row a monitor grant, filled in by the gateway's facts.
CREATE TABLE call_watch (
  id      TEXT    PRIMARY KEY,                -- the grant
  call    TEXT    NOT NULL REFERENCES call(id),
  staff   TEXT    NOT NULL,
  purpose TEXT    NOT NULL CHECK (purpose <> ''),
  asked   INTEGER NOT NULL,
  opened  INTEGER,
  closed  INTEGER
) STRICT;

CREATE INDEX call_watch_call ON call_watch (call);

CREATE TABLE call_hint (
  id      TEXT    PRIMARY KEY,                -- the event that raised it
  call    TEXT    NOT NULL REFERENCES call(id),
  seat    TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  level   INTEGER NOT NULL,
  raised  INTEGER NOT NULL,
  cleared INTEGER
) STRICT;

CREATE INDEX call_hint_call ON call_hint (call) WHERE cleared IS NULL;

-- Kill switch: what is stopped until somebody lifts it.
CREATE TABLE media_stop (
  id     TEXT    PRIMARY KEY,                 -- the command
  scope  TEXT    NOT NULL,                    -- all, unit:<id>, device:<id>
  reason TEXT    NOT NULL,
  staff  TEXT    NOT NULL,
  at     INTEGER NOT NULL,
  lifted INTEGER
) STRICT;

CREATE UNIQUE INDEX media_stop_standing ON media_stop (scope) WHERE lifted IS NULL;
