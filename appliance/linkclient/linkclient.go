// Package linkclient owns the calling side of the link: JSON over bookingd's unix socket, and its event streams.
//
// It must not know the bodies; linkspec has them. bookingd may be away at any moment: a call then returns Unavailable at
// once, and a stream comes back by itself where it was.
package linkclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"sallyport/appliance/fault"
)

const (
	callWithin = 15 * time.Second // when the caller's context has no deadline
	maxAnswer  = 32 << 20
)

// Client speaks to bookingd. It may be used by many goroutines.
type Client struct {
	http *http.Client
	base string

	idle  time.Duration // a stream that is silent for longer is dead
	pause func(try int) time.Duration
}

// Dial returns a client of the socket at path. Nothing is connected yet.
func Dial(path string) *Client {
	var d net.Dialer
	return &Client{
		base:  "http://link",
		idle:  time.Minute,
		pause: backOff,
		http: &http.Client{Transport: &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) },
			MaxIdleConns:        8,
			MaxIdleConnsPerHost: 8,
			IdleConnTimeout:     30 * time.Second,
			DisableCompression:  true,
		}},
	}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get asks a route, which may have a query, and reads the JSON answer into out; a *[]byte gets it as it is. It returns
// the fault that bookingd answered with, or Unavailable when bookingd is away.
func (c *Client) Get(ctx context.Context, route string, out any) error {
	return c.call(ctx, http.MethodGet, route, nil, out)
}

// Post sends in as JSON, a []byte as it is, and reads the answer into out unless that is nil.
func (c *Client) Post(ctx context.Context, route string, in, out any) error {
	return c.call(ctx, http.MethodPost, route, in, out)
}

// Put is [Client.Post] with PUT.
func (c *Client) Put(ctx context.Context, route string, in, out any) error {
	return c.call(ctx, http.MethodPut, route, in, out)
}

func (c *Client) call(ctx context.Context, method, route string, in, out any) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callWithin)
		defer cancel()
	}
	res, err := c.send(ctx, method, route, in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return away(err)
	}
	if res.StatusCode/100 != 2 {
		return refusal(res.StatusCode, body)
	}
	switch o := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*o = body
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", route, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, route string, in any, header http.Header) (*http.Response, error) {
	var body io.Reader
	kind := "application/json"
	switch b := in.(type) {
	case nil:
	case []byte:
		body, kind = bytes.NewReader(b), "text/plain; charset=utf-8"
	default:
		j, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("write the body for %s: %w", route, err)
		}
		body = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+route, body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", route, err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, away(err)
	}
	return res, nil
}

func away(err error) error {
	return fault.New("linkclient", fault.Unavailable, "The booking service does not answer.").WithCode("link.away").Because(err)
}

// refusal turns a problem (RFC 9457) back into the fault that it was made from.
func refusal(status int, body []byte) error {
	var p struct {
		Title  string         `json:"title"`
		Detail string         `json:"detail"`
		Kind   string         `json:"kind"`
		Code   string         `json:"code"`
		Params map[string]any `json:"params"`
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Title == "" && p.Detail == "" {
		p.Detail = fmt.Sprintf("The booking service answered with status %d.", status)
	}
	if p.Detail == "" {
		p.Detail = p.Title
	}
	f := fault.New("linkclient", kindOf(status, p.Kind), p.Detail).WithCode(p.Code)
	f.Params = p.Params
	return f.Because(errors.New(http.StatusText(status)))
}

func kindOf(status int, name string) fault.Kind {
	for k := fault.Internal; k <= fault.Unavailable; k++ {
		if name != "" && k.String() == name {
			return k
		}
	}
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return fault.Invalid
	case http.StatusUnauthorized:
		return fault.Unauthenticated
	case http.StatusForbidden:
		return fault.Forbidden
	case http.StatusNotFound, http.StatusGone:
		return fault.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return fault.Conflict
	case http.StatusTooEarly:
		return fault.TooSoon
	case http.StatusTooManyRequests:
		return fault.TooMany
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusInsufficientStorage:
		return fault.Unavailable
	}
	return fault.Internal
}
