package phases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

const (
	// clockFile notes the latest moment that the box has seen.
	clockFile = "clock"
	// clockBack is how far behind that note a clock may be: a set clock that was ahead a little is no riddle.
	clockBack = time.Hour
)

// Synchronised asks the kernel whether a time source has set its clock.
func Synchronised() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	const bad = 5 // TIME_ERROR: not set by anybody
	return err == nil && state != bad
}

func clockDone(_ context.Context, m *Machine) (string, error) {
	now := m.Clock.Now().UTC()
	last, err := m.lastSeen()
	if err != nil {
		return "", err
	}
	if now.Before(last.Add(-clockBack)) {
		return "", fault.Newf("phases.clock", fault.TooSoon, "The clock says %s, but this box has already seen %s. Set the clock in the firmware, or let it reach a time server.",
			now.Format(time.RFC3339), last.Format(time.RFC3339)).
			WithCode("clock.behind").WithParam("now", now.Format(time.RFC3339)).WithParam("seen", last.Format(time.RFC3339))
	}
	if m.Synchronised == nil || !m.Synchronised() {
		return "", fault.New("phases.clock", fault.TooSoon, "The clock is not checked: no time server was reached. The machine's own clock counts.").WithCode("clock.unchecked")
	}
	if now.Sub(last) > clockBack {
		return "", missing(Clock, "The time is not noted yet.")
	}
	return "set by a time server", nil
}

// clockDo notes the time, once it is known to be right.
func clockDo(_ context.Context, m *Machine) error {
	if err := m.folders(); err != nil {
		return err
	}
	return m.Disk.Write(m.provision(clockFile), []byte(m.Clock.Now().UTC().Format(time.RFC3339)+"\n"), 0o600)
}

func (m *Machine) lastSeen() (time.Time, error) {
	raw, err := os.ReadFile(m.provision(clockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read the latest time: %w", err)
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(raw)))
}

// part asks bookingd for one of its parts.
func (m *Machine) part(ctx context.Context, name string) (linkspec.Part, error) {
	if m.status == nil {
		var s linkspec.Status
		if err := m.Link.Get(ctx, linkspec.RouteStatus, &s); err != nil {
			return linkspec.Part{}, fault.New("phases.link", fault.Unavailable, "The booking service does not answer.").WithCode("link.silent").Because(err)
		}
		m.status = &s
	}
	for _, p := range m.status.Parts {
		if p.Name == name {
			return p, nil
		}
	}
	return linkspec.Part{}, fault.Newf("phases.link", fault.Internal, "The booking service does not tell about %s.", name)
}

// asked turns a part of bookingd into what Done says.
func asked(ctx context.Context, m *Machine, name string) (string, error) {
	p, err := m.part(ctx, name)
	switch {
	case err != nil:
		return "", err
	case p.State == "ok":
		return p.Detail, nil
	case p.State == "warn":
		return "", fault.New("phases."+name, fault.TooSoon, p.Detail)
	}
	return "", fault.New("phases."+name, fault.Unavailable, p.Detail)
}

// databaseDone: bookingd answers when its schema is current, and has loaded the facility of the site file by then.
func databaseDone(ctx context.Context, m *Machine) (string, error) { return asked(ctx, m, "setup") }

func administratorDone(ctx context.Context, m *Machine) (string, error) {
	return asked(ctx, m, "administrator")
}

// handed is the note about the roster that was handed in.
type handed struct {
	Sum    string                `json:"sha256"`
	Report linkspec.RosterReport `json:"report"`
	At     time.Time             `json:"at"`
}

const handedFile = "roster.json"

func rosterDone(_ context.Context, m *Machine) (string, error) {
	file, err := os.ReadFile(m.provision(rosterFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "none: staff hand it in", nil
	}
	if err != nil {
		return "", err
	}
	var h handed
	raw, err := os.ReadFile(m.provision(handedFile))
	if err == nil {
		err = json.Unmarshal(raw, &h)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if h.Sum != sum(file) {
		return "", missing(Roster, "The roster of the seed is not handed in yet.")
	}
	r := h.Report
	if r.State == "refused" {
		return "", fault.Newf("phases.roster", fault.TooSoon, "The roster of the seed was refused (%s). Hand a corrected one in on the staff pages.", r.Reason).
			WithCode("roster.refused")
	}
	says := fmt.Sprintf("%d rows: %d new, %d changed, %d the same, %d left out", r.Rows, r.New, r.Changed, r.Same, len(r.Quarantined))
	for i, bad := range r.Quarantined {
		if i == 10 {
			says += fmt.Sprintf("\nand %d more; the staff pages list all", len(r.Quarantined)-i)
			break
		}
		says += fmt.Sprintf("\nline %d left out: %s", bad.Line, bad.Why)
	}
	return says, nil
}

// rosterDo hands the seed's roster in. A cut between bookingd's answer and the note hands it in again, which changes
// nothing: the same rows are the same.
func rosterDo(ctx context.Context, m *Machine) error {
	if p, err := m.part(ctx, "setup"); err != nil {
		return err
	} else if p.State != "ok" {
		return fault.New("phases.roster", fault.TooSoon, "The roster of the seed waits until the facility is set up.").WithCode("roster.waits")
	}
	file, err := os.ReadFile(m.provision(rosterFile))
	if err != nil {
		return err
	}
	h := handed{Sum: sum(file), At: m.Clock.Now().UTC().Truncate(time.Second)}
	if err := m.Link.Post(ctx, linkspec.RouteRoster+"?source=seed", file, &h.Report); err != nil {
		return err
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return m.Disk.Write(m.provision(handedFile), raw, 0o600)
}
