package link

import (
	"context"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/calls"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

// page is how many commands one read of the stream takes.
const page = 256

// GatewayRoutes are what gatewayd may ask: keys, open calls, commands; and what it may tell: facts and metrics.
func GatewayRoutes(room *calls.Calls, metrics *Metrics) []Route {
	g := gateway{calls: room}
	return []Route{
		{Gateway, fiber.MethodGet, linkspec.RouteKeys, g.keys},
		{Gateway, fiber.MethodGet, linkspec.RouteCalls, g.open},
		{Gateway, fiber.MethodGet, linkspec.RouteCommands, g.commands},
		{Gateway, fiber.MethodPost, linkspec.RouteEvents, g.events},
		{Gateway, fiber.MethodPut, linkspec.RouteMetrics, g.metrics(metrics.put("gatewayd"))},
	}
}

type gateway struct{ calls *calls.Calls }

func (g gateway) keys(c fiber.Ctx) error {
	keys, err := g.calls.Keys(c.Context())
	if err != nil {
		return err
	}
	return c.JSON(keys)
}

// metrics takes gatewayd's metrics, which are also its sign of life while no call gives it anything to tell.
func (g gateway) metrics(put fiber.Handler) fiber.Handler {
	return func(c fiber.Ctx) error {
		g.calls.Heard()
		return put(c)
	}
}

func (g gateway) open(c fiber.Ctx) error {
	open, err := g.calls.Snapshot(c.Context())
	if err != nil {
		return err
	}
	return c.JSON(open)
}

func (g gateway) commands(c fiber.Ctx) error {
	after, err := after(c)
	if err != nil {
		return err
	}
	return Stream(c, after, g.calls.Changed, func(ctx context.Context, after int64) ([]Streamed, error) {
		list, err := g.calls.Commands(ctx, after, page)
		if err != nil {
			return nil, err
		}
		out := make([]Streamed, len(list))
		for i, cmd := range list {
			out[i] = Streamed{ID: cmd.Seq, Event: "command", Data: cmd}
		}
		return out, nil
	})
}

// after is where a stream goes on: the header of a client that came back, or the query of one that begins.
func after(c fiber.Ctx) (int64, error) {
	if last := c.Get("Last-Event-ID"); last != "" {
		var n int64
		for _, r := range last {
			if r < '0' || r > '9' || n > 1<<52 {
				return 0, fault.New("link.after", fault.Invalid, "Last-Event-ID must be a whole number.").WithCode("query")
			}
			n = n*10 + int64(r-'0')
		}
		return n, nil
	}
	return number(c, "after", 0)
}

func (g gateway) events(c fiber.Ctx) error {
	batch, err := Bind[linkspec.Events](c)
	if err != nil {
		return err
	}
	ack, err := g.calls.Take(c.Context(), batch.Events)
	if err != nil {
		return err
	}
	return c.JSON(ack)
}
