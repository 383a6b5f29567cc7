package signaling

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/sfu"
)

// Protocol is the WebSocket subprotocol that both sides must name.
const Protocol = "sallyport.signal.1"

// In is any message of a client; T says which of the fields belong to it.
type In struct {
	T       string     `json:"t"`
	N       int64      `json:"n,omitempty"`
	Grant   string     `json:"grant,omitempty"`
	App     string     `json:"app,omitempty"`
	Version string     `json:"version,omitempty"`
	Caps    *Caps      `json:"caps,omitempty"`
	Token   string     `json:"token,omitempty"`
	Last    int64      `json:"last,omitempty"`
	SDP     string     `json:"sdp,omitempty"`
	Restart bool       `json:"restart,omitempty"`
	Notice  string     `json:"notice,omitempty"`
	Mic     bool       `json:"mic,omitempty"`
	Cam     bool       `json:"cam,omitempty"`
	Kind    string     `json:"kind,omitempty"`
	At      string     `json:"at,omitempty"`
	Detail  string     `json:"detail,omitempty"`
	Why     string     `json:"why,omitempty"`
	K       int64      `json:"k,omitempty"`
	Do      string     `json:"do,omitempty"`
	Seat    ident.Seat `json:"seat,omitempty"`
	Side    string     `json:"side,omitempty"`
	Reason  string     `json:"reason,omitempty"`
	Body    string     `json:"body,omitempty"`
	Audio   bool       `json:"audio,omitempty"`
	Video   bool       `json:"video,omitempty"`
	On      bool       `json:"on,omitempty"`
	Stats
}

// Caps is what a client can do.
type Caps struct {
	Video     []string `json:"video"`
	Simulcast bool     `json:"simulcast"`
	GCM       bool     `json:"gcm"`
}

// Stats is a client's own view of its connection; advisory.
type Stats struct {
	RTT      float64 `json:"rtt,omitempty"`
	LossUp   float64 `json:"loss_up,omitempty"`
	LossDown float64 `json:"loss_down,omitempty"`
	FPSIn    float64 `json:"fps_in,omitempty"`
	FPSOut   float64 `json:"fps_out,omitempty"`
	FreezeMS float64 `json:"freeze_ms,omitempty"`
	Path     string  `json:"path,omitempty"`
}

// fields are those that each message may have beside t and n.
func fields() map[string][]string {
	return map[string][]string{
		"join": {"grant", "app", "version", "caps"}, "resume": {"token", "last"}, "offer": {"sdp", "restart"}, "ready": {"notice"},
		"media": {"mic", "cam"}, "signal": {"kind", "at", "detail"}, "leave": {"why"}, "pong": {"k"},
		"stats": {"rtt", "loss_up", "loss_down", "fps_in", "fps_out", "freeze_ms", "path"},
		"act":   {"do", "seat", "side", "reason", "body", "audio", "video", "on"},
	}
}

func badMessage(why string) error {
	return fault.New("signaling.Read", fault.Invalid, "This message cannot be read: "+why+".").WithCode("bad_message")
}

// read takes a message apart. It returns Invalid (bad_message) for anything that the protocol does not have.
func read(raw []byte) (In, error) {
	var m In
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return m, badMessage("no JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, badMessage("a field is unknown or of another type")
	}
	if _, err := d.Token(); err != io.EOF {
		return m, badMessage("more than one value")
	}
	allowed, ok := fields()[m.T]
	if !ok {
		return m, badMessage("unknown type")
	}
	for _, k := range append(allowed, "t", "n") {
		delete(keys, k)
	}
	if len(keys) > 0 {
		return m, badMessage("a field does not belong to this type")
	}
	if m.T != "pong" && m.N <= 0 {
		return m, badMessage("no request number")
	}
	if len(m.Detail) > 200 || len(m.Kind) > 40 || len(m.Reason) > 60 || len(m.Why) > 60 || len(m.Notice) > 60 || len(m.Path) > 10 || len([]rune(m.Body)) > 200 {
		return m, badMessage("a field is too long")
	}
	return m, nil
}

// signals are the kinds that a client may report.
func knownSignal(kind string) bool {
	switch kind {
	case "screen_capture", "print_screen", "hidden", "visible", "blur", "camera_changed", "fullscreen_left", "second_screen":
		return true
	}
	return false
}

