package setup

import (
	"context"
	"time"

	"sallyport/appliance/store"
)

// GetSetupState tells how far the appliance is set up; the page needs it before anybody can sign in.
func (d *Door) GetSetupState(ctx context.Context, _ GetSetupStateRequestObject) (GetSetupStateResponseObject, error) {
	var out SetupState
	if err := d.DB.View(ctx, func(tx *store.Tx) (err error) { out, err = d.setupState(tx); return err }); err != nil {
		return nil, err
	}
	return GetSetupState200JSONResponse{SetupStateJSONResponse(out)}, nil
}

// GetSetupProgress answers what there is of each step.
func (d *Door) GetSetupProgress(ctx context.Context, _ GetSetupProgressRequestObject) (GetSetupProgressResponseObject, error) {
	var out SetupProgress
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		units, err := d.UnitList(tx)
		if err != nil {
			return err
		}
		for _, u := range units {
			out.Inmates += u.Inmates
		}
		stations, err := d.StationList(tx)
		if err != nil {
			return err
		}
		for _, s := range stations {
			if s.Enrolled {
				out.Devices++
			}
		}
		opening, err := d.Facility.Opening(tx)
		if err != nil {
			return err
		}
		out.Units, out.Stations, out.Opening = len(units), len(stations), len(opening)
		staff, err := d.Access.StaffList(tx)
		if err != nil {
			return err
		}
		for _, s := range staff {
			switch {
			case s.Disabled:
			case s.Active:
				out.Staff++
			default:
				out.Invited++
			}
		}
		templates, err := d.Schedule.Templates(tx)
		for _, t := range templates {
			if t.To == "" || t.To >= tx.Now().AddDate(0, 0, -1).Format(time.DateOnly) {
				out.Templates++
			}
		}
		return err
	})
	return GetSetupProgress200JSONResponse(out), err
}
