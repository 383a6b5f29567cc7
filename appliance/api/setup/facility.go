package setup

import (
	"context"
	"strings"

	"sallyport/appliance/api"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// PutFacility names the facility and, the first time, loads its preset. The facility's id is the one under which the
// centre will know the site.
func (d *Door) PutFacility(ctx context.Context, r PutFacilityRequestObject) (PutFacilityResponseObject, error) {
	by := api.From(ctx).Actor()
	b := r.Body
	f := facility.Facility{
		ID: d.Outbox.Site(), Name: strings.TrimSpace(b.Name), Zone: b.Zone, Country: b.Country, Currency: b.Currency, BookingOpen: true,
		Support: facility.Support{Phone: b.Support.Phone, Hours: b.Support.Hours},
	}
	if b.Support.Email != nil {
		f.Support.Email = *b.Support.Email
	}
	var out SetupState
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		before, err := d.Facility.Get(tx)
		switch {
		case err == nil:
			f.ID, f.BookingOpen = before.ID, before.BookingOpen
		case !fault.Is(err, fault.NotFound):
			return err
		}
		if _, err := d.Facility.Put(tx, by, f); err != nil {
			return err
		}
		if err := d.loadPreset(tx, by, string(b.Preset), string(b.Kind)); err != nil {
			return err
		}
		out, err = d.setupState(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return PutFacility200JSONResponse{SetupStateJSONResponse(out)}, nil
}

// loadPreset gives the facility its first rules; afterwards single rules are changed. The kind of facility is a rule.
func (d *Door) loadPreset(tx *store.Tx, by ident.Actor, preset, kind string) error {
	_, err := d.Policy.Loaded(tx)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := d.Policy.Load(tx, preset, by); err != nil {
		return err
	}
	rules, err := d.Policy.At(tx, policy.Scope{})
	if err != nil || policy.FacilityType.Of(rules) == kind {
		return err
	}
	_, err = d.Policy.Set(tx, by, policy.Change{Rule: string(policy.FacilityType), Value: kind, Scope: policy.ForFacility, Reason: "set-up"})
	return err
}

// setupState tells how far the appliance is set up.
func (d *Door) setupState(tx *store.Tx) (SetupState, error) {
	out := SetupState{Now: tx.Now(), Zones: facility.Zones()}
	var err error
	if out.Claimed, err = d.Access.Claimed(tx); err != nil {
		return out, err
	}
	f, err := d.Facility.Get(tx)
	if fault.Is(err, fault.NotFound) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	preset, err := d.Policy.Loaded(tx)
	if err != nil {
		return out, err
	}
	rules, err := d.Policy.At(tx, policy.Scope{})
	if err != nil {
		return out, err
	}
	public := api.Public(f, rules)
	out.Preset, out.Facility = &preset, &public
	return out, nil
}
