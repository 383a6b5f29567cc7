// Package linkspec owns the contract of the link, the door inside the box: routes and bodies that bookingd serves on a
// unix socket to gatewayd, syncd and sallyportctl.
//
// It holds types only and must not know who serves or calls them. Everything that a caller may repeat is harmless to
// repeat: events carry ids, commands a sequence and a version, pushes a cursor. Instants that stop or start media are
// absolute ([Instant]), never durations: a duration delivered twice would lengthen a call.
package linkspec

import (
	"encoding/json"
	"time"

	"sallyport/appliance/ident"
)

// Socket is the link's file name inside a state or runtime folder.
const Socket = "link.sock"

// Routes of gatewayd (peer uid "gateway").
const (
	RouteKeys     = "/gateway/keys"     // GET -> Keys
	RouteCalls    = "/gateway/calls"    // GET -> Calls
	RouteCommands = "/gateway/commands" // GET ?after=N, server-sent events named "command", data Command, id = Seq
	RouteEvents   = "/gateway/events"   // POST Events -> Ack
	RouteMetrics  = "/gateway/metrics"  // PUT Prometheus text
)

// Routes of sallyportctl (an operator's uid).
const (
	RouteStatus      = "/status"       // GET -> Status
	RouteAuditVerify = "/audit/verify" // GET -> AuditReport
	RouteAllMetrics  = "/metrics"      // GET Prometheus text of all daemons
)

// Gauges of gatewayd that others on the box decide by.
const (
	MetricRecorderWrites = "sallyport_gateway_recorder_writes" // 1 or 0
	MetricSeats          = "sallyport_gateway_seats"           // connected ones
)

// Instant is a moment that survives a set clock: boot-time nanoseconds while BootID is the reader's own boot, Wall
// otherwise.
type Instant struct {
	BootID string    `json:"boot_id"`
	Boot   int64     `json:"boottime_ns"`
	Wall   time.Time `json:"wall"`
}

// Keys is what gatewayd needs to check what a client shows it. All of it is polled every 10 minutes; the previous keys
// stay good for 24 hours.
type Keys struct {
	Facility   ident.Facility `json:"facility"`
	GrantKeys  []PublicKey    `json:"grant_keys"`
	TURN       []TURNSecret   `json:"turn"`   // the first is current
	Recipients []string       `json:"intake"` // age recipients of recordings' data keys
	Origins    Origins        `json:"origins"`
}

// PublicKey is an Ed25519 key (32 bytes) with its name.
type PublicKey struct {
	KID string `json:"kid"`
	Key []byte `json:"key"`
}

// TURNSecret is an HMAC key (32 bytes) with its name.
type TURNSecret struct {
	KID    string `json:"kid"`
	Secret []byte `json:"secret"`
}

// Origins lists the web origins of each door that may open a signaling socket.
type Origins struct {
	Visitor []string `json:"visitor"`
	Kiosk   []string `json:"kiosk"`
	Staff   []string `json:"staff"`
}

// Class of a call. Everything that is not Social, Official or OnSite is privileged.
type Class string

// The classes (rules.md, 0.1).
const (
	Social     Class = "social"
	OnSite     Class = "onsite"
	Official   Class = "official"
	Privileged Class = "privileged"
)

// Spec is everything that gatewayd may know of a call: ids, times, class and limits, no names.
type Spec struct {
	Call            ident.Call  `json:"call"`
	Visit           ident.Visit `json:"visit"`
	Class           Class       `json:"class"`
	Opens           Instant     `json:"opens"` // lobby
	Starts          Instant     `json:"starts"`
	Ends            Instant     `json:"ends"` // never moves later
	Seats           []SeatSpec  `json:"seats"`
	Admit           string      `json:"admit"`            // auto, staff
	Record          bool        `json:"record"`           // never on a privileged call
	RecordFail      string      `json:"record_fail"`      // block, allow_flag
	MonitorRequired bool        `json:"monitor_required"` // never on a privileged call
	MonitorVisible  bool        `json:"monitor_visible"`
	PauseOn         []string    `json:"pause_on"` // hint kinds that pause by themselves
	WarnMinutes     []int       `json:"warnings"` // minutes before the end
	GraceS          int         `json:"grace_s"`
	PauseRemindS    int         `json:"pause_remind_s"`
	Video           Video       `json:"video"`
	Labels          Labels      `json:"labels"`
	Notice          string      `json:"notice"` // version of the notice that each person acknowledges
	PolicyDigest    string      `json:"policy_digest"`
	Version         int64       `json:"version"` // the newer one wins
}

