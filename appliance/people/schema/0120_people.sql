-- People: inmates and their stays, visitors, the persons they bring, contacts, restrictions, identity documents, roster imports.
CREATE TABLE inmate (
  id         TEXT PRIMARY KEY,
  number     TEXT NOT NULL UNIQUE,            -- permanent, survives stays
  booking    TEXT NOT NULL,                   -- the present or last stay
  first      TEXT NOT NULL,
  last       TEXT NOT NULL,
  folded     TEXT NOT NULL,                   -- both names without case, marks and punctuation
  born       TEXT NOT NULL,
  language   TEXT NOT NULL,
  level      TEXT NOT NULL DEFAULT '',
  category   TEXT NOT NULL DEFAULT '',
  legal      TEXT NOT NULL DEFAULT '',
  unit       TEXT REFERENCES units (id),
  state      TEXT NOT NULL CHECK (state IN ('in_custody','temp_out','transferred_out','released','escaped','deceased','status_unknown')),
  version    INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX inmate_folded ON inmate (folded);
CREATE INDEX inmate_unit ON inmate (unit, state);

CREATE TABLE visitor (
  id             TEXT PRIMARY KEY,
  first          TEXT NOT NULL,
  last           TEXT NOT NULL,
  folded         TEXT NOT NULL,
  born           TEXT NOT NULL,
  phone          TEXT NOT NULL,               -- E.164
  email          TEXT NOT NULL,               -- as typed
  email_key      TEXT NOT NULL,               -- canonical, for comparing
  zone           TEXT NOT NULL,
  language       TEXT NOT NULL,
  state          TEXT NOT NULL CHECK (state IN ('pending','active','expired','suspended','banned','closed','merged')),
  state_until    INTEGER,
  state_reason   TEXT NOT NULL DEFAULT '',
  identity       TEXT NOT NULL DEFAULT 'not_started'
                 CHECK (identity IN ('not_started','submitted','in_review','verified','more_info','rejected','blocked','expired','revoked')),
  identity_until INTEGER,
  identity_due   INTEGER,
  identity_reason TEXT NOT NULL DEFAULT '',
  refusals       INTEGER NOT NULL DEFAULT 0,
  version        INTEGER NOT NULL DEFAULT 1,
  created_at     INTEGER NOT NULL,
  changed_at     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX visitor_phone ON visitor (phone) WHERE state NOT IN ('closed','merged');
CREATE UNIQUE INDEX visitor_email ON visitor (email_key) WHERE state NOT IN ('closed','merged');
CREATE INDEX visitor_folded ON visitor (folded, born);

CREATE TABLE person (
  id           TEXT PRIMARY KEY,
  visitor      TEXT NOT NULL REFERENCES visitor (id),
  first        TEXT NOT NULL,
  last         TEXT NOT NULL,
  folded       TEXT NOT NULL,
  born         TEXT NOT NULL,
  relationship TEXT NOT NULL DEFAULT '',
  removed_at   INTEGER,
  created_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX person_once ON person (visitor, folded, born) WHERE removed_at IS NULL;

CREATE TABLE contact (
  id              TEXT PRIMARY KEY,
  visitor         TEXT NOT NULL REFERENCES visitor (id),
  inmate          TEXT NOT NULL REFERENCES inmate (id),
  relationship    TEXT NOT NULL,
  state           TEXT NOT NULL CHECK (state IN ('requested','awaiting_inmate','awaiting_visitor','awaiting_facility','approved',
                  'declined','rejected','blocked_by_inmate','blocked_by_visitor','suspended','ended','expired')),
  privilege       TEXT NOT NULL DEFAULT 'none' CHECK (privilege IN ('none','claimed','verified','lapsed','revoked')),
  privilege_until INTEGER,
  asked_by        TEXT NOT NULL CHECK (asked_by IN ('visitor','inmate','staff')),
  met             INTEGER NOT NULL DEFAULT 0 CHECK (met IN (0, 1)),
  reason          TEXT NOT NULL DEFAULT '',
  until           INTEGER,
  version         INTEGER NOT NULL DEFAULT 1,
  created_at      INTEGER NOT NULL,
  changed_at      INTEGER NOT NULL,
  UNIQUE (visitor, inmate)
) STRICT;
CREATE INDEX contact_inmate ON contact (inmate, state);
CREATE INDEX contact_state ON contact (state, until);

CREATE TABLE restriction (
  id         TEXT PRIMARY KEY,
  code       TEXT NOT NULL CHECK (code IN ('ban','no_contact','child_protection','must_monitor','one_way_video','hold_messages','no_messages',
             'no_photos','closed_visit','staff_review','access_need','health','visits_lost','visits_reduced')),
  visitor    TEXT REFERENCES visitor (id),
  inmate     TEXT REFERENCES inmate (id),
  starts     TEXT NOT NULL,                   -- facility's date
  ends       TEXT,                            -- last facility's date, NULL: until lifted
  step       TEXT NOT NULL DEFAULT '',
  comment    TEXT NOT NULL DEFAULT '',        -- internal
  made_by    TEXT NOT NULL,
  made_at    INTEGER NOT NULL,
  lifted_by  TEXT,
  lifted_at  INTEGER,
  CHECK (visitor IS NOT NULL OR inmate IS NOT NULL),
  CHECK (code <> 'no_contact' OR (visitor IS NOT NULL AND inmate IS NOT NULL)),
  CHECK (ends IS NULL OR ends >= starts)
) STRICT;
CREATE INDEX restriction_visitor ON restriction (visitor, inmate) WHERE lifted_at IS NULL;
CREATE INDEX restriction_inmate ON restriction (inmate) WHERE lifted_at IS NULL;

CREATE TABLE document (
  id         TEXT PRIMARY KEY,
  visitor    TEXT NOT NULL REFERENCES visitor (id),
  kind       TEXT NOT NULL CHECK (kind IN ('id_front','id_back','selfie','address')),
  hash       TEXT NOT NULL,                   -- name of the sealed file
  width      INTEGER NOT NULL,
  height     INTEGER NOT NULL,
  bytes      INTEGER NOT NULL,
  replaced_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX document_current ON document (visitor, kind) WHERE replaced_at IS NULL;

CREATE TABLE roster_import (
  id          TEXT PRIMARY KEY,
  source      TEXT NOT NULL,
  file_hash   TEXT NOT NULL,
  whole       INTEGER NOT NULL CHECK (whole IN (0, 1)),
  state       TEXT NOT NULL CHECK (state IN ('running','done','refused')),
  reason      TEXT NOT NULL DEFAULT '',
  in_custody  INTEGER NOT NULL DEFAULT 0,     -- before the file
  leaving     INTEGER NOT NULL DEFAULT 0,     -- how many the file takes out
  rows        INTEGER NOT NULL DEFAULT 0,
  handled     INTEGER NOT NULL DEFAULT 0,
  added       INTEGER NOT NULL DEFAULT 0,
  changed     INTEGER NOT NULL DEFAULT 0,
  unchanged   INTEGER NOT NULL DEFAULT 0,
  released    INTEGER NOT NULL DEFAULT 0,
  bad         INTEGER NOT NULL DEFAULT 0,
  made_by     TEXT NOT NULL,
  started_at  INTEGER NOT NULL,
  finished_at INTEGER
) STRICT;
CREATE TABLE roster_bad (
  import TEXT NOT NULL REFERENCES roster_import (id),
  line   INTEGER NOT NULL,
  field  TEXT NOT NULL DEFAULT '',
  cause  TEXT NOT NULL,
  raw    TEXT NOT NULL,
  PRIMARY KEY (import, line)
) STRICT;
