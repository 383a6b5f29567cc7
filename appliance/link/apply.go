package link

import (
	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// apply takes one batch of the feed in one transaction. It answers Conflict with sync.gap when something is missing in
// between, whereupon syncd lists the feed.
func (r *Replication) apply(c fiber.Ctx) error {
	a, err := Bind[linkspec.SyncApply](c)
	if err != nil {
		return err
	}
	return write(c, r.db, func(tx *store.Tx) (linkspec.SyncApplied, error) { return r.out.Apply(tx, a, r.handlers) })
}

// relist takes one phase or page of a relist in one transaction.
func (r *Replication) relist(c fiber.Ctx) error {
	l, err := Bind[linkspec.SyncRelist](c)
	if err != nil {
		return err
	}
	return write(c, r.db, func(tx *store.Tx) (linkspec.SyncRelisted, error) { return r.out.Relist(tx, l, r.handlers) })
}
