package staff

import (
	"context"

	"sallyport/appliance/api"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// GetStaffConfig tells the console the facility and the clock.
func (d *Door) GetStaffConfig(ctx context.Context, _ GetStaffConfigRequestObject) (GetStaffConfigResponseObject, error) {
	var out StaffConfig
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		f, err := d.Facility.Get(tx)
		if err != nil {
			return err
		}
		rules, err := d.Policy.At(tx, policy.Scope{})
		if err != nil {
			return err
		}
		out.Now = tx.Now()
		out.Facility = api.Public(f, rules)
		out.Preset, err = d.Policy.Loaded(tx)
		return err
	})
	return GetStaffConfig200JSONResponse(out), err
}
