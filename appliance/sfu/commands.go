package sfu

import (
	"maps"
	"slices"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

// Apply carries out one command of bookingd. Doing it twice changes nothing. An error says that the command was refused; it
// counts as done all the same, because repeating it would be refused again.
func (h *Hall) Apply(c linkspec.Command) error {
	switch c.Cmd {
	case linkspec.CmdStop:
		return h.Stop(Stop{ID: string(c.ID), Scope: c.Scope, Reason: c.Reason, By: c.By})
	case linkspec.CmdLift:
		return h.lift(c)
	case linkspec.CmdOpen, linkspec.CmdAmend:
		if c.Spec == nil {
			return fault.New("sfu.Apply", fault.Invalid, "This command has no spec.").WithCode("bad_command")
		}
		return h.Adopt(linkspec.Open{Spec: *c.Spec, Phase: string(Open)})
	}
	h.mu.Lock()
	r, err := h.find(c.Call, "Apply")
	h.mu.Unlock()
	if err != nil {
		return err
	}
	b := r.base()
	return r.change(func(m *machine, now time.Duration) ([]effect, error) {
		if c.Version != 0 && c.Version < b.version {
			return nil, nil
		}
		b.version = max(b.version, c.Version)
		return command(m, c, b, now)
	})
}

func command(m *machine, c linkspec.Command, b *core, now time.Duration) ([]effect, error) {
	o := order{Reason: c.Reason, Says: c.Says, By: c.By, ByRole: c.ByRole}
	switch c.Cmd {
	case linkspec.CmdAdmit:
		return m.doAdmit(c.Seat, now)
	case linkspec.CmdRefuse:
		return m.doRemove(c.Seat, o, linkspec.SeatRefused, now)
	case linkspec.CmdRemove:
		return m.doRemove(c.Seat, o, linkspec.SeatLeft, now)
	case linkspec.CmdPause:
		return m.doPause(o, now)
	case linkspec.CmdResume:
		if c.Check == "" {
			return nil, fault.New("sfu.Resume", fault.Conflict, "A call resumes only after a security check.").WithCode("check_missing")
		}
		return m.doResume(o, now)
	case linkspec.CmdMute:
		return m.doMute(mute{Seat: c.Seat, Side: c.Side, Audio: c.Audio, Video: c.Video, On: c.On}, o)
	case linkspec.CmdSay:
		if c.Expires != nil && now > deadline(b.deps.Clock, *c.Expires) {
			return nil, nil
		}
		return m.doSay(mute{Seat: c.Seat, Side: c.Side}, Word{Key: c.Key, Params: c.Params, Body: c.Body}, o)
	case linkspec.CmdEnd:
		code := c.Reason
		if code == "" {
			code = "terminated"
		}
		return m.doEnd(code, o, now), nil
	}
	return nil, fault.New("sfu.Apply", fault.Invalid, "This command is unknown.").WithCode("bad_command")
}

// Adopt takes a call as bookingd wants it: opens it, or amends it when the spec is newer. It pauses what bookingd has paused
// but never resumes: a pause of a monitor may not have reached bookingd yet.
func (h *Hall) Adopt(o linkspec.Open) error {
	h.mu.Lock()
	r, known := h.rooms[o.Spec.Call]
	var err error
	if !known {
		r, err = h.open(o.Spec)
	}
	h.mu.Unlock()
	if err != nil {
		return err
	}
	b := r.base()
	return r.change(func(m *machine, now time.Duration) ([]effect, error) {
		var es []effect
		if known && o.Spec.Version > b.version {
			more, err := m.amend(o.Spec, deadline(b.deps.Clock, o.Spec.Ends), now)
			if err != nil {
				return nil, err
			}
			b.version, es = o.Spec.Version, more
		}
		if o.Phase == string(Paused) && m.phase == Live {
			more, err := m.doPause(order{Reason: "staff", ByRole: "system"}, now)
			if err != nil {
				return nil, err
			}
			es = append(es, more...)
		}
		return es, nil
	})
}

// Stop is the kill switch: every call that fits ends now, and none that fits is joined until it is lifted.
func (h *Hall) Stop(s Stop) error {
	if s.Scope == "" {
		return fault.New("sfu.Stop", fault.Invalid, "A stop needs a scope.").WithCode("bad_command")
	}
	h.mu.Lock()
	_, again := h.stops[s.ID]
	h.stops[s.ID] = s
	kept := slices.Collect(maps.Values(h.stops))
	rooms := maps.Clone(h.rooms)
	h.mu.Unlock()
	for _, r := range rooms {
		b := r.base()
		b.mu.Lock()
		fits := s.fits(b.machine.spec)
		b.mu.Unlock()
		if !fits {
			continue
		}
		_ = r.change(func(m *machine, now time.Duration) ([]effect, error) {
			return m.doEnd("stopped", order{By: s.By, ByRole: "staff"}, now), nil
		})
	}
	if again {
		return nil
	}
	if err := h.deps.Keeper.SaveStops(kept); err != nil {
		h.deps.Log.Error("stop not kept", "op", "sfu.Stop", "err", err)
	}
	return h.deps.Facts.Fact(linkspec.Event{Kind: linkspec.StopApplied, Data: mustJSON(s)}, false)
}

// lift turns a kill switch off.
func (h *Hall) lift(c linkspec.Command) error {
	h.mu.Lock()
	for id, s := range h.stops {
		if s.Scope == c.Scope {
			delete(h.stops, id)
		}
	}
	kept := slices.Collect(maps.Values(h.stops))
	h.mu.Unlock()
	return h.deps.Keeper.SaveStops(kept)
}
