package link

import (
	"strconv"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/calls"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// MediaRoutes let an operator stop media and lift the stop again.
func MediaRoutes(room *calls.Calls) []Route {
	return []Route{{Operator, fiber.MethodPost, linkspec.RouteMediaStop, func(c fiber.Ctx) error {
		b, err := Bind[linkspec.MediaStop](c)
		if err != nil {
			return err
		}
		if b.Lift {
			err = room.Lift(c.Context(), actor(c), b.Scope)
		} else {
			err = room.Stop(c.Context(), actor(c), b.Scope, b.Reason)
		}
		if err != nil {
			return err
		}
		return c.SendStatus(fiber.StatusNoContent)
	}}}
}

// actor is the person at the other end, as far as the kernel knows.
func actor(c fiber.Ctx) ident.Actor {
	id := "unknown"
	if uid := peerOf(c); uid != nil {
		id = "uid:" + strconv.Itoa(*uid)
	}
	return ident.Actor{Kind: ident.ByOperator, ID: id, Door: "link"}
}
