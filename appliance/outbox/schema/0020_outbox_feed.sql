-- What open screens are told: that something changed, never what it says.
CREATE TABLE outbox_feed (
	seq      INTEGER PRIMARY KEY AUTOINCREMENT,
	audience TEXT NOT NULL CHECK (audience <> ''),
	kind     TEXT NOT NULL CHECK (kind <> ''),
	id       TEXT NOT NULL,
	at       INTEGER NOT NULL
) STRICT;

-- Notices that wait for the room that sends them.
CREATE TABLE outbox_notice (
	seq       INTEGER PRIMARY KEY AUTOINCREMENT,
	template  TEXT NOT NULL CHECK (template <> ''),
	recipient TEXT NOT NULL CHECK (recipient <> ''),
	subject   TEXT NOT NULL,
	params    TEXT NOT NULL CHECK (json_valid(params)),
	at        INTEGER NOT NULL
) STRICT;
