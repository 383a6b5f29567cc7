package egress

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/unit"
)

// askMax bounds one question.
const askMax = 4 << 10

type peer struct{}

// Serve answers on a unix socket until ctx ends. Who asks is known by the uid at the other end.
func (g *Gate) Serve(ctx context.Context, ln net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+linkspec.RouteEgressOpen, g.answer)
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: askMax,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			uid, err := unit.PeerUID(c)
			if err != nil {
				return ctx // without a uid nobody is let out
			}
			return context.WithValue(ctx, peer{}, uid)
		},
	}
	return unit.HTTP(ln, func(ln net.Listener) error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, server.Shutdown)(ctx)
}

func (g *Gate) answer(w http.ResponseWriter, r *http.Request) {
	uid, known := r.Context().Value(peer{}).(int)
	if !known {
		g.refuse(w, fault.New("egress", fault.Unauthenticated, "Only programs on this machine may ask here."))
		return
	}
	var ask linkspec.EgressOpen
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, askMax))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil {
		g.refuse(w, fault.New("egress", fault.Invalid, "The question is not correct.").Because(err))
		return
	}
	out, err := g.Open(r.Context(), uid, ask)
	if err != nil {
		g.refuse(w, err)
		return
	}
	g.Log.Info("a way out is open", "op", "egress.open", "uid", uid, "addresses", len(out.Addresses))
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		g.Log.Warn("the answer was not taken", "op", "egress.open", "err", err)
	}
}

// refuse writes a problem in the form of the link. An Internal one keeps its words to itself.
func (g *Gate) refuse(w http.ResponseWriter, err error) {
	kind, detail := fault.KindOf(err), "Something is wrong in the appliance; its log says what."
	if f, ok := fault.Of(err); ok && kind != fault.Internal {
		detail = f.Msg
	}
	g.Log.Warn("no way out", "op", "egress.open", "kind", kind.String(), "err", err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(map[fault.Kind]int{
		fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.TooMany: 429, fault.Unavailable: 503, fault.Internal: 500,
	}[kind])
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind.String(), "code": fault.CodeOf(err), "detail": detail})
}
