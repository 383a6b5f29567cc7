// Package replica owns the facility's side of replication: syncd's state machine, its pushes into the central etcd and its
// pulls from the site's feed.
//
// It must not know what a record holds: values pass through it sealed. It has no database; bookingd keeps every cursor.
//
// A connection begins with a handshake (generation, fence and cursor against the site's state). Then one transaction is
// in flight at a time, guarded by the site's fence and the cursor's revision, which makes it exactly-once: an outcome
// that is not known is asked for again with the same transaction. Beside it the feed is watched, or listed after a long
// absence, and handed to bookingd in batches that cannot leave a gap.
package replica