// SeatSpec is one place in a call.
type SeatSpec struct {
	Seat   ident.Seat    `json:"seat"` // v1..v4, i1, i2, s1
	Role   string        `json:"role"` // visitor, inmate, support
	Who    string        `json:"who"`  // typed id
	Door   string        `json:"door"` // visitor, kiosk
	Unit   ident.Unit    `json:"unit,omitempty"`
	Device ident.Station `json:"device,omitempty"`
	Faces  Faces         `json:"faces"`
}

// Faces is how many faces are expected in front of a seat's camera.
type Faces struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Video limits a camera.
type Video struct {
	Kbps  int `json:"kbps"`
	Width int `json:"width"`
	FPS   int `json:"fps"`
}

// Labels let a kill switch find a call.
type Labels struct {
	Facility ident.Facility  `json:"facility"`
	Units    []ident.Unit    `json:"units,omitempty"`
	Devices  []ident.Station `json:"devices,omitempty"`
}

// Calls is every open call and the number of the last command.
type Calls struct {
	Head  int64  `json:"head"`
	Calls []Open `json:"calls"`
}

// Open is one open call as bookingd wants it.
type Open struct {
	Spec  Spec   `json:"spec"`
	Phase string `json:"phase"` // open, live, paused
}

// The commands (media.md, 1.1).
const (
	CmdOpen   = "open"
	CmdAmend  = "amend"
	CmdAdmit  = "admit"
	CmdRefuse = "refuse"
	CmdRemove = "remove"
	CmdPause  = "pause"
	CmdResume = "resume"
	CmdMute   = "mute"
	CmdSay    = "say"
	CmdEnd    = "end"
	CmdStop   = "stop"
	CmdLift   = "lift"
)

// Command is one order to gatewayd. Seq grows by one; Version is the call's. What was applied once is skipped.
type Command struct {
	Seq     int64          `json:"seq"`
	ID      ident.Command  `json:"id"`
	At      time.Time      `json:"at"`
	Cmd     string         `json:"cmd"`
	Call    ident.Call     `json:"call,omitempty"`
	Version int64          `json:"version,omitempty"`
	Spec    *Spec          `json:"spec,omitempty"`   // open, amend
	Seat    ident.Seat     `json:"seat,omitempty"`   // admit, refuse, remove, mute, say
	Side    string         `json:"side,omitempty"`   // mute, say: visitor, inmate, all
	Reason  string         `json:"reason,omitempty"` // a code of rules.md, section 7
	Says    string         `json:"says,omitempty"`   // copy key shown to the seats
	By      string         `json:"by,omitempty"`     // typed id of the actor
	ByRole  string         `json:"by_role,omitempty"`
	Check   ident.Check    `json:"check,omitempty"` // resume
	Audio   bool           `json:"audio,omitempty"` // mute
	Video   bool           `json:"video,omitempty"` // mute
	On      bool           `json:"on,omitempty"`    // mute
	Key     string         `json:"key,omitempty"`   // say: template
	Params  map[string]any `json:"params,omitempty"`
	Body    string         `json:"body,omitempty"` // say: staff's own words
	Expires *Instant       `json:"expires,omitempty"`
	Scope   string         `json:"scope,omitempty"` // stop: all, unit:<id>, device:<id>
}

