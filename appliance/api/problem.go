package api

import (
	"errors"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/fault"
)

// Problem is the body of every refusal (RFC 9457). code and params choose the words, which the UI owns.
type Problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail,omitempty"`
	Code     string         `json:"code"`
	Params   map[string]any `json:"params,omitempty"`
	Fields   []fault.Field  `json:"fields,omitempty"`
	Instance string         `json:"instance,omitempty"` // the number that the log has, for Internal only
}

var statusOf = map[fault.Kind]int{
	fault.Internal:        fiber.StatusInternalServerError,
	fault.Invalid:         fiber.StatusUnprocessableEntity,
	fault.Unauthenticated: fiber.StatusUnauthorized,
	fault.Forbidden:       fiber.StatusForbidden,
	fault.NotFound:        fiber.StatusNotFound,
	fault.Conflict:        fiber.StatusConflict,
	fault.Full:            fiber.StatusConflict,
	fault.TooSoon:         fiber.StatusTooEarly,
	fault.TooMany:         fiber.StatusTooManyRequests,
	fault.Unavailable:     fiber.StatusServiceUnavailable,
}

// problemOf turns an error into what a person may know of it. An Internal one keeps nothing but its number.
func problemOf(err error, id string) Problem {
	if f, ok := fault.Of(err); ok && f.Kind != fault.Internal {
		code := f.Code
		if code == "" {
			code = f.Kind.String()
		}
		return Problem{
			Type: "about:blank", Title: f.Kind.String(), Status: statusOf[f.Kind],
			Detail: f.Msg, Code: code, Params: f.Params, Fields: f.Fields,
		}
	}
	if fe, ok := errors.AsType[*fiber.Error](err); ok && fe.Code < 500 {
		code := map[int]string{
			fiber.StatusNotFound: "not_found", fiber.StatusMethodNotAllowed: "not_found", fiber.StatusRequestEntityTooLarge: "file.tooBig",
		}[fe.Code]
		if code == "" {
			code = "bad_request"
		}
		status := fe.Code
		if status == fiber.StatusMethodNotAllowed { // which methods an address has is nobody's business
			status = fiber.StatusNotFound
		}
		return Problem{Type: "about:blank", Title: code, Status: status, Code: code}
	}
	return Problem{
		Type: "about:blank", Title: "internal", Status: fiber.StatusInternalServerError, Code: "fault",
		Params: map[string]any{"code": id}, Instance: id,
	}
}
