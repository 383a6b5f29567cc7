// Package central owns the central site's side of replication: which site may write, what is sent to it, and what became
// of that.
//
// It is stateless: everything it knows is in the central etcd, and two instances may run at once, since each step is a
// compare-and-set. It must not write below a site's prefix, and writes no plaintext anywhere.
//
// A site is enrolled with its fence, its public keys and its feed. A command goes sealed and signed into the mailbox
// inside the feed, and leaves it when the site's result is seen.
package central
