package api

import (
	"errors"
	"io/fs"
	"mime"
	"net/url"
	"path"
	"strings"

	"github.com/gofiber/fiber/v3"
)

// headers sets what every answer carries, 404 and 500 included (ui.md, 1.3; B20).
func (d *Door) headers(c fiber.Ctx) error {
	c.Set("Content-Security-Policy", Policy(d.o.Name, d.o.CallURL))
	c.Set("X-Content-Type-Options", "nosniff")
	c.Set("Referrer-Policy", "no-referrer")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set("Cross-Origin-Resource-Policy", "same-origin")
	c.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(), geolocation=(), usb=(), serial=()")
	c.Set("Strict-Transport-Security", "max-age=63072000")
	return c.Next()
}

// Policy returns the Content-Security-Policy of a door; callURL is the address of its signaling socket.
func Policy(door, callURL string) string {
	connect, types := "connect-src 'self'", "trusted-types svelte-trusted-html"
	if u, err := url.Parse(callURL); err == nil && u.Host != "" {
		connect += " " + u.Scheme + "://" + u.Host
	}
	if door == "visitor" {
		types += " sallyport-worker"
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "font-src 'self'", "img-src 'self' blob: data:", "media-src 'self' blob:",
		connect, "worker-src 'self'", "manifest-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
		"require-trusted-types-for 'script'", types,
	}, "; ")
}

// page serves the door's own files, and its index page for the client routes that the door knows. Everything else is
// 404, another door's files too.
func (d *Door) page(c fiber.Ctx) error {
	if c.Method() != fiber.MethodGet && c.Method() != fiber.MethodHead {
		return fiber.ErrNotFound
	}
	name := strings.TrimPrefix(path.Clean("/"+c.Path()), "/")
	if name != "" && fs.ValidPath(name) && name != "index.html" {
		raw, err := fs.ReadFile(d.o.Pages, name)
		if err == nil {
			return send(c, name, raw)
		}
		if !errors.Is(err, fs.ErrNotExist) && !isDir(d.o.Pages, name) {
			return err
		}
	}
	for _, r := range d.o.Routes {
		if matchesClient(r, "/"+name) {
			raw, err := fs.ReadFile(d.o.Pages, "index.html")
			if err != nil {
				return err
			}
			return send(c, "index.html", raw)
		}
	}
	return fiber.ErrNotFound
}

func isDir(files fs.FS, name string) bool {
	i, err := fs.Stat(files, name)
	return err == nil && i.IsDir()
}

// matchesClient compares a client route such as "/visits/:id" with a path.
func matchesClient(route, p string) bool {
	rs, ps := strings.Split(route, "/"), strings.Split(p, "/")
	if len(rs) != len(ps) {
		return false
	}
	for i := range rs {
		if rs[i] != ps[i] && !strings.HasPrefix(rs[i], ":") {
			return false
		}
	}
	return true
}

func send(c fiber.Ctx, name string, raw []byte) error {
	kind := mime.TypeByExtension(path.Ext(name))
	switch path.Ext(name) { // the machine's own table must not decide what a browser runs
	case ".js":
		kind = "text/javascript; charset=utf-8"
	case ".webmanifest":
		kind = "application/manifest+json"
	case ".woff2":
		kind = "font/woff2"
	case ".svg":
		kind = "image/svg+xml"
	}
	c.Set(fiber.HeaderContentType, kind)
	if strings.HasPrefix(name, "assets/") { // their names change with their content
		c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	} else {
		c.Set(fiber.HeaderCacheControl, "no-cache")
	}
	return c.Send(raw)
}
