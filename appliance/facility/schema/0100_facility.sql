-- One facility an appliance: the single row is enforced, not hoped for.
CREATE TABLE facility (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    id             TEXT NOT NULL,
    name           TEXT NOT NULL CHECK (name <> ''),
    zone           TEXT NOT NULL CHECK (zone <> ''),
    country        TEXT NOT NULL CHECK (length(country) = 2),
    currency       TEXT NOT NULL CHECK (length(currency) = 3),
    support_phone  TEXT NOT NULL DEFAULT '',
    support_hours  TEXT NOT NULL DEFAULT '',
    support_email  TEXT NOT NULL DEFAULT '',
    booking_open   INTEGER NOT NULL DEFAULT 1 CHECK (booking_open IN (0, 1)),
    version        INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE units (
    id    TEXT PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE CHECK (name <> '')
) STRICT, WITHOUT ROWID;

-- A station is a place in front of a camera. Tablets of a pool and kiosks stand in a unit; lobby places in none.
CREATE TABLE stations (
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE CHECK (name <> ''),
    kind     TEXT NOT NULL CHECK (kind IN ('kiosk', 'tablet', 'lobby')),
    unit     TEXT REFERENCES units (id),
    state    TEXT NOT NULL CHECK (state IN ('ready', 'disabled', 'retired')),
    private  INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0, 1)),
    CHECK ((kind = 'lobby') = (unit IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX stations_by_unit ON stations (unit, kind, name);

-- When visits may take place at all, in facility time; a weekday without a row is closed once any row exists.
CREATE TABLE opening (
    weekday  INTEGER NOT NULL CHECK (weekday BETWEEN 0 AND 6), -- 0 is Sunday
    opens    INTEGER NOT NULL CHECK (opens BETWEEN 0 AND 1439), -- minutes after midnight
    closes   INTEGER NOT NULL CHECK (closes > opens AND closes <= 1440),
    PRIMARY KEY (weekday, opens)
) STRICT, WITHOUT ROWID;
