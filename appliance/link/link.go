// Package link is the door inside the box: a unix socket on which bookingd serves gatewayd, syncd and sallyportctl.
//
// It must not know the internet: no cookie, no session, no page. A caller is known by the uid of its process, which the
// kernel vouches for, and has the routes of its kind of peer; anything else does not exist for it, and its asking is
// audited. Bodies are those of package linkspec. Streams are server-sent events that resume by number.
package link

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"golang.org/x/time/rate"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
	"sallyport/appliance/unit"
)

// Peer is a kind of caller.
type Peer string

// The kinds of peers.
const (
	Gateway  Peer = "gateway"
	Sync     Peer = "sync"
	Operator Peer = "operator"
)

// Peers lists the uids of each kind. In the evaluation all daemons run as one uid, which then has the routes of all.
type Peers map[Peer][]int

// are returns the kinds that a uid stands for.
func (p Peers) are(uid int) []Peer {
	var kinds []Peer
	for _, kind := range []Peer{Gateway, Sync, Operator} {
		if slices.Contains(p[kind], uid) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Route is one operation of one kind of peer.
type Route struct {
	Peer   Peer
	Method string // GET, POST, PUT
	Path   string
	Do     fiber.Handler
}

// Options make a link.
type Options struct {
	DB     *store.DB
	Peers  Peers
	Routes []Route
	Log    *slog.Logger
}

// Link serves the routes on a socket.
type Link struct {
	db     *store.DB
	log    *slog.Logger
	peers  Peers
	routes []Route
	notes  *rate.Limiter // refused calls that are audited: a peer gone wild must not fill the audit log
}

// maxBody holds the largest batch of the sync routes: 126 sealed records of 8 KiB and their base64.
const maxBody = 16 << 20

// New makes a link; [Link.Serve] serves it.
func New(o Options) *Link {
	return &Link{db: o.DB, log: o.Log, peers: o.Peers, routes: o.Routes, notes: rate.NewLimiter(1, 30)}
}

// Serve answers on the listener until ctx ends; then streams are closed, replies in flight are finished, and it returns.
func (l *Link) Serve(ctx context.Context, on net.Listener) error {
	app := fiber.New(fiber.Config{
		AppName: "link", StrictRouting: true, CaseSensitive: true, BodyLimit: maxBody,
		ReadTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute, ErrorHandler: l.refuse,
	})
	app.Use(recover.New(recover.Config{EnableStackTrace: true}))
	app.Use(func(c fiber.Ctx) error {
		c.SetContext(ctx) // streams end with the link, not with a request
		return c.Next()
	})
	for _, r := range l.routes {
		app.Add([]string{r.Method}, r.Path, l.only(r))
	}
	// Not Use: Fiber runs that for a connection that fell idle too, and nobody asked anything there.
	app.All("/*", func(c fiber.Ctx) error { return l.stranger(c, peerOf(c)) })
	return unit.HTTP(on, func(ln net.Listener) error {
		return app.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true})
	}, app.ShutdownWithContext)(ctx)
}

// only lets a route's kind of peer through; for everybody else the route does not exist.
func (l *Link) only(r Route) fiber.Handler {
	return func(c fiber.Ctx) error {
		uid := peerOf(c)
		if uid == nil || !slices.Contains(l.peers.are(*uid), r.Peer) {
			return l.stranger(c, uid)
		}
		return r.Do(c)
	}
}

// peerOf returns the uid at the other end of the socket, nil when the kernel does not say.
func peerOf(c fiber.Ctx) *int {
	uid, err := unit.PeerUID(c.RequestCtx().Conn())
	if err != nil {
		return nil
	}
	return &uid
}

