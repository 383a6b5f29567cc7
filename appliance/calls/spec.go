package calls

import (
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Plan is what a call is built from: facts of the visit and the rules that hold for it.
type Plan struct {
	Call     ident.Call
	Visit    ident.Visit
	Facility ident.Facility
	Class    linkspec.Class
	Opens    time.Time
	Starts   time.Time
	Ends     time.Time
	Visitor  ident.Visitor
	Inmate   ident.Inmate
	Unit     ident.Unit
	Station  ident.Station
	Party    int // people on the visitor's side, the main caller included
	Rules    Rules
}

// Rules are the rows of the policy table that a call needs.
type Rules struct {
	Record          bool     // of this class; a privileged call never looks
	RecordFail      string   // block, allow_flag
	MonitorRequired bool     // by rule, flag or restriction; a privileged call never looks
	MonitorVisible  bool     // a privileged call never looks
	PauseOn         []string // hint kinds; a privileged call never looks
	Warnings        []int    // minutes before the end
	Grace           time.Duration
	PauseRemind     time.Duration
	Digest          string
}

// Notices that each person acknowledges before the call; the UI owns the words in each language.
const (
	NoticeRecorded  = "call.notice.recorded.1"
	NoticeMonitored = "call.notice.monitored.1"
	NoticePrivate   = "call.notice.private.1"
)

// video is what a camera may send until the gateway tunes it down.
var video = linkspec.Video{Kbps: 1000, Width: 640, FPS: 25}

// SpecOf turns a plan into what the gateway is told. now ties the wall clock to the boot-time clock. It returns Invalid
// for a plan without end, people or class: such a call is never opened.
func SpecOf(p Plan, now linkspec.Instant) (linkspec.Spec, error) {
	if err := p.check(); err != nil {
		return linkspec.Spec{}, err
	}
	if p.Class == linkspec.Privileged {
		return privilegedSpec(p, now), nil
	}
	s := frame(p, now)
	s.Record = p.Rules.Record
	s.RecordFail = failRule(p.Rules.RecordFail)
	s.MonitorRequired = p.Rules.MonitorRequired
	s.MonitorVisible = p.Rules.MonitorVisible
	s.PauseOn = append([]string{}, p.Rules.PauseOn...)
	s.Notice = NoticeMonitored
	if s.Record {
		s.Notice = NoticeRecorded
	}
	return s, nil
}

// privilegedSpec reads no rule about recorders, monitors or detectors, so no rule can put one into the call.
func privilegedSpec(p Plan, now linkspec.Instant) linkspec.Spec {
	s := frame(p, now)
	s.RecordFail = "block"
	s.PauseOn = []string{}
	s.Notice = NoticePrivate
	for i := range s.Seats {
		s.Seats[i].Faces = linkspec.Faces{}
	}
	return s
}

// frame is what every class has: people, times and limits.
func frame(p Plan, now linkspec.Instant) linkspec.Spec {
	return linkspec.Spec{
		Call: p.Call, Visit: p.Visit, Class: p.Class,
		Opens: At(now, p.Opens), Starts: At(now, p.Starts), Ends: At(now, p.Ends),
		Seats: []linkspec.SeatSpec{
			{Seat: "v1", Role: "visitor", Who: string(p.Visitor), Door: "visitor", Faces: linkspec.Faces{Min: 1, Max: max(1, p.Party)}},
			{Seat: "i1", Role: "inmate", Who: string(p.Inmate), Door: "kiosk", Unit: p.Unit, Device: p.Station, Faces: linkspec.Faces{Min: 1, Max: 1}},
		},
		Admit:        "auto",
		WarnMinutes:  append([]int{}, p.Rules.Warnings...),
		GraceS:       int(p.Rules.Grace / time.Second),
		PauseRemindS: int(p.Rules.PauseRemind / time.Second),
		Video:        video,
		Labels:       linkspec.Labels{Facility: p.Facility, Units: nonZero(p.Unit), Devices: nonZero(p.Station)},
		PolicyDigest: p.Rules.Digest,
		Version:      1,
	}
}

func (p Plan) check() error {
	bad := func(what string) error {
		return fault.Newf("calls.SpecOf", fault.Invalid, "The call has no %s.", what).WithCode("call.plan")
	}
	switch {
	case p.Call == "" || p.Visit == "" || p.Visitor == "" || p.Inmate == "":
		return bad("people")
	case p.Starts.IsZero() || !p.Ends.After(p.Starts) || p.Opens.After(p.Starts):
		return bad("fixed end")
	}
	switch p.Class {
	case linkspec.Social, linkspec.OnSite, linkspec.Official, linkspec.Privileged:
		return nil
	default:
		return bad("known class")
	}
}

// At is the instant of t as the machine's clocks stand now.
func At(now linkspec.Instant, t time.Time) linkspec.Instant {
	return linkspec.Instant{BootID: now.BootID, Boot: now.Boot + int64(t.Sub(now.Wall)), Wall: t.UTC()}
}

// failRule falls back to the safe side: an unknown word blocks.
func failRule(rule string) string {
	if rule == "allow_flag" {
		return rule
	}
	return "block"
}

func nonZero[T ~string](id T) []T {
	if id == "" {
		return nil
	}
	return []T{id}
}
