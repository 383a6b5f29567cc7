-- Words are compared one by one: for a list of more than two SQLite makes a temporary table each time it checks a row.
CREATE TABLE visits (
    id             TEXT PRIMARY KEY,
    ref            TEXT NOT NULL UNIQUE,          -- short, read out on the telephone
    inmate         TEXT NOT NULL REFERENCES inmate (id),
    contact        TEXT NOT NULL REFERENCES contact (id),
    visitor        TEXT NOT NULL REFERENCES visitor (id), -- the main caller
    party          TEXT NOT NULL DEFAULT '',      -- ids of the persons with the main caller, parted by commas
    class          TEXT NOT NULL CHECK (class = 'social' OR class = 'onsite' OR class = 'in_person' OR class = 'official' OR
                   class = 'privileged'),
    template       TEXT NOT NULL REFERENCES session_templates (id),
    starts         INTEGER NOT NULL,
    ends           INTEGER NOT NULL CHECK (ends > starts),
    date           TEXT NOT NULL,                 -- of the facility
    minutes        INTEGER NOT NULL,
    slots          INTEGER NOT NULL,
    pitch          INTEGER NOT NULL,              -- minutes
    turnaround     INTEGER NOT NULL,              -- minutes
    state          TEXT NOT NULL CHECK (state = 'held' OR state = 'suggested' OR state = 'awaiting_staff' OR state = 'confirmed' OR
                   state = 'checking_in' OR state = 'in_progress' OR state = 'completed' OR state = 'ended_early' OR
                   state = 'terminated' OR state = 'no_show' OR state = 'declined' OR state = 'expired' OR
                   state = 'withdrawn' OR state = 'rejected' OR state = 'auto_rejected' OR state = 'cancelled'),
    waiting_on     TEXT NOT NULL DEFAULT '' CHECK (waiting_on = '' OR waiting_on = 'inmate' OR waiting_on = 'visitor' OR waiting_on = 'staff'),
    asked_by       TEXT NOT NULL CHECK (asked_by = 'visitor' OR asked_by = 'inmate' OR asked_by = 'staff' OR asked_by = 'central'),
    holder         TEXT NOT NULL,                 -- id of who asked
    reason         TEXT NOT NULL DEFAULT '',
    review         TEXT NOT NULL DEFAULT '',      -- open issues, parted by commas
    taken          INTEGER NOT NULL CHECK (taken IN (0, 1)),
    station        TEXT REFERENCES stations (id),
    lobby          TEXT REFERENCES stations (id),
    funding        TEXT NOT NULL DEFAULT '' CHECK (funding = '' OR funding = 'entitlement' OR funding = 'wallet' OR funding = 'none'),
    credited       INTEGER NOT NULL DEFAULT 0 CHECK (credited IN (0, 1)),
    credit_cutoff  INTEGER NOT NULL DEFAULT 0,    -- ms before the start, fixed at confirmation
    policy_version INTEGER NOT NULL,
    version        INTEGER NOT NULL DEFAULT 1,
    due            INTEGER,                       -- when something happens by itself; NULL: nothing
    created_at     INTEGER NOT NULL,
    changed_at     INTEGER NOT NULL,
    -- What is live or about to be has its slots, what is over by a refusal has not.
    CHECK ((state <> 'held' AND state <> 'confirmed' AND state <> 'checking_in' AND state <> 'in_progress') OR taken = 1),
    CHECK ((state <> 'declined' AND state <> 'expired' AND state <> 'withdrawn' AND state <> 'rejected' AND
        state <> 'auto_rejected' AND state <> 'cancelled') OR taken = 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX visits_due ON visits (due) WHERE due IS NOT NULL;
CREATE INDEX visits_by_inmate ON visits (inmate, date);
CREATE INDEX visits_by_visitor ON visits (visitor, starts);
CREATE INDEX visits_by_date ON visits (date, starts);
CREATE INDEX visits_held ON visits (holder) WHERE state = 'held';
CREATE INDEX visits_open ON visits (state, starts) WHERE state IN ('suggested', 'awaiting_staff', 'confirmed', 'checking_in', 'in_progress');

-- An inmate, a person or a station is in one place at a time. Because no two spans of a subject overlap, it is enough
-- to look at the last one that begins before the new one ends.
CREATE TABLE visit_spans (
    subject TEXT NOT NULL,
    starts  INTEGER NOT NULL,
    ends    INTEGER NOT NULL CHECK (ends > starts),
    visit   TEXT NOT NULL,
    PRIMARY KEY (subject, starts)
) STRICT, WITHOUT ROWID;
CREATE INDEX visit_spans_of ON visit_spans (visit);
CREATE TRIGGER visit_spans_apart BEFORE INSERT ON visit_spans
WHEN (SELECT ends FROM visit_spans WHERE subject = NEW.subject AND starts < NEW.ends ORDER BY starts DESC LIMIT 1) > NEW.starts
BEGIN
    SELECT RAISE(ABORT, 'visits: two visits of one subject overlap');
END;
CREATE TRIGGER visit_spans_fixed BEFORE UPDATE ON visit_spans
BEGIN
    SELECT RAISE(ABORT, 'visits: a span is not moved');
END;

-- The first answer to a request is the answer to its repetition.
CREATE TABLE visit_keys (
    actor TEXT NOT NULL,
    key   TEXT NOT NULL,
    visit TEXT NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;

-- Entitlement: entries are only added. What an inmate has left in a period is the allowance less the sum.
CREATE TABLE entitlement (
    id      INTEGER PRIMARY KEY,
    inmate  TEXT NOT NULL REFERENCES inmate (id),
    period  TEXT NOT NULL,                        -- first date of the period
    type    TEXT NOT NULL CHECK (type = 'reserved' OR type = 'freed' OR type = 'used' OR type = 'returned' OR
            type = 'extra' OR type = 'adjusted'),
    calls   INTEGER NOT NULL,                     -- counted against the allowance
    minutes INTEGER NOT NULL,
    visit   TEXT NOT NULL DEFAULT '',
    reason  TEXT NOT NULL DEFAULT '',
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX entitlement_of ON entitlement (inmate, period);
-- One visit uses at most one call, whatever the program believes.
CREATE UNIQUE INDEX entitlement_once ON entitlement (visit, type) WHERE visit <> '';
CREATE TRIGGER entitlement_kept BEFORE UPDATE ON entitlement BEGIN SELECT RAISE(ABORT, 'entitlement: entries are only added'); END;
CREATE TRIGGER entitlement_stays BEFORE DELETE ON entitlement BEGIN SELECT RAISE(ABORT, 'entitlement: entries are only added'); END;
