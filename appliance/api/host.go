package api

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/fault"
)

// checkHost refuses requests for names that are not ours, so that a foreign name pointed at us gains nothing. It also
// refuses bodies in chunks: no page of ours sends them, and a body of two lengths is how one request hides in another.
func (d *Door) checkHost(c fiber.Ctx) error {
	host := strings.ToLower(string(c.Request().Host()))
	switch {
	case host == "": // also a request that never arrived whole; Fiber would log any other answer for each of them
		return fiber.ErrNotFound
	case !d.host[host] && !d.bare(c, "https://"+host):
		return fiber.NewError(fiber.StatusMisdirectedRequest, "host")
	case c.Request().Header.ContentLength() == -1:
		c.RequestCtx().SetConnectionClose()
		return fiber.NewError(fiber.StatusLengthRequired, "chunked")
	}
	return c.Next()
}

// bare tells whether an origin is the very address that the client reached. A foreign name that points to us is none, so
// this opens nothing that a name of ours would not.
func (d *Door) bare(c fiber.Ctx, origin string) bool {
	reached, ok := c.RequestCtx().LocalAddr().(*net.TCPAddr)
	if !d.o.Bare || !ok {
		return false
	}
	host := reached.AddrPort().Addr().Unmap().WithZone("").String()
	if reached.Port == 443 {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return origin == "https://"+host
	}
	return origin == "https://"+net.JoinHostPort(host, strconv.Itoa(reached.Port))
}

// checkOrigin refuses changes that another site's page sends (B21): Origin must be ours and Fetch Metadata, where the
// browser sends it, must agree.
func (d *Door) checkOrigin(c fiber.Ctx) error {
	cross := fault.New("api.checkOrigin", fault.Forbidden, "This request came from another site.").WithCode("auth.origin")
	if origin := c.Get(fiber.HeaderOrigin); !slices.Contains(d.o.Origins, origin) && !d.bare(c, origin) {
		return cross
	}
	if site := c.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return cross
	}
	return nil
}
