package main

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"sallyport/appliance/central"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
)

// control is the operators' door: a unix socket whose callers the kernel names.
type control struct {
	cfg     config
	central *central.Central
	party   *vault.Party
	log     *slog.Logger
}

type peerKey struct{}

const maxBody = 1 << 20

// routes returns everything that an operator may ask; to everybody else the socket has nothing.
func (c *control) routes() http.Handler {
	mux := http.NewServeMux()
	add := func(pattern string, do func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.answer(w, r, do) })
	}
	add("GET "+linkspec.RouteCentralKeys, c.keys)
	add("POST "+linkspec.RouteCentralEnrol, c.enrol)
	add("POST "+linkspec.RouteCentralFence, c.fence)
	add("POST "+linkspec.RouteCentralCommand, c.command)
	add("GET "+linkspec.RouteCentralResult, c.result)
	add("GET "+linkspec.RouteCentralRecords, c.records)
	return mux
}

// answer lets operators through and turns what do returns into JSON, an error into a problem.
func (c *control) answer(w http.ResponseWriter, r *http.Request, do func(*http.Request) (any, error)) {
	who, err := c.operator(r)
	var out any
	if err == nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		out, err = do(r)
		c.log.Info("operator", "op", "centrald."+r.URL.Path, "actor", "uid:"+strconv.Itoa(who), "kind", outcome(err))
	}
	status, body := http.StatusOK, []byte(nil)
	switch {
	case err != nil:
		status, body = problem(err)
		w.Header().Set("Content-Type", "application/problem+json")
	case out == nil:
		status = http.StatusNoContent
	default:
		if body, err = json.Marshal(out); err != nil {
			status, body = problem(err)
		}
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller is gone otherwise
}

func outcome(err error) string {
	if err == nil {
		return "done"
	}
	return fault.KindOf(err).String()
}

func (c *control) operator(r *http.Request) (int, error) {
	conn, ok := r.Context().Value(peerKey{}).(net.Conn)
	if !ok {
		return 0, fault.New("centrald", fault.NotFound, "There is no such route.")
	}
	uid, err := unit.PeerUID(conn)
	if err != nil || !slices.Contains(c.cfg.Operators, uid) {
		return 0, fault.New("centrald", fault.NotFound, "There is no such route.").Because(err)
	}
	return uid, nil
}

func problem(err error) (int, []byte) {
	p := struct {
		Title  string         `json:"title"`
		Detail string         `json:"detail"`
		Kind   string         `json:"kind"`
		Code   string         `json:"code,omitempty"`
		Params map[string]any `json:"params,omitempty"`
	}{Title: fault.KindOf(err).String(), Kind: fault.KindOf(err).String(), Detail: "Something is wrong; the log says what."}
	if f, ok := fault.Of(err); ok && f.Kind != fault.Internal {
		p.Detail, p.Code, p.Params = f.Msg, f.Code, f.Params
	}
	status := map[fault.Kind]int{
		fault.Invalid: 422, fault.Forbidden: 403, fault.NotFound: 404, fault.Conflict: 409, fault.Unavailable: 503,
	}[fault.KindOf(err)]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	body, merr := json.Marshal(p)
	if merr != nil {
		return http.StatusInternalServerError, nil
	}
	return status, body
}

// bind reads a body; unknown fields are refused, since a misspelled one would be an order half understood.
func bind[T any](r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fault.New("centrald", fault.Invalid, "The body is not what this route takes.").WithCode("body.json").Because(err)
	}
	return v, nil
}

func (c *control) keys(*http.Request) (any, error) {
	p := c.party.Peer()
	return linkspec.CentralKeys{Keys: p.String(), Fingerprint: p.Fingerprint()}, nil
}

// enrol admits the site with root's certificate, where centrald has one, and lets it in.
func (c *control) enrol(r *http.Request) (any, error) {
	b, err := bind[linkspec.CentralEnrol](r)
	if err != nil {
		return nil, err
	}
	site, err := ident.Parse[ident.Facility](b.Site)
	if err != nil {
		return nil, err
	}
	peer, err := vault.ParsePeer(b.Keys)
	if err != nil {
		return nil, err
	}
	if c.cfg.RootCertificate != "" {
		root, err := c.cfg.client(c.cfg.RootCertificate, c.cfg.RootKey)
		if err != nil {
			return nil, err
		}
		err = central.Admit(r.Context(), root, site)
		_ = root.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, c.central.Enrol(r.Context(), central.Enrolment{Site: site, Incarnation: b.Incarnation, Keys: peer})
}

func (c *control) fence(r *http.Request) (any, error) {
	b, err := bind[linkspec.CentralFence](r)
	if err != nil {
		return nil, err
	}
	site, err := ident.Parse[ident.Facility](b.Site)
	if err != nil {
		return nil, err
	}
	return nil, c.central.Raise(r.Context(), site, b.Epoch, b.Incarnation)
}

func (c *control) command(r *http.Request) (any, error) {
	b, err := bind[linkspec.CentralCommand](r)
	if err != nil {
		return nil, err
	}
	if b.ID == "" {
		b.ID = string(ident.New[ident.Command]())
	}
	id, err := ident.Parse[ident.Command](b.ID)
	if err != nil {
		return nil, err
	}
	site, err := ident.Parse[ident.Facility](b.Site)
	if err != nil {
		return nil, err
	}
	if b.Kind != record.CmdVisitCancel {
		return nil, fault.New("centrald", fault.Invalid, "This kind of command is not known.").WithField("kind", "unknown")
	}
	if _, err := ident.Parse[ident.Visit](b.Subject); err != nil {
		return nil, err
	}
	return linkspec.CentralSent{ID: string(id)}, c.central.SendAs(r.Context(), id, central.Order{
		Site: site, Kind: b.Kind, Subject: b.Subject, Body: &record.VisitCancel{Reason: b.Reason}, Expires: b.Expires, Issuer: "operator",
	})
}

func (c *control) result(r *http.Request) (any, error) {
	site, err := ident.Parse[ident.Facility](r.URL.Query().Get("site"))
	if err != nil {
		return nil, err
	}
	cmd, err := ident.Parse[ident.Command](r.URL.Query().Get("command"))
	if err != nil {
		return nil, err
	}
	res, found, err := c.central.Result(r.Context(), site, cmd)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fault.New("centrald", fault.NotFound, "The site has not answered yet.")
	}
	return linkspec.CentralResult{Outcome: res.GetOutcome(), Reason: res.GetReason(), At: time.UnixMilli(res.GetAtMs()).UTC()}, nil
}

func (c *control) records(r *http.Request) (any, error) {
	site, err := ident.Parse[ident.Facility](r.URL.Query().Get("site"))
	if err != nil {
		return nil, err
	}
	list, err := c.central.Records(r.Context(), site)
	if err != nil {
		return nil, err
	}
	out := linkspec.CentralRecords{Records: make([]linkspec.CentralRecord, 0, len(list))}
	for _, o := range list {
		one := linkspec.CentralRecord{Key: o.Key.Path(record.SitePrefix(string(site))), Ver: o.Ver, Deleted: o.Deleted, At: o.At, Trouble: o.Trouble}
		if o.Body != nil {
			if one.Body, err = words(o.Body); err != nil {
				return nil, err
			}
		}
		out.Records = append(out.Records, one)
	}
	return out, nil
}

func words(m proto.Message) (json.RawMessage, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, fault.New("centrald", fault.Internal, "The record cannot be shown.").Because(err)
	}
	return raw, nil
}
