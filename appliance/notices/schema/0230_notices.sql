-- Notices: mails on their way and sent, news of visitors and inmates.
CREATE TABLE mail (
  id         TEXT PRIMARY KEY,
  notice     INTEGER NOT NULL UNIQUE,        -- number in the outbox: a notice becomes one mail
  who        TEXT NOT NULL,
  template   TEXT NOT NULL,
  about      TEXT NOT NULL,
  address    TEXT NOT NULL,
  title      TEXT NOT NULL,
  body       TEXT NOT NULL,                  -- emptied when it is sent: it may hold a link or a code
  calendar   BLOB,
  method     TEXT NOT NULL DEFAULT '',
  state      TEXT NOT NULL CHECK (state IN ('queued','sent','failed','dropped')),
  tries      INTEGER NOT NULL DEFAULT 0,
  next_at    INTEGER NOT NULL,
  late_at    INTEGER,                        -- of no use after this time
  cause      TEXT NOT NULL DEFAULT '',
  queued_at  INTEGER NOT NULL,
  done_at    INTEGER
) STRICT;
CREATE INDEX mail_queue ON mail (next_at) WHERE state = 'queued';
CREATE INDEX mail_who ON mail (who, queued_at);
CREATE TABLE news (
  id       TEXT PRIMARY KEY,
  notice   INTEGER NOT NULL UNIQUE,
  who      TEXT NOT NULL,
  template TEXT NOT NULL,
  about    TEXT NOT NULL,
  params   TEXT NOT NULL,
  at       INTEGER NOT NULL,
  read_at  INTEGER
) STRICT;
CREATE INDEX news_who ON news (who, at);
