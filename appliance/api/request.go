package api

import (
	"context"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/access"
	"sallyport/appliance/ident"
)

// Request is what a handler may know about its caller. It lives as long as the request and not a moment longer.
type Request struct {
	Session access.Session // zero on public routes without a session
	Addr    netip.Addr     // the client, from the connection or the PROXY header, never from X-Forwarded-For
	Door    string

	c fiber.Ctx
}

type requestKey struct{}

// From returns the request that ctx belongs to. It panics outside a door, because a handler without its frame is a
// mistake in wiring.
func From(ctx context.Context) *Request { return ctx.Value(requestKey{}).(*Request) }

// Actor is who asks. Before sign-in it has the door only.
func (r *Request) Actor() ident.Actor {
	if r.Session.ID == "" {
		return ident.Actor{Door: r.Door}
	}
	return r.Session.Actor
}

// CookieName returns the name of a door's cookie: the session's when part is "", else for example "browser". The door is
// in the name because ports do not part cookies (ui.md, 2).
func CookieName(door, part string) string {
	if part == "" {
		return "__Host-" + door
	}
	return "__Host-" + door + "-" + part
}

// SetSession gives the browser a session's secret. Every rise of rights makes a new one.
func (r *Request) SetSession(secret string, maxAge time.Duration) { r.SetCookie("", secret, maxAge) }

// ClearSession takes the session's secret from the browser.
func (r *Request) ClearSession() { r.SetCookie("", "", -time.Second) }

// SessionSecret returns the secret that the browser showed, "" when there is none.
func (r *Request) SessionSecret() string { return r.Cookie("") }

// Cookie returns the value of one of the door's cookies, copied, "" when there is none.
func (r *Request) Cookie(part string) string {
	v := r.c.Cookies(CookieName(r.Door, part))
	if len(v) > 128 {
		return ""
	}
	return string([]byte(v))
}

// SetCookie sets one of the door's cookies; a negative maxAge deletes it.
func (r *Request) SetCookie(part, value string, maxAge time.Duration) {
	r.c.Cookie(&fiber.Cookie{
		Name: CookieName(r.Door, part), Value: value, Path: "/", MaxAge: int(maxAge / time.Second),
		Secure: true, HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode,
	})
}

// UserAgent returns what the browser calls itself, cut to 200 bytes; it is shown to its owner only.
func (r *Request) UserAgent() string {
	ua := string([]byte(r.c.Get(fiber.HeaderUserAgent)))
	if len(ua) > 200 {
		ua = ua[:200]
	}
	return ua
}
