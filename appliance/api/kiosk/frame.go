package kiosk

import (
	"context"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// GetKioskConfig tells the kiosk what it needs before anybody signs in, and whether it is a station of the facility.
func (d *Door) GetKioskConfig(ctx context.Context, _ GetKioskConfigRequestObject) (GetKioskConfigResponseObject, error) {
	var f facility.Facility
	var rules policy.Rules
	var now time.Time
	err := d.DB.View(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now()
		if f, err = d.Facility.Get(tx); err != nil {
			return err
		}
		rules, err = d.Policy.At(tx, policy.Scope{})
		return err
	})
	if err != nil {
		return nil, err
	}
	out := KioskConfig{
		Facility: api.Public(f, rules), Now: now, Language: Language(policy.LanguageDefault.Of(rules)), PinLength: policy.PINInmateLength.Of(rules),
		IdleWarnS: int(policy.KioskIdleWarn.Of(rules) / time.Second), IdleEndS: int(policy.KioskIdleEnd.Of(rules) / time.Second),
	}
	for _, l := range policy.LanguageOffered.Of(rules) {
		out.Languages = append(out.Languages, Language(l))
	}
	station, err := d.Access.Device(ctx, api.From(ctx).Cookie(deviceCookie))
	switch {
	case err == nil:
		out.Enrolled, out.Station = true, &station.Name
	case !fault.Is(err, fault.Unauthenticated):
		return nil, err
	}
	return GetKioskConfig200JSONResponse{KioskConfigJSONResponse(out)}, nil
}
