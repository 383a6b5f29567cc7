-- A template is the weekly pattern of sessions. Lists are words parted by commas; an empty list means everything.
CREATE TABLE session_templates (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL CHECK (name <> ''),
    class       TEXT NOT NULL CHECK (class IN ('social', 'onsite', 'in_person', 'official', 'privileged')),
    weekdays    INTEGER NOT NULL CHECK (weekdays BETWEEN 1 AND 127),   -- bit 0 is Sunday
    starts      INTEGER NOT NULL CHECK (starts BETWEEN 0 AND 1439),    -- minutes after midnight, facility time
    ends        INTEGER NOT NULL CHECK (ends > starts AND ends <= 1440),
    pitch       INTEGER NOT NULL CHECK (pitch BETWEEN 5 AND 240),
    lengths     TEXT NOT NULL DEFAULT '',
    capacity    INTEGER NOT NULL CHECK (capacity BETWEEN 1 AND 1000),
    every_weeks INTEGER NOT NULL DEFAULT 1 CHECK (every_weeks BETWEEN 1 AND 52),
    valid_from  TEXT NOT NULL,
    valid_to    TEXT NOT NULL DEFAULT '',                              -- last date; '' until further notice
    initiators  TEXT NOT NULL DEFAULT '',
    units       TEXT NOT NULL DEFAULT '',
    levels      TEXT NOT NULL DEFAULT '',
    categories  TEXT NOT NULL DEFAULT '',
    legal       TEXT NOT NULL DEFAULT '',
    excluded    TEXT NOT NULL DEFAULT '',                              -- dates
    private     INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0, 1)),
    unfolded    TEXT NOT NULL DEFAULT ''                               -- last date whose slots are made
) STRICT, WITHOUT ROWID;

-- A slot is one start of a session. taken is guarded here: whatever the program believes, a slot is never overbooked
-- beyond the number that somebody wrote into extra.
CREATE TABLE slots (
    template      TEXT NOT NULL REFERENCES session_templates (id),
    starts        INTEGER NOT NULL,
    ends          INTEGER NOT NULL CHECK (ends > starts),
    date          TEXT NOT NULL,
    capacity      INTEGER NOT NULL CHECK (capacity >= 0),
    extra         INTEGER NOT NULL DEFAULT 0 CHECK (extra >= 0),
    taken         INTEGER NOT NULL DEFAULT 0 CHECK (taken >= 0 AND taken <= capacity + extra),
    id            TEXT NOT NULL UNIQUE,
    PRIMARY KEY (template, starts)
) STRICT, WITHOUT ROWID;
CREATE INDEX slots_by_start ON slots (starts, template);

-- A closure blocks a span of time: everywhere, in a unit, of a template or on a station.
CREATE TABLE closures (
    id       INTEGER PRIMARY KEY,
    starts   INTEGER NOT NULL,
    ends     INTEGER NOT NULL CHECK (ends > starts),
    scope    TEXT NOT NULL CHECK (scope IN ('facility', 'unit', 'template', 'station')),
    key      TEXT NOT NULL CHECK ((scope = 'facility') = (key = '')),
    reason   TEXT NOT NULL CHECK (reason <> ''),
    lifted   INTEGER
) STRICT;
CREATE INDEX closures_in_force ON closures (ends) WHERE lifted IS NULL;
