// Package phases owns how a machine becomes the box of one facility: the list of what must be so, from its disk to its
// certificates, each with what makes it so.
//
// It must not know doors or visits. The truth of a phase is what its Done sees on the machine, never a tick: every boot
// runs the list from the top, so that a power cut costs one repeat and a damaged file is noticed. A phase that fails stops
// only those that need it, and says what a person does about it. The results lie in a file that the console, the health
// check and the setup door read.
package phases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/appliance/fault"
)

// The names of the phases are the same in the log, on the console and in tests.
const (
	Disk          = "disk"
	Identity      = "identity"
	Secrets       = "secrets"
	Seed          = "seed"
	Site          = "site"
	Authority     = "authority"
	Recovery      = "recovery"
	Clock         = "clock"
	Database      = "database"
	Administrator = "administrator"
	Roster        = "roster"
)

// The states of a phase.
const (
	Done    = "done"
	Waiting = "waiting" // a person or the outside has to do something; the box goes on
	Failed  = "failed"
	Blocked = "blocked" // one that it needs has failed
)

// Phase is one thing that must be so.
type Phase struct {
	Name  string
	Needs []string
	// Done looks whether it is so and says what it found. Its fault says what is missing; TooSoon means that only a person
	// or the outside can go on, Full that there is no room and that the phases after it may try all the same.
	Done func(ctx context.Context, m *Machine) (found string, err error)
	// Do makes it so. It may be cut at any moment and is then called again.
	Do func(ctx context.Context, m *Machine) error
	// Brought says that a person brings what it takes. What cannot be taken waits for something better, and the box goes on
	// as it is: a bad stick in a server must not make its version look broken, and be given up.
	Brought bool
}

// Result is how a phase stands.
type Result struct {
	Phase string `json:"phase"`
	State string `json:"state"`
	Says  string `json:"says"` // what was found, or what is missing and what to do
	// Code and Params are the same for who reads another language than the console's; none of what is done.
	Code   string         `json:"code,omitempty"`
	Params map[string]any `json:"params,omitempty"`
	Took   int64          `json:"took_ms"`
	At     time.Time      `json:"at"`
}

// List is what runs before the network is up, in this order. The seed comes before the authority, which signs for the
// names in it, and before the recovery key, of which the seed may want a sealed copy.
func List() []Phase {
	return []Phase{
		{Name: Disk, Done: diskDone, Do: diskDo},
		{Name: Secrets, Needs: []string{Disk}, Done: secretsDone, Do: secretsDo},
		{Name: Identity, Needs: []string{Secrets}, Done: identityDone, Do: identityDo},
		{Name: Seed, Needs: []string{Disk}, Done: seedDone, Do: seedDo, Brought: true},
		{Name: Site, Needs: []string{Disk}, Done: siteDone, Do: siteDo},
		{Name: Authority, Needs: []string{Identity}, Done: authorityDone, Do: authorityDo},
		{Name: Recovery, Needs: []string{Disk}, Done: recoveryDone, Do: recoveryDo},
	}
}

// Late is what runs when the daemons are up.
func Late() []Phase {
	return []Phase{
		{Name: Clock, Done: clockDone, Do: clockDo},
		{Name: Database, Done: databaseDone, Do: nothing},
		{Name: Administrator, Needs: []string{Database}, Done: administratorDone, Do: nothing},
		{Name: Roster, Needs: []string{Database}, Done: rosterDone, Do: rosterDo},
	}
}

// nothing is the Do of a phase that another program makes so.
func nothing(context.Context, *Machine) error { return nil }

// Run goes through a list and returns the result of each. It writes them down after each phase, so that a phase that hangs
// can be seen; after ends are told to hear, which may be nil.
func Run(ctx context.Context, m *Machine, list []Phase, hear func(Result)) ([]Result, error) {
	results := m.results(list)
	var ran []Result
	stand := map[string]string{}
	for _, r := range results {
		stand[r.Phase] = r.State
	}
	for _, p := range list {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		r := run(ctx, m, p, stand)
		stand[p.Name] = r.State
		if r.full {
			stand[p.Name] = Waiting // the next may try
		}
		ran = append(ran, r.Result)
		results = append(m.results(list), ran...) // anew: somebody may have confirmed the recovery key meanwhile
		if hear != nil {
			hear(r.Result)
		}
		if err := m.keep(results); err != nil {
			return results, err
		}
	}
	return results, nil
}

