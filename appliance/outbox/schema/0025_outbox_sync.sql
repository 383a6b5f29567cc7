-- What replication keeps (sync.md, section 5). Sealed columns hold whole envelopes as they stand in etcd.
CREATE TABLE sync_state (
  one          INTEGER PRIMARY KEY CHECK (one = 1),
  site         TEXT    NOT NULL,
  incarnation  BLOB    NOT NULL CHECK (length(incarnation) = 16),
  mode         TEXT    NOT NULL CHECK (mode IN ('normal', 'recovery')),
  cause        TEXT    NOT NULL DEFAULT '',
  epoch        INTEGER NOT NULL CHECK (epoch >= 1),
  head         INTEGER NOT NULL DEFAULT 0,
  chain        BLOB    NOT NULL CHECK (length(chain) = 32),
  acked        INTEGER NOT NULL DEFAULT 0 CHECK (acked <= head),
  cluster      INTEGER NOT NULL DEFAULT 0, -- bits of etcd's unsigned cluster id
  generation   TEXT    NOT NULL DEFAULT '',
  synced_at    INTEGER NOT NULL DEFAULT 0, -- when everything was last acknowledged
  revision     INTEGER NOT NULL DEFAULT 0, -- of the feed, good only with the two below
  feed_cluster INTEGER NOT NULL DEFAULT 0,
  feed_generation TEXT NOT NULL DEFAULT '',
  relist_r0    INTEGER NOT NULL DEFAULT 0,
  relist_after TEXT    NOT NULL DEFAULT '',
  relist_generation TEXT NOT NULL DEFAULT '',
  mark         INTEGER NOT NULL DEFAULT 0  -- of the relist under way or the last one
) STRICT;

CREATE TABLE outbox (
  seq    INTEGER PRIMARY KEY,
  txn    INTEGER NOT NULL, -- seq of the first row of its local transaction
  last   INTEGER NOT NULL CHECK (last IN (0, 1)),
  key    TEXT    NOT NULL,
  ver    INTEGER NOT NULL,
  sealed BLOB    NOT NULL,
  chain  BLOB    NOT NULL CHECK (length(chain) = 32),
  at     INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_txn ON outbox (txn);

CREATE TABLE sync_record (
  key     TEXT    PRIMARY KEY,
  epoch   INTEGER NOT NULL,
  ver     INTEGER NOT NULL,
  deleted INTEGER NOT NULL CHECK (deleted IN (0, 1)),
  seq     INTEGER NOT NULL,
  sealed  BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sync_chain (
  seq   INTEGER PRIMARY KEY,
  chain BLOB    NOT NULL CHECK (length(chain) = 32),
  at    INTEGER NOT NULL
) STRICT;

-- Data keys, wrapped: the site's own are opened with the site's secret, the feed's likewise.
CREATE TABLE sync_key (
  id      TEXT    PRIMARY KEY,
  side    TEXT    NOT NULL CHECK (side IN ('site', 'feed')),
  quarter TEXT    NOT NULL,
  wrapped BLOB    NOT NULL,
  at      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX sync_key_quarter ON sync_key (quarter) WHERE side = 'site';

CREATE TABLE feed_record (
  key    TEXT    PRIMARY KEY,
  mod    INTEGER NOT NULL,
  owner  TEXT    NOT NULL,
  epoch  INTEGER NOT NULL,
  ver    INTEGER NOT NULL,
  mark   INTEGER NOT NULL,
  sealed BLOB    NOT NULL
) STRICT;

CREATE TABLE applied_cmd (
  id     TEXT    PRIMARY KEY,
  kind   TEXT    NOT NULL,
  result TEXT    NOT NULL,
  at     INTEGER NOT NULL,
  keep   INTEGER NOT NULL -- not forgotten before
) STRICT;

CREATE TABLE parked (
  direction TEXT    NOT NULL CHECK (direction IN ('out', 'in')),
  key       TEXT    NOT NULL,
  ver       INTEGER NOT NULL,
  reason    TEXT    NOT NULL,
  at        INTEGER NOT NULL,
  PRIMARY KEY (direction, key)
) STRICT, WITHOUT ROWID;