// The event kinds (media.md, 1.1).
const (
	SeatWaiting      = "seat.waiting"
	SeatConnected    = "seat.connected"
	SeatLost         = "seat.lost"
	SeatBack         = "seat.back"
	SeatMoved        = "seat.moved"
	SeatLeft         = "seat.left"
	SeatRefused      = "seat.refused"
	CallLive         = "call.live"
	CallPaused       = "call.paused"
	CallResumed      = "call.resumed"
	CallWarned       = "call.warned"
	CallEnding       = "call.ending"
	CallEnded        = "call.ended"
	MonitorOpened    = "monitor.opened"
	MonitorClosed    = "monitor.closed"
	HintRaised       = "hint.raised"
	HintCleared      = "hint.cleared"
	SignalSeen       = "signal.seen"
	RecordingArmed   = "recording.armed"
	RecordingGap     = "recording.gap"
	RecordingFailed  = "recording.failed"
	RecordingSealed  = "recording.sealed"
	Meter            = "meter"
	Quality          = "quality"
	GrantRefused     = "grant.refused"
	FingerprintWrong = "media.fp_mismatch"
	RelayRefused     = "relay.refused"
	ClockStepped     = "clock.stepped"
	StopApplied      = "stop.applied"
)

// Event is one fact of gatewayd, taken exactly once by its ID.
type Event struct {
	ID   ident.Event     `json:"id"`
	Seq  int64           `json:"seq"` // of this boot's spool
	At   time.Time       `json:"at"`
	Boot string          `json:"boot"`
	Mono int64           `json:"mono"` // boottime_ns
	Kind string          `json:"kind"`
	Call ident.Call      `json:"call,omitempty"`
	Seat ident.Seat      `json:"seat,omitempty"`
	Data json.RawMessage `json:"data,omitempty"` // one of the Data types below
}

// Events is a batch, at most 256.
type Events struct {
	Events []Event `json:"events"`
}

// Ack tells up to which sequence of the batch everything is stored.
type Ack struct {
	Ack int64 `json:"ack"`
}

// EndedData goes with CallEnded.
type EndedData struct {
	Code     string `json:"code"` // time_up, visitor_left, inmate_left, line_lost, or the reason of the command
	By       string `json:"by,omitempty"`
	LiveMS   int64  `json:"live_ms"`
	MeteredS int64  `json:"metered_s"`
}

// PausedData goes with CallPaused.
type PausedData struct {
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
	ByRole string `json:"by_role,omitempty"`
}

// MonitorData goes with MonitorOpened and MonitorClosed.
type MonitorData struct {
	Who     string `json:"who"`
	Purpose string `json:"purpose,omitempty"`
}

// RecordingData goes with the recording events.
type RecordingData struct {
	Recording ident.Recording `json:"recording"`
	Folder    string          `json:"folder"` // "<yyyy-mm-dd>/<recording>", below recordings/
	Cause     string          `json:"cause,omitempty"`
	Manifest  string          `json:"manifest,omitempty"` // SHA-256 of manifest.json, hex
	Recovered bool            `json:"recovered,omitempty"`
}

// MeterData goes with Meter: running totals of the call.
type MeterData struct {
	MeteredS int64 `json:"metered_s"`
	LiveMS   int64 `json:"live_ms"`
}

// SeatData goes with the seat events.
type SeatData struct {
	Why        string `json:"why,omitempty"`
	Generation int    `json:"generation,omitempty"`
	Path       string `json:"path,omitempty"` // direct, relay
}

// Status is what sallyportctl status shows.
type Status struct {
	Version  string    `json:"version"`
	Facility string    `json:"facility"`
	Since    time.Time `json:"since"`
	Parts    []Part    `json:"parts"`
}

// Part is one daemon or duty with its state in words.
type Part struct {
	Name   string         `json:"name"`             // bookingd, gatewayd, syncd, recorder, audit, disk, database
	State  string         `json:"state"`            // ok, warn, down
	Code   string         `json:"code"`             // "disk.free"; the pages own its words. Empty where only Detail says it
	Params map[string]any `json:"params,omitempty"` // what the words need
	Detail string         `json:"detail"`           // the same in English, for the console
	At     time.Time      `json:"at"`
}

// AuditReport is the outcome of walking the audit chain.
type AuditReport struct {
	Rows     int64  `json:"rows"`
	Head     string `json:"head"` // hash of the last row, hex
	Whole    bool   `json:"whole"`
	FirstBad int64  `json:"first_bad,omitempty"`
	Why      string `json:"why,omitempty"`
}