type outcome struct {
	Result
	full bool
}

func run(ctx context.Context, m *Machine, p Phase, stand map[string]string) (o outcome) {
	began := m.Clock.Now()
	o.Result = Result{Phase: p.Name, At: began.UTC().Truncate(time.Second)}
	defer func() { o.Took = m.Clock.Now().Sub(began).Milliseconds() }()
	for _, need := range p.Needs {
		if s := stand[need]; s == Failed || s == Blocked {
			o.State, o.Says = Blocked, fmt.Sprintf("It needs %s, which has not succeeded.", need)
			o.Code, o.Params = "phase.blocked", map[string]any{"needs": need}
			return o
		}
	}
	found, err := p.Done(ctx, m)
	if err != nil && !fault.Is(err, fault.TooSoon) {
		if err = p.Do(ctx, m); err == nil {
			found, err = p.Done(ctx, m)
		}
	}
	switch {
	case err == nil:
		o.State, o.Says = Done, found
	case fault.Is(err, fault.TooSoon):
		o.State = Waiting
		o.say(err)
	case p.Brought && !fault.Is(err, fault.Full):
		o.State = Waiting
		o.say(err)
		m.Log.Warn("what was brought is not taken", "op", "phases."+p.Name, "err", err)
	default:
		o.State, o.full = Failed, fault.Is(err, fault.Full)
		o.say(err)
		m.Log.Error("a phase has failed", "op", "phases."+p.Name, "err", err)
	}
	return o
}

// say takes the words of an error, and the code and the values by which others find words of their own. An error without a
// code has only the console's.
func (o *outcome) say(err error) {
	o.Says, o.Code, o.Params = Words(err), "phase.failed", map[string]any{"lines": Words(err)}
	if f, ok := fault.Of(err); ok && f.Code != "" {
		o.Code, o.Params = f.Code, f.Params
	}
}

// Words is an error for a person at the console.
func Words(err error) string {
	if f, ok := fault.Of(err); ok && f.Msg != "" {
		return f.Msg
	}
	return "It went wrong: " + err.Error()
}

// missing is what Done says of something that Do makes.
func missing(phase, format string, args ...any) error {
	return fault.Newf("phases."+phase, fault.NotFound, format, args...)
}

// ResultsFile is where the results lie below the folder of the running system.
const ResultsFile = "phases.json"

// Read returns the results of this boot; none when nothing ran yet.
func Read(run string) ([]Result, error) {
	raw, err := os.ReadFile(filepath.Join(run, ResultsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the phases: %w", err)
	}
	var all []Result
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("read the phases: %w", err)
	}
	return all, nil
}

// results are those of this boot but for the phases of list, which run again.
func (m *Machine) results(list []Phase) []Result {
	before, err := Read(m.Run)
	if err != nil {
		m.Log.Warn("the results of the phases are begun anew", "op", "phases", "err", err)
		return nil
	}
	return slices.DeleteFunc(before, func(r Result) bool {
		return slices.ContainsFunc(list, func(p Phase) bool { return p.Name == r.Phase })
	})
}

func (m *Machine) keep(results []Result) error {
	raw, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.Run, 0o755); err != nil {
		return err
	}
	return Publish(filepath.Join(m.Run, ResultsFile), append(raw, '\n'))
}

// Publish puts a file in memory for everybody on the box: nothing has to outlive a power cut, but a reader must never see
// half of it.
func Publish(path string, text []byte) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.WriteFile(temp, text, 0o644); err != nil {
		return err
	}
	// Whatever the umask of the unit says.
	if err := os.Chmod(temp, 0o644); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