// The messages of the gateway.
type (
	welcome struct {
		T       string      `json:"t"`
		Re      int64       `json:"re"`
		Kind    string      `json:"kind"`
		Call    ident.Call  `json:"call"`
		Seat    ident.Seat  `json:"seat"`
		Down    int         `json:"down"`
		Offer   bool        `json:"offer"`
		Caps    welcomeCaps `json:"caps"`
		Notice  notice      `json:"notice"`
		Starts  time.Time   `json:"starts"`
		Ends    time.Time   `json:"ends"`
		Now     time.Time   `json:"now"`
		Token   string      `json:"token"`
		GraceS  int         `json:"grace_s"`
		Resumed bool        `json:"resumed"`
	}
	welcomeCaps struct {
		Kbps      int  `json:"kbps"`
		FPS       int  `json:"fps"`
		Width     int  `json:"width"`
		Simulcast bool `json:"simulcast"`
	}
	notice struct {
		Version      string `json:"version"`
		Recorded     bool   `json:"recorded"`
		Monitored    bool   `json:"monitored"`
		Acknowledged bool   `json:"acknowledged"`
	}
	answer struct {
		T   string `json:"t"`
		Re  int64  `json:"re"`
		SDP string `json:"sdp"`
	}
	done struct {
		T  string `json:"t"`
		Re int64  `json:"re"`
	}
	ping struct {
		T string `json:"t"`
		K int64  `json:"k"`
	}
	problem struct {
		T       string `json:"t"`
		Re      int64  `json:"re,omitempty"`
		Status  int    `json:"status"`
		Code    string `json:"code"`
		Says    string `json:"says"`
		RetryMS int64  `json:"retry_ms"`
	}
	roster struct {
		T     string       `json:"t"`
		Seats []rosterSeat `json:"seats"`
	}
	rosterSeat struct {
		Seat ident.Seat `json:"seat"`
		Role string     `json:"role"`
		Slot int        `json:"slot"`
		Mic  bool       `json:"mic"`
		Cam  bool       `json:"cam"`
		On   bool       `json:"on"`
	}
	state struct {
		T          string     `json:"t"`
		Seq        int64      `json:"seq"`
		Phase      sfu.Phase  `json:"phase"`
		WaitingFor []string   `json:"waiting_for"`
		Why        string     `json:"why,omitempty"`
		Says       string     `json:"says"`
		ByRole     string     `json:"by_role,omitempty"`
		Since      *time.Time `json:"since,omitempty"`
	}
	timeLeft struct {
		T     string `json:"t"`
		Seq   int64  `json:"seq"`
		LeftS int    `json:"left_s"`
		Warn  bool   `json:"warn"`
	}
	say struct {
		T      string         `json:"t"`
		Seq    int64          `json:"seq"`
		Key    string         `json:"key,omitempty"`
		Params map[string]any `json:"params,omitempty"`
		Body   string         `json:"body,omitempty"`
	}
	muted struct {
		T      string     `json:"t"`
		Seat   ident.Seat `json:"seat"`
		Audio  bool       `json:"audio"`
		Video  bool       `json:"video"`
		ByRole string     `json:"by_role"`
	}
	ended struct {
		T         string `json:"t"`
		Seq       int64  `json:"seq"`
		Code      string `json:"code"`
		Says      string `json:"says"`
		TogetherS int64  `json:"together_s"`
	}
)

// wire turns a word of a call into its message.
func wire(w sfu.Word) any {
	switch w.T {
	case sfu.WordRoster:
		r := roster{T: w.T, Seats: []rosterSeat{}}
		for _, s := range w.Seats {
			r.Seats = append(r.Seats, rosterSeat(s))
		}
		return r
	case sfu.WordState:
		s := state{T: w.T, Seq: w.Seq, Phase: w.Phase, WaitingFor: w.WaitingFor, Why: w.Why, Says: w.Says, ByRole: w.ByRole}
		if !w.Since.IsZero() {
			since := w.Since.UTC().Truncate(time.Second)
			s.Since = &since
		}
		if s.WaitingFor == nil {
			s.WaitingFor = []string{}
		}
		return s
	case sfu.WordTime:
		return timeLeft{T: w.T, Seq: w.Seq, LeftS: w.LeftS, Warn: w.Warn}
	case sfu.WordSay:
		return say{T: w.T, Seq: w.Seq, Key: w.Key, Params: w.Params, Body: w.Body}
	case sfu.WordMuted:
		return muted{T: w.T, Seat: w.Seat, Audio: w.Audio, Video: w.Video, ByRole: w.ByRole}
	case sfu.WordEnded:
		return ended{T: w.T, Seq: w.Seq, Code: w.Code, Says: w.Says, TogetherS: w.TogetherS}
	}
	p, _ := problemOf(w.Code)
	return p
}

// problemOf makes a problem of a code, and tells whether it ends the connection.
func problemOf(code string) (problem, bool) {
	p := problem{T: "problem", Code: code, Says: "call.fault"}
	fatal := true
	switch code {
	case "bad_message":
		p.Status = 400
	case "offer_refused":
		p.Status, fatal = 400, false
	case "grant_bad", "grant_expired", "grant_door", "resume_bad":
		p.Status, p.Says = 401, "call.grant"
	case "seat_removed":
		p.Status, p.Says = 403, "call.removed"
	case "stopped":
		p.Status, p.Says = 403, "call.stopped"
	case "call_unknown":
		p.Status, p.RetryMS = 404, 2000
	case "grant_used", "elsewhere":
		p.Status, p.Says = 409, "call.elsewhere"
	case "not_now":
		p.Status, fatal = 409, false
	case "call_over":
		p.Status, p.Says = 410, "call.ended"
	case "too_early":
		p.Status, p.Says, p.RetryMS = 425, "call.early", 2000
	case "too_fast":
		p.Status, p.RetryMS, fatal = 429, 5000, false
	case "no_recorder":
		p.Status, p.Says, p.RetryMS, fatal = 503, "call.cannotRecord", 5000, false
	case "restarting":
		p.Status, p.Says, p.RetryMS = 503, "call.lost", 250
	case "full":
		p.Status, p.Says, p.RetryMS = 503, "call.full", 10000
	default:
		p.Status, p.Code, p.Says, p.RetryMS = 503, "busy", "call.busy", 5000
	}
	return p, fatal
}
