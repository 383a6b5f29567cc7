package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
)

// heartbeat keeps proxies and phones from closing a quiet stream, and is when the session is looked at again.
const heartbeat = 15 * time.Second

// Events streams what changed for the signed-in person: ids only, the page asks for the rest. It ends when the session
// does, when the client goes away and when the door closes.
func (d *Door) Events(c fiber.Ctx) error {
	r := From(c.Context())
	after := int64(-1) // from now on
	if id := c.Get("Last-Event-ID"); id != "" {
		if n, err := strconv.ParseInt(id, 10, 64); err == nil && n >= 0 {
			after = n
		}
	}
	door, secret, audience := d.o.Name, r.SessionSecret(), audienceOf(r.Session.Actor)
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set("X-Accel-Buffering", "no")
	return c.SendStreamWriter(func(w *bufio.Writer) {
		ctx, cancel := context.WithCancel(d.ctx)
		defer cancel()
		events := d.o.Feed.Subscribe(ctx, after, audience...)
		fmt.Fprint(w, "retry: 1000\n\n")
		if w.Flush() != nil {
			return
		}
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-events:
				if !ok {
					return
				}
				data, err := json.Marshal(map[string]string{"kind": e.Kind, "id": e.ID})
				if err != nil {
					return
				}
				fmt.Fprintf(w, "id: %d\nevent: change\ndata: %s\n\n", e.Seq, data)
			case <-tick.C:
				if _, err := d.o.Access.Peek(ctx, door, secret); err != nil {
					fmt.Fprint(w, "event: ended\ndata: {}\n\n")
					_ = w.Flush() // the stream ends either way
					return
				}
				fmt.Fprint(w, ": still here\n\n")
			}
			if w.Flush() != nil {
				return
			}
		}
	})
}

func audienceOf(a ident.Actor) []outbox.Audience {
	switch a.Kind {
	case ident.ByVisitor:
		return []outbox.Audience{outbox.ToVisitor(ident.Visitor(a.ID)), outbox.ToAll()}
	case ident.ByInmate:
		return []outbox.Audience{outbox.ToInmate(ident.Inmate(a.ID)), outbox.ToAll()}
	case ident.ByStaff:
		return []outbox.Audience{outbox.ToStaff(), outbox.ToAll()}
	default:
		return nil
	}
}