// stranger answers 404 and writes down who asked.
func (l *Link) stranger(c fiber.Ctx, uid *int) error {
	who := "unknown"
	if uid != nil {
		who = strconv.Itoa(*uid)
	}
	asked := c.Method() + " " + string([]byte(c.Path())) // copied: the audit row outlives the request
	if len(asked) > 120 {
		asked = asked[:120]
	}
	if l.notes.Allow() {
		by := ident.Actor{Kind: ident.ByOperator, ID: "uid:" + who, Door: "link"}
		err := l.db.Update(c.Context(), func(tx *store.Tx) error { return audit.Record(tx, by, "link.refused", asked) })
		if err != nil {
			l.log.Error("a refused call was not audited", "op", "link.stranger", "err", err)
		}
	}
	return fault.New("link.stranger", fault.NotFound, "There is no such route.").WithCode("not_found")
}

// Problem is the body of every refusal.
type Problem struct {
	Status int            `json:"status"`
	Kind   string         `json:"kind"`
	Code   string         `json:"code,omitempty"`
	Detail string         `json:"detail"`
	Params map[string]any `json:"params,omitempty"`
}

var statusOf = map[fault.Kind]int{
	fault.Invalid: 422, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404, fault.Conflict: 409,
	fault.Full: 409, fault.TooSoon: 425, fault.TooMany: 429, fault.Unavailable: 503,
}

// refuse turns an error into a problem; an Internal one is logged and keeps its words to itself.
func (l *Link) refuse(c fiber.Ctx, err error) error {
	p := Problem{Status: 500, Kind: fault.Internal.String(), Detail: "Something is wrong in the appliance; its log says what."}
	if f, ok := fault.Of(err); ok && f.Kind != fault.Internal {
		p = Problem{Status: statusOf[f.Kind], Kind: f.Kind.String(), Code: f.Code, Detail: f.Msg, Params: f.Params}
	} else if fe, ok := errors.AsType[*fiber.Error](err); ok && fe.Code < 500 {
		p = Problem{Status: fe.Code, Kind: fault.Invalid.String(), Detail: fe.Message}
	} else if !errors.Is(err, context.Canceled) {
		l.log.Error("a call on the link failed", "op", "link.refuse", "route", c.Route().Path, "err", err)
	}
	c.Set(fiber.HeaderContentType, "application/problem+json")
	body, merr := json.Marshal(p)
	if merr != nil {
		return merr
	}
	return c.Status(p.Status).Send(body)
}

// Bind reads a JSON body into T. It returns Invalid for anything else than one JSON value of that shape.
func Bind[T any](c fiber.Ctx) (T, error) {
	var v T
	if err := json.Unmarshal(c.Body(), &v); err != nil {
		return v, fault.New("link.Bind", fault.Invalid, "The body is not what this route takes.").WithCode("body.json").Because(err)
	}
	return v, nil
}

// number reads a query parameter that is a whole number, or its default.
func number(c fiber.Ctx, name string, otherwise int64) (int64, error) {
	text := c.Query(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.Newf("link.number", fault.Invalid, "%s must be a whole number.", name).WithCode("query").WithParam("name", name)
	}
	return n, nil
}

// Streamed is one server-sent event.
type Streamed struct {
	ID    int64
	Event string
	Data  any
}

// beat keeps a quiet stream alive, so that either end notices a dead one.
const beat = 10 * time.Second

// Stream answers with server-sent events: more returns what came after a number, changed is closed when it is worth
// asking again. It ends with the link, or when the peer has gone.
func Stream(c fiber.Ctx, after int64, changed func() <-chan struct{}, more func(ctx context.Context, after int64) ([]Streamed, error)) error {
	ctx := c.Context()
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.SendStreamWriter(func(w *bufio.Writer) {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for {
			wake := changed() // before asking: what is committed in between wakes us again
			list, err := more(ctx, after)
			if err != nil {
				return // the peer comes again and meets the reason as an answer
			}
			for _, e := range list {
				if err := send(w, e); err != nil {
					return
				}
				after = max(after, e.ID)
			}
			if len(list) > 0 {
				if w.Flush() != nil {
					return
				}
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-wake:
			case <-tick.C:
				if _, err := w.WriteString(": beat\n\n"); err != nil || w.Flush() != nil {
					return
				}
			}
		}
	})
}

func send(w *bufio.Writer, e Streamed) error {
	data, err := json.Marshal(e.Data)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Event, data)
	return err
}
