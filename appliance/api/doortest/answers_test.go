package doortest

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// checker compares answers with the contract.
type checker struct{ doc *openapi3.T }

func newChecker(t testing.TB) *checker {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(filepath.Dir(here), "..", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return &checker{doc}
}

// answer returns nil for routes that the contract does not have, as what they answer is the frame's matter, and for live
// streams, which have no end.
func (c *checker) answer(req *http.Request, a Answer) error {
	route := c.route(req)
	if route == nil || strings.HasPrefix(a.Header.Get("Content-Type"), "text/event-stream") {
		return nil
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: route},
		Status:                 a.Status, Header: a.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	in.SetBodyBytes(a.Raw)
	if err := openapi3filter.ValidateResponse(context.Background(), in); err != nil {
		return fmt.Errorf("not what the contract says: %w", err)
	}
	return nil
}

func (c *checker) route(req *http.Request) *routers.Route {
	is := strings.Split(req.URL.Path, "/")
	for path, item := range c.doc.Paths.Map() {
		want := strings.Split(path, "/")
		same := len(want) == len(is)
		for i := 0; same && i < len(want); i++ {
			same = want[i] == is[i] || strings.HasPrefix(want[i], "{")
		}
		if op := item.GetOperation(req.Method); same && op != nil {
			return &routers.Route{Spec: c.doc, Path: path, PathItem: item, Method: req.Method, Operation: op}
		}
	}
	return nil
}
