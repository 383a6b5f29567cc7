package link

import (
	"context"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/audit"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// OperatorRoutes are what somebody on the box may ask through sallyportctl. status gathers the parts' states.
func OperatorRoutes(db *store.DB, status func(ctx context.Context) (linkspec.Status, error)) []Route {
	o := operator{db: db, status: status}
	return []Route{
		{Operator, fiber.MethodGet, linkspec.RouteStatus, o.show},
		{Operator, fiber.MethodGet, linkspec.RouteAuditVerify, o.verify},
	}
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
