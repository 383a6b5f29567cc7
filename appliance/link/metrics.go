package link

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

// maxMetrics bounds what a peer may hand in.
const maxMetrics = 1 << 20

// Metrics gathers the Prometheus text of all daemons: they listen on nothing, so bookingd shows theirs beside its own,
// with the age of each.
type Metrics struct {
	clock clock.Clock
	own   func() []byte

	mu   sync.Mutex // guards the rest
	text map[string]string
	at   map[string]time.Time
}

// NewMetrics returns a gatherer; own writes bookingd's own text.
func NewMetrics(c clock.Clock, own func() []byte) *Metrics {
	return &Metrics{clock: c, own: own, text: map[string]string{}, at: map[string]time.Time{}}
}

// put takes a daemon's text.
func (m *Metrics) put(daemon string) fiber.Handler {
	return func(c fiber.Ctx) error {
		body := c.Body()
		if len(body) > maxMetrics {
			return fault.New("link.metrics", fault.Invalid, "The metrics are too long.").WithCode("metrics.long")
		}
		text := ownFamilies(string(body)) // copied: it outlives the request
		m.mu.Lock()
		m.text[daemon], m.at[daemon] = text, m.clock.Now()
		m.mu.Unlock()
		return c.SendStatus(fiber.StatusNoContent)
	}
}

// Put returns the route with which a kind of peer hands in its daemon's metrics.
func (m *Metrics) Put(peer Peer, path, daemon string) Route {
	return Route{peer, fiber.MethodPut, path, m.put(daemon)}
}

// Seen returns when a daemon last handed in its metrics, zero for never.
func (m *Metrics) Seen(daemon string) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[daemon]
}

// show writes everything that is known, with the age of what others handed in.
func (m *Metrics) show(c fiber.Ctx) error {
	var b strings.Builder
	b.Write(m.own())
	now := m.clock.Now()
	m.mu.Lock()
	b.WriteString("# HELP sallyport_metrics_age_seconds Age of the metrics that a daemon handed in.\n# TYPE sallyport_metrics_age_seconds gauge\n")
	for _, daemon := range []string{"gatewayd", "syncd"} {
		if at, ok := m.at[daemon]; ok {
			fmt.Fprintf(&b, "sallyport_metrics_age_seconds{daemon=%q} %.1f\n", daemon, now.Sub(at).Seconds())
		}
	}
	for _, daemon := range []string{"gatewayd", "syncd"} {
		b.WriteString(m.text[daemon])
	}
	m.mu.Unlock()
	c.Set(fiber.HeaderContentType, "text/plain; version=0.0.4")
	return c.SendString(b.String())
}

// Route returns the operator's route that shows them.
func (m *Metrics) Route() Route {
	return Route{Operator, fiber.MethodGet, linkspec.RouteAllMetrics, m.show}
}

// ownFamilies leaves out what every process has under the same name (go_, process_): a name may come once in a text.
func ownFamilies(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE ")
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_") {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}
