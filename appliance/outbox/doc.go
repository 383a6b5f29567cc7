// Package outbox owns what leaves a transaction: records for the centre, live updates for open screens, and the queue of
// notices. It also keeps what the centre sends in.
//
// It must not know the rooms whose facts it carries, nor who carries them on: it is written to inside the transaction of
// the fact, so that a fact without its outbox row cannot exist, and read afterwards.
//
// A record becomes a sealed, chained row; rows are cut into batches of whole local transactions, handed out over the
// link, acknowledged, and kept as the last version of each key for a resync. The three queues have sequences of their own.
package outbox

import "embed"

// Schema is the room's migrations.
//
//go:embed schema/*.sql
var Schema embed.FS
