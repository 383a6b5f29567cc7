// Package logs owns how the daemons log: journal fields when the journal listens, text otherwise, and values that are
// never shown.
//
// It must not know what is logged. Keys are from a short list (op, kind, facility, actor, visit, call, seq, took, err);
// messages are lower-case phrases without values; whatever a person could be known by is a [Secret].
package logs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// New returns a logger to w. When w is standard error and that is the journal, fields go there as fields.
func New(w io.Writer) *slog.Logger {
	if f, ok := w.(*os.File); ok && f == os.Stderr {
		if direct, err := journal.StderrIsJournalStream(); err == nil && direct {
			return slog.New(&toJournal{send: journal.Send})
		}
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

// Secret is a value that never appears in a log, an error or JSON: a name, a number, a PIN, a body, a token.
type Secret string

const redacted = "[redacted]"

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// Format writes "[redacted]" whatever the verb is.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]", for JSON and everything that is like it.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// toJournal sends records to the journal with their attributes as fields.
type toJournal struct {
	send   func(message string, p journal.Priority, vars map[string]string) error
	prefix string
	attrs  []slog.Attr // with full names
}

// Enabled leaves out what is less than information.
func (h *toJournal) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle sends one record.
func (h *toJournal) Handle(_ context.Context, r slog.Record) error {
	vars := map[string]string{}
	for _, a := range h.attrs {
		field(vars, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		field(vars, h.prefix, a)
		return true
	})
	return h.send(r.Message, priority(r.Level), vars)
}

// WithAttrs returns a handler that adds attrs to each record.
func (h *toJournal) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		n.attrs = append(n.attrs, slog.Attr{Key: h.prefix + a.Key, Value: a.Value})
	}
	return &n
}

// WithGroup returns a handler that puts name before the keys that follow.
func (h *toJournal) WithGroup(name string) slog.Handler {
	n := *h
	n.prefix += name + "_"
	return &n
}

func field(vars map[string]string, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, sub := range v.Group() {
			field(vars, prefix+a.Key+"_", sub)
		}
		return
	}
	// The journal takes capital letters, digits and underscores, and keeps a leading underscore to itself.
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return '_'
	}, prefix+a.Key)
	if name = strings.TrimLeft(name, "_0123456789"); name != "" {
		vars["SALLYPORT_"+name] = v.String()
	}
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}
