// Package record owns what replication carries: key paths, the envelope, canonical bytes, the chain's hash and the limits.
//
// It is pure and must not know SQL, etcd or any secret: sealing and signing are vault's, storing is outbox's, carrying is
// replica's. (It is not the format of recordings; that is reel.)
//
// A room makes a [Record] of a fact with [New] and gives it to outbox.Put in the fact's own transaction. There it becomes
// an [Envelope] under a key [Path], one version higher, bound to its key by [AAD] and to its history by [Link]. Nothing
// that is not in the table of types below can leave a site: [Record.Check] refuses it.
package record

// The file is compiled from the module's root: etcd registers a record.proto of its own.
//
//go:generate sh -c "cd ../.. && protoc --go_out=. --go_opt=paths=source_relative appliance/record/record.proto"
