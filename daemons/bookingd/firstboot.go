package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/provisioning/durable"
	"sallyport/provisioning/phases"
)

// found gives an empty database the facility and the rules of the site file. What is there already is left as
// administrators made it.
func (h *house) found(ctx context.Context, log *slog.Logger) error {
	f := h.cfg.Facility
	if f.Name == "" {
		return nil
	}
	country, _ := facility.CountryOf(f.Zone) // Validate has looked
	founded := false
	err := h.db.Update(ctx, func(tx *store.Tx) error {
		founded = false
		if _, err := h.facility.Get(tx); !fault.Is(err, fault.NotFound) {
			return err
		}
		by := ident.System()
		if _, err := h.facility.Put(tx, by, facility.Facility{
			ID: h.outbox.Site(), Name: f.Name, Zone: f.Zone, Country: country, Currency: f.Currency, BookingOpen: true,
		}); err != nil {
			return err
		}
		founded = true
		if _, err := h.policy.Loaded(tx); !fault.Is(err, fault.NotFound) {
			return err
		}
		if err := h.policy.Load(tx, f.Preset, by); err != nil {
			return err
		}
		return h.adjust(tx, by)
	})
	if err != nil {
		return fmt.Errorf("found the facility: %w", err)
	}
	if founded {
		log.Info("the facility of the site file is founded", "op", "bookingd.found")
	}
	return nil
}

// adjust changes the rules of the preset that the site file decides.
func (h *house) adjust(tx *store.Tx, by ident.Actor) error {
	rules, err := h.policy.At(tx, policy.Scope{})
	if err != nil {
		return err
	}
	f := h.cfg.Facility
	change := func(rule, has, want string) error {
		if want == "" || has == want {
			return nil
		}
		_, err := h.policy.Set(tx, by, policy.Change{Rule: rule, Value: want, Scope: policy.ForFacility, Reason: "site file"})
		return err
	}
	if err := change(string(policy.FacilityType), policy.FacilityType.Of(rules), f.Kind); err != nil {
		return err
	}
	if len(f.Languages) == 0 {
		return nil
	}
	if err := change(string(policy.LanguageOffered), strings.Join(policy.LanguageOffered.Of(rules), ","), strings.Join(f.Languages, ",")); err != nil {
		return err
	}
	return change(string(policy.LanguageDefault), policy.LanguageDefault.Of(rules), f.Languages[0])
}

// The files by which the console knows how the appliance stands.
func (h *house) claimFile() string {
	if h.cfg.Claim != "" {
		return h.cfg.Claim
	}
	return filepath.Join(h.cfg.State, filepath.Base(phases.ClaimFile))
}

func (h *house) claimedFile() string {
	return filepath.Join(h.cfg.State, filepath.Base(phases.ClaimedFile))
}

// expectClaim has a code with which somebody in front of the machine becomes its first administrator. It is in a file, not
// in the log: who may read the state folder owns the appliance anyway.
func (h *house) expectClaim(ctx context.Context, log *slog.Logger) error {
	claimed, code := false, ""
	err := h.db.Update(ctx, func(tx *store.Tx) (err error) {
		code = ""
		if claimed, err = h.access.Claimed(tx); err != nil || claimed {
			return err
		}
		if h.cfg.Facility.ClaimSHA != "" {
			expected, err := h.access.ExpectClaim(tx, strings.ToLower(h.cfg.Facility.ClaimSHA))
			if err != nil || expected {
				return err
			}
		}
		code, err = h.access.NewClaim(tx)
		return err
	})
	if err != nil {
		return err
	}
	if claimed {
		return h.showClaim("")
	}
	log.Info("nobody owns this appliance yet; the claim code is in a file of the state folder", "op", "bookingd")
	if code == "" {
		code = phases.InstallersCode
	}
	return h.showClaim(code)
}

// showClaim leaves a new code for the console, or with "" the mark that the appliance has an administrator.
func (h *house) showClaim(code string) error {
	var disk durable.Disk
	if code != "" {
		return disk.Write(h.claimFile(), []byte(code+"\n"), 0o600)
	}
	if _, err := os.Stat(h.claimedFile()); errors.Is(err, fs.ErrNotExist) {
		if err := disk.Write(h.claimedFile(), nil, 0o600); err != nil {
			return err
		}
	}
	return disk.Remove(h.claimFile())
}

// administrator tells whether the appliance has one.
func (h *house) administrator(ctx context.Context, now time.Time) (linkspec.Part, error) {
	claimed := false
	err := h.db.View(ctx, func(tx *store.Tx) (err error) { claimed, err = h.access.Claimed(tx); return err })
	p := linkspec.Part{Name: "administrator", State: "ok", Code: "administrator.there", Detail: "there is one", At: now}
	if !claimed {
		p.State, p.Code, p.Detail = "warn", "administrator.none", "nobody has claimed this box yet: the code is on its screen"
	}
	return p, err
}

// firstBoot tells which phases are not done, and how many are.
func (h *house) firstBoot(now time.Time) []linkspec.Part {
	if h.cfg.Facility.Phases == "" {
		return nil
	}
	results, err := phases.Read(h.cfg.Facility.Phases)
	if err != nil || len(results) == 0 {
		return []linkspec.Part{{Name: "first boot", State: "warn", Code: "boot.unread", Detail: "its results cannot be read", At: now}}
	}
	done := 0
	var parts []linkspec.Part
	for _, r := range results {
		switch {
		case r.State == phases.Done:
			done++
		case r.Phase == phases.Database || r.Phase == phases.Administrator:
			// The parts "setup" and "administrator" are newer than the phases of the last boot.
		default:
			state := "down"
			if r.State == phases.Waiting {
				state = "warn"
			}
			parts = append(parts, linkspec.Part{Name: "first boot: " + r.Phase, State: state, Code: r.Code, Params: r.Params, Detail: r.Says, At: r.At})
		}
	}
	return append([]linkspec.Part{{
		Name: "first boot", State: "ok", Code: "boot.done", Params: map[string]any{"n": done, "of": len(results)},
		Detail: fmt.Sprintf("%d of %d phases are done", done, len(results)), At: now,
	}}, parts...)
}

// unitsOf makes the housing units that a roster names, where the facility has none yet: who brings a roster with the box
// should not have to type its units first.
func (h *house) unitsOf(ctx context.Context, by ident.Actor, roster []byte) error {
	names, err := people.RosterUnits(bytes.NewReader(roster))
	if err != nil {
		return err
	}
	return h.db.Update(ctx, func(tx *store.Tx) error {
		units, err := h.facility.Units(tx)
		if err != nil || len(units) > 0 {
			return err
		}
		for _, name := range names {
			if _, err := h.facility.PutUnit(tx, by, facility.Unit{Name: name}); err != nil {
				return err
			}
		}
		return nil
	})
}
