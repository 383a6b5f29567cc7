package link

import (
	"context"
	"path/filepath"
	"time"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// OperatorRoutes are what somebody on the box may ask through sallyportctl. status gathers the parts' states.
func OperatorRoutes(db *store.DB, status func(ctx context.Context) (linkspec.Status, error)) []Route {
	o := operator{db: db, status: status}
	return []Route{
		{Operator, fiber.MethodGet, linkspec.RouteStatus, o.show},
		{Operator, fiber.MethodGet, linkspec.RouteAuditVerify, o.verify},
		{Operator, fiber.MethodPost, linkspec.RouteBackup, o.backup},
	}
}

// BusyRoutes tell somebody on the box whom a restart would cut off; ?within=30m looks ahead.
func BusyRoutes(count func(ctx context.Context, within time.Duration) (int, error)) []Route {
	return []Route{{Operator, fiber.MethodGet, linkspec.RouteBusy, func(c fiber.Ctx) error {
		within, err := time.ParseDuration(c.Query("within", "0s"))
		if err != nil || within < 0 || within > 24*time.Hour {
			return fault.New("link.busy", fault.Invalid, "Name a time of at most a day, as 30m.").WithField("within", "unknown")
		}
		n, err := count(c.Context(), within)
		if err != nil {
			return err
		}
		return c.JSON(linkspec.Busy{Visits: n})
	}}}
}

type operator struct {
	db     *store.DB
	status func(ctx context.Context) (linkspec.Status, error)
}

func (o operator) show(c fiber.Ctx) error {
	s, err := o.status(c.Context())
	if err != nil {
		return err
	}
	return c.JSON(s)
}

func (o operator) verify(c fiber.Ctx) error {
	var report linkspec.AuditReport
	err := o.db.View(c.Context(), func(tx *store.Tx) (err error) {
		report, err = audit.Verify(tx)
		return err
	})
	if err != nil {
		return err
	}
	return c.JSON(report)
}

// backup writes a sealed copy of the database to an absolute path on this machine.
func (o operator) backup(c fiber.Ctx) error {
	b, err := Bind[linkspec.Backup](c)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(b.Path) || len(b.Recipients) == 0 {
		return fault.New("link.backup", fault.Invalid, "Name an absolute path and at least one age recipient.").WithCode("backup.target")
	}
	by := actor(c)
	if err := o.db.Backup(c.Context(), b.Path, b.Recipients...); err != nil {
		return err
	}
	if err := o.db.Update(c.Context(), func(tx *store.Tx) error {
		return audit.Record(tx, by, "backup.make", filepath.Base(b.Path))
	}); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}
