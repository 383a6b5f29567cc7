package update

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
)

// Settle compares at each start what runs with what is on trial, and says in words what it made of it, "" for nothing.
// A version that is not the one that came up, and has failed or has no tries left, is refused from now on.
func (b *Box) Settle() (said string, err error) {
	running, err := b.Running()
	if err != nil {
		return "", err
	}
	err = b.change(func(s *State) error {
		t := s.Trial
		if t == nil {
			if s.Current.Zero() {
				s.Current = running.Version
			}
			return nil
		}
		switch {
		case t.Version == running.Version:
			t.Starts++
			said = fmt.Sprintf("Version %v is on trial; %v is kept beside it.", t.Version, t.From)
			return nil
		case t.Version.Older(running.Version):
			s.Trial = nil // something newer runs: nobody waits for a verdict any more
			return nil
		case !t.Installed:
			said = fmt.Sprintf("Version %v was not installed to the end. Install it again.", t.Version)
			return nil
		}
		e, there, err := b.entry(t.Version)
		if err != nil {
			return err
		}
		said, err = b.comeBack(s, e, there)
		return err
	})
	return said, err
}

// comeBack decides about a version on trial that is not the one that runs.
func (b *Box) comeBack(s *State, e Entry, there bool) (said string, err error) {
	t := *s.Trial
	refuse := func(why string) (string, error) {
		s.refuse(t.Version, why, b.Clock.Now().UTC())
		return fmt.Sprintf("Back on version %v: %v is refused (%s).", t.From, t.Version, why), b.spend(t.Version)
	}
	switch {
	case t.Failed != "":
		return refuse(t.Failed)
	case !there:
		s.Trial = nil
		return fmt.Sprintf("Version %v is gone from the loader; its trial is over.", t.Version), nil
	case e.Counted && e.Left > 0 || !e.Counted:
		return fmt.Sprintf("Version %v is installed and starts next.", t.Version), nil
	case t.Starts == 0:
		return refuse("it did not start")
	case s.Interrupted == t.Version:
		return refuse("its trial ended twice without a verdict")
	}
	// It came up and was cut off before it was asked: the power went. That says nothing about the version.
	s.Trial, s.Interrupted = nil, t.Version
	return fmt.Sprintf("Back on version %v: the trial of %v was interrupted. It may be installed once more.", t.From, t.Version), nil
}

// Fail notes the failed check of the version that runs, while it is on trial. The loader decides whether it has another
// try; without one it is refused at once. It returns NotFound when what runs is not on trial: a version that was good
// yesterday is not given up for a fault of today.
func (b *Box) Fail(why string) (said string, err error) {
	running, err := b.Running()
	if err != nil {
		return "", err
	}
	e, there, err := b.entry(running.Version)
	if err != nil {
		return "", err
	}
	if why == "" {
		why = "its health check failed"
	}
	err = b.change(func(s *State) error {
		if s.Trial == nil || s.Trial.Version != running.Version {
			return fault.Newf("update.Fail", fault.NotFound, "Version %v is not on trial.", running.Version)
		}
		s.Trial.Failed = why
		said = fmt.Sprintf("Version %v failed: %s.", running.Version, why)
		if there && e.Counted && e.Left == 0 {
			s.refuse(running.Version, why, b.Clock.Now().UTC())
			said += " It is refused from now on."
		}
		return nil
	})
	return said, err
}

// Keep ends the trial of the version that runs, after its good verdict, and clears away what it was installed from.
func (b *Box) Keep() (said string, err error) {
	running, err := b.Running()
	if err != nil {
		return "", err
	}
	// Before the trial is over, so that a cut here repeats it; what becomes of it says nothing about the version.
	loader, lerr := b.renewLoader(running.Version)
	if lerr != nil {
		loader = fmt.Sprintf("The loader is left as it is: %v.", lerr)
	}
	kept := false
	err = b.change(func(s *State) error {
		if s.Current != running.Version {
			s.Previous, s.Current = s.Current, running.Version
		}
		// A first try may have failed for a reason that is gone.
		s.Refused = slices.DeleteFunc(s.Refused, func(r Refusal) bool { return r.Version == running.Version })
		if s.Interrupted == running.Version {
			s.Interrupted = bundle.Version{}
		}
		if s.Trial != nil && s.Trial.Version == running.Version {
			kept, s.Trial = true, nil
			said = strings.TrimSpace(fmt.Sprintf("Version %v is kept. %s", running.Version, loader))
		}
		return nil
	})
	if err != nil || !kept {
		return said, err
	}
	if err := os.RemoveAll(b.ready()); err != nil {
		return said, fmt.Errorf("clear away an update: %w", err)
	}
	return said, b.tidy()
}

// Refuse keeps a version from being installed or started, by an administrator's word.
func (b *Box) Refuse(v bundle.Version, why string) error {
	return b.change(func(s *State) error {
		if err := b.spend(v); err != nil {
			return err
		}
		s.refuse(v, why, b.Clock.Now().UTC())
		return nil
	})
}

// Clear takes a refusal back. It returns NotFound when there is none.
func (b *Box) Clear(v bundle.Version) error {
	return b.change(func(s *State) error {
		if _, ok := s.Refusal(v); !ok {
			return fault.Newf("update.Clear", fault.NotFound, "Version %v is not refused.", v)
		}
		s.Refused = slices.DeleteFunc(s.Refused, func(r Refusal) bool { return r.Version == v })
		return nil
	})
}
