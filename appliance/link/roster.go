package link

import (
	"bytes"
	"context"
	"io"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// RosterRoutes let an operator hand in a roster file; ?full=true says that who is missing from it has left, and
// ?source=seed that it came with the first boot.
func RosterRoutes(take func(ctx context.Context, by ident.Actor, source string, full bool, file io.Reader) (linkspec.RosterReport, error)) []Route {
	return []Route{{Operator, fiber.MethodPost, linkspec.RouteRoster, func(c fiber.Ctx) error {
		report, err := take(c.Context(), actor(c), c.Query("source"), c.Query("full") == "true", bytes.NewReader(c.Body()))
		if err != nil {
			return err
		}
		return c.JSON(report)
	}}}
}
