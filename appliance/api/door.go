package api

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/access"
	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/unit"
)

// Options is what makes one door.
type Options struct {
	Name     string // visitor, kiosk, staff, setup
	Contract *Contract
	Access   *access.Access
	Feed     *outbox.Feed
	Origins  []string                 // web origins of this door; requests for another host are refused
	Bare     bool                     // the door also answers to the address that the client reached: before it has a name, over TLS
	CallURL  string                   // signaling address for the CSP, "" where the door has no calls
	Pages    fs.FS                    // the door's own files, nil without pages
	Routes   []string                 // client routes that answer with the index page
	Handlers func(r fiber.Router)     // registers the generated handlers
	Streams  map[string]fiber.Handler // hand-written handlers of operations that the generator leaves out, by operation id
	Limit    int                      // requests a minute from one address, 0: no limit; the contract's own limits hold in any case
	Clock    clock.Clock              // of the limits; nil: the machine's
	Patience time.Duration            // how long a request may take to arrive, 0: 30 seconds
	Log      *slog.Logger
}

// Limits of what is read before anybody looked at it.
const (
	jsonLimit   = 64 << 10
	uploadLimit = 12 << 20 // photo.max_mb and the frame around it
	rosterLimit = 32 << 20

	patience       = 30 * time.Second
	uploadPatience = 5 * time.Minute // a photo over a slow line, of somebody who is signed in
)

// Door is one listener's application. Live streams end with the context given to New.
type Door struct {
	*fiber.App
	o     Options
	ctx   context.Context
	host  map[string]bool
	door  *budget            // all requests of an address
	tight map[string]*budget // those of an operation with a limit of its own, by its id
}

// Serve answers on ln until ctx ends, and returns when the replies in flight are finished.
func (d *Door) Serve(ctx context.Context, ln net.Listener) error {
	return unit.HTTP(ln, func(ln net.Listener) error {
		return d.Listener(ln, fiber.ListenConfig{DisableStartupMessage: true})
	}, d.ShutdownWithContext)(ctx)
}

// New builds a door. ctx is the door's life: when it ends, open event streams end.
func New(ctx context.Context, o Options) (*Door, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Patience == 0 {
		o.Patience = patience
	}
	d := &Door{o: o, ctx: ctx, host: map[string]bool{}, door: newBudget(o.Clock), tight: map[string]*budget{}}
	for _, op := range o.Contract.Operations {
		if op.Door == o.Name && op.Limit > 0 {
			d.tight[op.ID] = newBudget(o.Clock)
		}
	}
	for _, origin := range o.Origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme == "" {
			return nil, fault.Newf("api.New", fault.Invalid, "[%s] origins: %q is not an origin such as https://visits.example.org", o.Name, origin)
		}
		d.host[strings.ToLower(u.Host)] = true
	}
	d.App = fiber.New(fiber.Config{
		AppName: o.Name, ServerHeader: "", StrictRouting: true, CaseSensitive: true, Immutable: true,
		StreamRequestBody: true, BodyLimit: jsonLimit,
		ReadTimeout: o.Patience, IdleTimeout: 60 * time.Second, // no WriteTimeout: event streams and playback are long
		ErrorHandler: d.refuse,
	})
	d.Use(d.recover, d.headers, d.checkHost)
	d.Use("/api/", d.enter)
	for id, h := range o.Streams {
		op := o.Contract.find(id)
		if op == nil {
			return nil, fmt.Errorf("door %s: the contract has no operation %s", o.Name, id)
		}
		d.Add([]string{op.Method}, op.Route(), h)
	}
	o.Handlers(d.App)
	d.Use("/api/", func(fiber.Ctx) error { return fiber.ErrNotFound })
	if o.Pages != nil {
		d.Use(d.page)
	}
	return d, nil
}

func (c *Contract) find(id string) *Operation {
	for i := range c.Operations {
		if c.Operations[i].ID == id {
			return &c.Operations[i]
		}
	}
	return nil
}

