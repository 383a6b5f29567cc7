-- Access: secrets of people and devices (never in clear), sessions, tries, what was agreed to.
CREATE TABLE visitor_pin (
  visitor    TEXT PRIMARY KEY REFERENCES visitor (id),
  hash       TEXT NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE activation (
  hash       TEXT PRIMARY KEY,               -- of the secret in the mail's link
  visitor    TEXT NOT NULL REFERENCES visitor (id),
  sent_on    TEXT NOT NULL,                  -- UTC date, for the daily limit
  expires_at INTEGER NOT NULL,
  used_at    INTEGER
) STRICT;
CREATE INDEX activation_visitor ON activation (visitor, sent_on);
CREATE TABLE browser (
  id         TEXT PRIMARY KEY,
  hash       TEXT NOT NULL UNIQUE,           -- of the secret in the cookie
  visitor    TEXT NOT NULL REFERENCES visitor (id),
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;
CREATE TABLE browser_code (
  session    TEXT PRIMARY KEY,
  hash       TEXT NOT NULL,
  sent       INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE agreed (
  visitor TEXT NOT NULL REFERENCES visitor (id),
  what    TEXT NOT NULL CHECK (what IN ('terms','agreement')),
  version TEXT NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (visitor, what, version, at)
) STRICT;
CREATE TABLE inmate_pin (
  inmate     TEXT PRIMARY KEY REFERENCES inmate (id),
  hash       TEXT NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;
CREATE TABLE staff (
  id         TEXT PRIMARY KEY,
  username   TEXT NOT NULL UNIQUE,
  name       TEXT NOT NULL,
  roles      TEXT NOT NULL,                  -- words parted by one space
  password   TEXT NOT NULL,
  totp       BLOB NOT NULL,                  -- sealed
  totp_step  INTEGER NOT NULL DEFAULT 0,     -- last step that was used; a code counts once
  language   TEXT NOT NULL DEFAULT 'en',
  disabled_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE session (
  id         TEXT PRIMARY KEY,
  hash       TEXT NOT NULL UNIQUE,           -- of the secret in the cookie
  door       TEXT NOT NULL CHECK (door IN ('visitor','kiosk','staff','setup')),
  kind       TEXT NOT NULL CHECK (kind IN ('visitor','inmate','staff')),
  who        TEXT NOT NULL,
  stage      TEXT NOT NULL CHECK (stage IN ('full','agreement','device_code','totp','password_change')),
  csrf       TEXT NOT NULL,
  station    TEXT NOT NULL DEFAULT '',
  idle_ms    INTEGER NOT NULL,
  factor_at  INTEGER,                        -- when a second factor was shown
  created_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL,
  busy_until INTEGER NOT NULL DEFAULT 0,      -- in a call until then: not idle, whatever nobody presses
  expires_at INTEGER NOT NULL,
  ended_at   INTEGER
) STRICT;
CREATE INDEX session_who ON session (who) WHERE ended_at IS NULL;
CREATE TABLE attempt (
  key          TEXT PRIMARY KEY,             -- hash of door, account and device
  account      TEXT NOT NULL,                -- hash of the account, known or not; '' for a device's own count
  failures     INTEGER NOT NULL,
  locks        INTEGER NOT NULL,
  total        INTEGER NOT NULL,
  since        INTEGER NOT NULL,
  last         INTEGER NOT NULL,
  locked_until INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_account ON attempt (account);
CREATE TABLE enrolment (
  hash       TEXT PRIMARY KEY,
  station    TEXT NOT NULL REFERENCES stations (id),
  expires_at INTEGER NOT NULL,
  used_at    INTEGER
) STRICT;
CREATE TABLE device (
  station     TEXT PRIMARY KEY REFERENCES stations (id),
  hash        TEXT NOT NULL UNIQUE,
  enrolled_at INTEGER NOT NULL,
  revoked_at  INTEGER
) STRICT;
CREATE TABLE claim (
  hash       TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  used_at    INTEGER
) STRICT;
