package calls

import (
	"context"
	"slices"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// Check is one security check: what staff looked at before a paused call went on.
type Check struct {
	ID      ident.Check
	Call    ident.Call
	Staff   ident.Staff
	Began   time.Time
	Ended   time.Time // zero: open
	Outcome string    // open, passed, failed, dropped
	Steps   []Step    // answered so far
	Asked   []string  // what the facility's list asks
}

// Step is the answer to one line of the checklist.
type Step struct {
	Step   string
	Answer string // passed, skipped, failed
	Reason string // for skipped and failed
}

// StepIdentity is the line that nobody may skip.
const StepIdentity = "identity"

// BeginCheck opens the security check of a paused call for a monitor, or returns the one that this monitor has open. It
// returns Conflict when the call is not paused or another monitor has the check.
func (c *Calls) BeginCheck(ctx context.Context, actor ident.Actor, id ident.Call) (Check, error) {
	if err := mayControl(actor); err != nil {
		return Check{}, err
	}
	var check Check
	_, err := c.control(ctx, actor, id, "check.begin", "", func(tx *store.Tx, call *Call) (err error) {
		if call.State == SecurityCheck {
			check, err = c.openCheck(tx, call.ID)
			if err != nil {
				return err
			}
			return mine(check, actor)
		}
		to, err := Next(call.State, TurnCheck)
		if err != nil {
			return err
		}
		asked, err := c.steps(tx, *call)
		if err != nil {
			return err
		}
		check = Check{
			ID: ident.New[ident.Check](), Call: call.ID, Staff: ident.Staff(actor.ID), Began: tx.Now(), Outcome: "open",
			Steps: []Step{}, Asked: asked,
		}
		if err := tx.Exec(`INSERT INTO security_check (id, call, staff, began) VALUES (?, ?, ?, ?)`,
			string(check.ID), string(call.ID), string(check.Staff), store.Ms(check.Began)); err != nil {
			return err
		}
		return c.converge(tx, call, to)
	})
	return check, err
}

// Answer stores one line of an open check. A later answer replaces an earlier one.
func (c *Calls) Answer(ctx context.Context, actor ident.Actor, id ident.Call, s Step) (Check, error) {
	if err := mayControl(actor); err != nil {
		return Check{}, err
	}
	var check Check
	_, err := c.control(ctx, actor, id, "check.step", s.Step, func(tx *store.Tx, call *Call) (err error) {
		check, err = c.answer(tx, actor, *call, s)
		return err
	})
	return check, err
}

func (c *Calls) answer(tx *store.Tx, actor ident.Actor, call Call, s Step) (Check, error) {
	check, err := c.openCheck(tx, call.ID)
	if err != nil {
		return Check{}, err
	}
	if err := mine(check, actor); err != nil {
		return Check{}, err
	}
	if check.Asked, err = c.steps(tx, call); err != nil {
		return Check{}, err
	}
	s.Reason = strings.TrimSpace(s.Reason)
	switch {
	case !slices.Contains(check.Asked, s.Step):
		return Check{}, stepFault("This is not a line of the checklist.", "check.step")
	case s.Answer != "passed" && s.Answer != "skipped" && s.Answer != "failed":
		return Check{}, stepFault("Answer passed, skipped or failed.", "check.answer")
	case s.Answer == "skipped" && s.Step == StepIdentity:
		return Check{}, stepFault("Identity is never skipped.", "check.identity")
	case s.Answer != "passed" && (s.Reason == "" || len([]rune(s.Reason)) > 200):
		return Check{}, stepFault("Write why, in up to 200 letters.", "check.reason")
	}
	if err := tx.Exec(`INSERT INTO security_check_step (security_check, step, answer, reason, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (security_check, step) DO UPDATE SET answer = excluded.answer, reason = excluded.reason, at = excluded.at`,
		string(check.ID), s.Step, s.Answer, s.Reason, store.Ms(tx.Now())); err != nil {
		return Check{}, err
	}
	check.Steps = append(slices.DeleteFunc(check.Steps, func(o Step) bool { return o.Step == s.Step }), s)
	return check, nil
}

// Resume ends the passed check that it names and lets the media flow again. answers are stored first, so that a form may send all lines
// at once. It returns Conflict with the code check.incomplete, naming the lines, while one is unanswered or failed: no
// resume leaves this house without its check.
func (c *Calls) Resume(ctx context.Context, actor ident.Actor, id ident.Call, which ident.Check, answers ...Step) (Call, error) {
	if err := mayControl(actor); err != nil {
		return Call{}, err
	}
	return c.control(ctx, actor, id, "check.pass", "", func(tx *store.Tx, call *Call) error {
		for _, s := range answers {
			if _, err := c.answer(tx, actor, *call, s); err != nil {
				return err
			}
		}
		check, err := c.openCheck(tx, call.ID)
		if err != nil {
			return err
		}
		if err := mine(check, actor); err != nil {
			return err
		}
		if check.ID != which {
			return fault.New("calls.Resume", fault.Conflict, "This security check is over. Begin again.").WithCode("check.none")
		}
		if check.Asked, err = c.steps(tx, *call); err != nil {
			return err
		}
		if missing := check.missing(); len(missing) > 0 {
			return fault.New("calls.Resume", fault.Conflict, "Finish the security check first.").
				WithCode("check.incomplete").WithParam("steps", missing)
		}
		to, err := Next(call.State, TurnResume)
		if err != nil {
			return err
		}
		if err := c.closeCheck(tx, check.ID, "passed", ""); err != nil {
			return err
		}
		if err := c.bump(tx, call, to); err != nil {
			return err
		}
		return c.order(tx, linkspec.Command{
			Cmd: linkspec.CmdResume, Call: call.ID, Version: call.Version, Check: check.ID, By: actor.ID, ByRole: "monitor",
		})
	})
}

// DropCheck gives an open check back; the call stays paused and another monitor may take it.
func (c *Calls) DropCheck(ctx context.Context, actor ident.Actor, id ident.Call) (Call, error) {
	if err := mayControl(actor); err != nil {
		return Call{}, err
	}
	return c.control(ctx, actor, id, "check.drop", "", func(tx *store.Tx, call *Call) error {
		to, err := Next(call.State, TurnDrop)
		if err != nil {
			return err
		}
		if err := c.dropCheck(tx, call.ID, ""); err != nil {
			return err
		}
		return c.converge(tx, call, to)
	})
}

// missing lists the lines that keep a call paused.
func (k Check) missing() []string {
	var out []string
	for _, step := range k.Asked {
		i := slices.IndexFunc(k.Steps, func(s Step) bool { return s.Step == step })
		if i < 0 || k.Steps[i].Answer == "failed" {
			out = append(out, step)
		}
	}
	return out
}

// openCheck returns the call's open check, Conflict with the code check.none when there is none.
func (c *Calls) openCheck(tx *store.Tx, id ident.Call) (Check, error) {
	k := Check{Call: id, Outcome: "open"}
	var began int64
	err := tx.Row(`SELECT id, staff, began FROM security_check WHERE call = ? AND outcome = 'open'`, string(id)).Scan(&k.ID, &k.Staff, &began)
	if fault.Is(err, fault.NotFound) {
		return Check{}, fault.New("calls.check", fault.Conflict, "Begin the security check first.").WithCode("check.none")
	}
	if err != nil {
		return Check{}, err
	}
	k.Began = store.Time(began)
	k.Steps, err = store.All(tx, func(r *store.Rows) (Step, error) {
		var s Step
		err := r.Scan(&s.Step, &s.Answer, &s.Reason)
		return s, err
	}, `SELECT step, answer, reason FROM security_check_step WHERE security_check = ? ORDER BY at, step`, string(k.ID))
	return k, err
}

func (c *Calls) closeCheck(tx *store.Tx, id ident.Check, outcome, note string) error {
	return tx.Exec(`UPDATE security_check SET outcome = ?, ended = ?, note = ? WHERE id = ? AND outcome = 'open'`,
		outcome, store.Ms(tx.Now()), note, string(id))
}

// dropCheck closes a check that the end of its call overtakes.
func (c *Calls) dropCheck(tx *store.Tx, id ident.Call, reason string) error {
	outcome := "dropped"
	if reason == "check_failed" || reason == "check_refused" {
		outcome = "failed"
	}
	return tx.Exec(`UPDATE security_check SET outcome = ?, ended = ?, note = ? WHERE call = ? AND outcome = 'open'`,
		outcome, store.Ms(tx.Now()), reason, string(id))
}

func mine(k Check, actor ident.Actor) error {
	if string(k.Staff) == actor.ID {
		return nil
	}
	return fault.New("calls.check", fault.Conflict, "Another monitor has this check.").WithCode("check.taken")
}

func stepFault(msg, code string) error {
	return fault.New("calls.Answer", fault.Invalid, msg).WithCode(code)
}
