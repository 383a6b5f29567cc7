// Package fault owns the one error type of Sallyport and the closed list of kinds that it may have.
//
// It must not know HTTP, SQL or any language: a door turns a kind into an RFC 9457 problem, the store turns an
// SQLite code into a kind, and the UI turns a code into words.
//
// A room makes a fault where it refuses something ([New]), wraps any other error once with what it was doing
// (fmt.Errorf with %w), and everybody else decides with [KindOf], [CodeOf] or errors.Is, never by text.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what sort of refusal or failure an error is. The list only grows.
type Kind uint8

// The kinds. Internal is the zero value, so that an error nobody classified is never shown to a person.
const (
	Internal        Kind = iota // our mistake or a broken machine; details go to the log only
	Invalid                     // the request itself is wrong; Fields says where
	Unauthenticated             // nobody is signed in, or the secret is wrong
	Forbidden                   // known, but not allowed to
	NotFound                    // does not exist, or the asker may not know of it
	Conflict                    // does not fit the present state
	Full                        // capacity is used up
	TooSoon                     // not yet
	TooMany                     // over a rate or a lock-out; Params["retry_ms"] says when to come back
	Unavailable                 // a part that is needed is away; try again
)

var kindNames = [...]string{
	"internal", "invalid", "unauthenticated", "forbidden", "not_found", "conflict", "full", "too_soon", "too_many", "unavailable",
}

// String returns the kind's stable lower-case name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Field names one wrong field of a request: a JSON path such as "party[1].date_of_birth" and the code of its copy.
type Field struct {
	Name   string         `json:"name"`
	Code   string         `json:"code"`
	Params map[string]any `json:"params,omitempty"`
}

// Error is a refusal or failure. Msg is for the person, Err is for the log.
type Error struct {
	Op     string         // "visits.Confirm": the room and what it was doing
	Kind   Kind           // decides the HTTP status
	Code   string         // reason code of rules.md or copy code of ui.md; the UI owns the words
	Msg    string         // plain words for clients without the catalogue, such as sallyportctl
	Params map[string]any // numbers, times and names that the words need; never a secret
	Fields []Field        // wrong fields, when Kind is Invalid
	Err    error          // the cause, for the log only
}

// New makes a refusal. msg is shown to people; it says what to do.
func New(op string, kind Kind, msg string) *Error { return &Error{Op: op, Kind: kind, Msg: msg} }

// Newf is New with a formatted message.
func Newf(op string, kind Kind, format string, args ...any) *Error {
	return &Error{Op: op, Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// WithCode adds the reason code that clients translate.
func (e *Error) WithCode(code string) *Error { e.Code = code; return e }

// WithParam adds one value that the words of the code need.
func (e *Error) WithParam(name string, value any) *Error {
	if e.Params == nil {
		e.Params = map[string]any{}
	}
	e.Params[name] = value
	return e
}

// WithField adds a wrong field.
func (e *Error) WithField(name, code string) *Error {
	e.Fields = append(e.Fields, Field{Name: name, Code: code})
	return e
}

// Because adds the cause for the log.
func (e *Error) Because(err error) *Error { e.Err = err; return e }

// Error returns the message with its operation and cause; it is for logs.
func (e *Error) Error() string {
	s := e.Op + ": " + e.Kind.String()
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	if e.Msg != "" {
		s += ": " + e.Msg
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost fault in err's chain, Internal when there is none.
// It panics on nil, because asking for the kind of success is a mistake of the caller.
func KindOf(err error) Kind {
	if err == nil {
		panic("fault: KindOf(nil)")
	}
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	return Internal
}

// Is tells whether err is a fault of this kind; nil is of no kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// CodeOf returns the reason code of the outermost fault in err's chain, or "".
func CodeOf(err error) string {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Code
	}
	return ""
}

// Of returns the outermost fault in err's chain.
func Of(err error) (*Error, bool) { return errors.AsType[*Error](err) }