// limitKey is the client's network: a single IPv4 address or an IPv6 /64, so that one household is one client and a
// client cannot spread over its addresses.
func limitKey(c fiber.Ctx) string {
	a := clientAddr(c)
	if a.Is6() {
		p, err := a.Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return a.String()
}

func clientAddr(c fiber.Ctx) netip.Addr {
	a, err := netip.ParseAddr(c.IP())
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// limit refuses a client that asks too often: this door at all, or this operation, where guessing would pay.
func (d *Door) limit(c fiber.Ctx, op *Operation) error {
	key := limitKey(c)
	var wait time.Duration
	ok := true
	if d.o.Limit > 0 {
		wait, ok = d.door.take(key, d.o.Limit)
	}
	if ok && op != nil && op.Limit > 0 {
		wait, ok = d.tight[op.ID].take(key, op.Limit)
	}
	if ok {
		return nil
	}
	return fault.New("api.limit", fault.TooMany, "Too many requests. Wait a minute, then try again.").
		WithCode("too_many").WithParam("retry_ms", int(wait.Milliseconds()))
}

// recover turns a panic into an Internal error with its stack in the log.
func (d *Door) recover(c fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Next()
}

// refuse is the only place where an error becomes an answer.
func (d *Door) refuse(c fiber.Ctx, err error) error {
	id := ""
	if f, ok := fault.Of(err); !ok || f.Kind == fault.Internal {
		if fe, isFiber := errors.AsType[*fiber.Error](err); !isFiber || fe.Code >= 500 {
			id = strings.ReplaceAll(ident.Reference(), "-", "")
			op := ""
			if o := d.operation(c); o != nil {
				op = o.ID
			}
			d.o.Log.Error("request failed", "op", op, "door", d.o.Name, "fault", id, "err", err)
		}
	}
	p := problemOf(err, id)
	if ms, ok := p.Params["retry_ms"].(int); ok {
		c.Set(fiber.HeaderRetryAfter, fmt.Sprint((ms+999)/1000))
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(p.Status).JSON(p, "application/problem+json")
}

func (d *Door) operation(c fiber.Ctx) *Operation {
	for i := range d.o.Contract.Operations {
		o := &d.o.Contract.Operations[i]
		if o.Door == d.o.Name && o.Method == c.Method() && matches(o.Path, c.Path()) {
			return o
		}
	}
	return nil
}

// matches compares a path of the contract with a request's, segment by segment.
func matches(pattern, path string) bool {
	for {
		ps, prest, pmore := strings.Cut(pattern, "/")
		s, rest, more := strings.Cut(path, "/")
		if ps != s && (!strings.HasPrefix(ps, "{") || s == "") {
			return false
		}
		if pmore != more {
			return false
		}
		if !more {
			return true
		}
		pattern, path = prest, rest
	}
}

// enter finds the operation, the session and the right, then compares what was sent with the contract. A handler runs
// only after all of it.
func (d *Door) enter(c fiber.Ctx) error {
	op := d.operation(c)
	if err := d.limit(c, op); err != nil {
		return err
	}
	if op == nil {
		return fiber.ErrNotFound
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	changes := op.Method != fiber.MethodGet && op.Method != fiber.MethodHead
	if changes {
		if err := d.checkOrigin(c); err != nil {
			return err
		}
	}
	r := &Request{Door: d.o.Name, Addr: clientAddr(c), c: c}
	secret := r.SessionSecret()
	var noSession error = fault.New("api.enter", fault.Unauthenticated, "Sign in first.").WithCode("auth.needed")
	if secret != "" {
		s, err := d.o.Access.Lookup(c.Context(), d.o.Name, secret)
		switch {
		case err == nil:
			r.Session, noSession = s, nil
		case !fault.Is(err, fault.Unauthenticated):
			return err
		}
	}
	if err := admit(op, r, noSession); err != nil {
		return err
	}
	if err := d.stepUp(op, r); err != nil {
		return err
	}
	if changes && r.Session.ID != "" && op.Stage != "public" {
		token := c.Get("X-CSRF-Token")
		if subtle.ConstantTimeCompare([]byte(token), []byte(r.Session.CSRF)) != 1 {
			return fault.New("api.enter", fault.Forbidden, "This page is too old. Load it again.").WithCode("auth.csrf")
		}
	}
	if err := op.checkParameters(c); err != nil {
		return err
	}
	if changes {
		if err := readBody(c, op); err != nil {
			return err
		}
	}
	c.SetContext(context.WithValue(c.Context(), requestKey{}, r))
	return c.Next()
}

// stepUp asks for the second factor again where it was shown too long ago (B8).
func (d *Door) stepUp(op *Operation, r *Request) error {
	if op.Fresh == 0 || d.o.Clock.Now().Sub(r.Session.Factor) <= time.Duration(op.Fresh)*time.Minute {
		return nil
	}
	return fault.New("api.stepUp", fault.Unauthenticated, "Show that it is you: type the code of your authenticator.").WithCode("staff.stepUp")
}

// admit decides by stage and capability. Whoever may not know that a route exists gets NotFound.
func admit(op *Operation, r *Request, noSession error) error {
	if op.Stage == "public" {
		return nil
	}
	if noSession != nil {
		return noSession
	}
	if op.Stage == "full" && r.Session.Stage != "full" {
		return fault.New("api.admit", fault.Unauthenticated, "Finish signing in first.").WithCode("auth.stage").WithParam("stage", r.Session.Stage)
	}
	if op.Can != "" && !access.Can(r.Session.Actor, op.Can) {
		return fault.New("api.admit", fault.NotFound, "This page does not exist.").WithCode("not_found")
	}
	return nil
}

func (o *Operation) checkParameters(c fiber.Ctx) error {
	f := fault.New("api.checkParameters", fault.Invalid, "The address or a header is wrong.").WithCode("fields")
	segments := map[string]string{}
	ps, rs := strings.Split(o.Path, "/"), strings.Split(c.Path(), "/")
	for i, p := range ps {
		if strings.HasPrefix(p, "{") {
			segments[strings.Trim(p, "{}")] = rs[i]
		}
	}
	for _, p := range o.params {
		var v string
		switch p.In {
		case "path":
			v = segments[p.Name]
			if p.Schema.checkParameter(v) != "" { // an id of another shape is an id that does not exist
				return fault.New("api.checkParameters", fault.NotFound, "This does not exist.").WithCode("not_found")
			}
			continue
		case "header":
			v = c.Get(p.Name)
		default:
			v = c.Query(p.Name)
		}
		if v == "" {
			if p.Required {
				f.WithField(p.Name, "field.required")
			}
			continue
		}
		if code := p.Schema.checkParameter(v); code != "" {
			f.WithField(p.Name, code)
		}
	}
	if len(f.Fields) > 0 {
		return f
	}
	return nil
}

// readBody reads what the operation may take and no more. JSON is compared with the contract; other bodies are the
// handler's to read, already bounded.
func readBody(c fiber.Ctx, op *Operation) error {
	limit := jsonLimit
	switch {
	case op.ID == "importRoster":
		limit = rosterLimit
	case op.stream:
		limit = uploadLimit
	}
	if limit > jsonLimit {
		if err := c.RequestCtx().Conn().SetReadDeadline(time.Now().Add(uploadPatience)); err != nil {
			return err
		}
	}
	var raw []byte
	if stream := c.Request().BodyStream(); stream != nil {
		var err error
		if raw, err = io.ReadAll(io.LimitReader(stream, int64(limit)+1)); err != nil {
			return fault.New("api.readBody", fault.Invalid, "The body did not arrive whole. Send it again.").WithCode("body.cut").Because(err)
		}
	} else {
		raw = c.Request().Body()
	}
	if len(raw) > limit {
		// A connection that is closed on unread bytes is reset, and the sender may never see why. Some more is read.
		if stream := c.Request().BodyStream(); stream != nil {
			_, _ = io.CopyN(io.Discard, stream, int64(max(limit, 1<<20)))
		}
		c.RequestCtx().SetConnectionClose()
		return fault.New("api.readBody", fault.Invalid, "This is too big.").WithCode("file.tooBig").WithParam("max_mb", limit>>20)
	}
	c.Request().SetBody(raw)
	if op.body != nil && !strings.HasPrefix(c.Get(fiber.HeaderContentType), "application/json") {
		return fault.New("api.readBody", fault.Invalid, "The body must be JSON.").WithCode("body.json")
	}
	return op.checkBody(raw)
}
