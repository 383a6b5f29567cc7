-- One row for each span of time in which a rule has a value in a scope. Rows are never changed but for their end,
-- so that the policy of any past moment can be told.
CREATE TABLE policy_rules (
    id        INTEGER PRIMARY KEY,
    rule      TEXT NOT NULL,
    value     TEXT NOT NULL,
    scope     TEXT NOT NULL CHECK (scope IN ('facility', 'unit', 'level', 'class', 'inmate', 'pair')),
    scope_key TEXT NOT NULL CHECK ((scope = 'facility') = (scope_key = '')),
    starts    INTEGER NOT NULL,
    ends      INTEGER CHECK (ends >= starts), -- NULL: until further notice
    author    TEXT NOT NULL,
    approver  TEXT NOT NULL DEFAULT '',
    reason    TEXT NOT NULL DEFAULT '',
    version   INTEGER NOT NULL
) STRICT;
CREATE INDEX policy_rules_by_scope ON policy_rules (rule, scope, scope_key, starts);

-- Two equally narrow values for one moment would make every decision a matter of luck.
CREATE TRIGGER policy_rules_apart BEFORE INSERT ON policy_rules
WHEN EXISTS (SELECT 1 FROM policy_rules o
    WHERE o.rule = NEW.rule AND o.scope = NEW.scope AND o.scope_key = NEW.scope_key
      AND o.starts < coalesce(NEW.ends, 9223372036854775807) AND NEW.starts < coalesce(o.ends, 9223372036854775807))
BEGIN
    SELECT RAISE(ABORT, 'policy: two rows of one scope overlap');
END;

-- The head names the version. The stamp is random, because a version number that was rolled back comes again with
-- other rows, and readers keep a parsed copy for each stamp.
CREATE TABLE policy_head (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    preset  TEXT NOT NULL,
    version INTEGER NOT NULL,
    stamp   TEXT NOT NULL
) STRICT;

-- The rules facility.timezone, .currency and .support are told from the facility itself.
CREATE TRIGGER policy_follows_facility AFTER UPDATE ON facility
BEGIN
    UPDATE policy_head SET stamp = hex(randomblob(16));
END;
