package setup

import (
	"context"
	"slices"
	"strings"

	"sallyport/appliance/api"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// ListUnits lists the housing units with what is in each.
func (d *Door) ListUnits(ctx context.Context, _ ListUnitsRequestObject) (ListUnitsResponseObject, error) {
	var out Units
	err := d.DB.View(ctx, func(tx *store.Tx) (err error) { out.Units, err = d.UnitList(tx); return err })
	return ListUnits200JSONResponse(out), err
}

// AddUnit adds a housing unit.
func (d *Door) AddUnit(ctx context.Context, r AddUnitRequestObject) (AddUnitResponseObject, error) {
	out, err := d.putUnit(ctx, "", r.Body.Name)
	return AddUnit201JSONResponse(out), err
}

// RenameUnit gives a housing unit another name.
func (d *Door) RenameUnit(ctx context.Context, r RenameUnitRequestObject) (RenameUnitResponseObject, error) {
	id, err := ident.Parse[ident.Unit](r.Unit)
	if err != nil {
		return nil, err
	}
	out, err := d.putUnit(ctx, id, r.Body.Name)
	return RenameUnit200JSONResponse(out), err
}

func (d *Door) putUnit(ctx context.Context, id ident.Unit, name string) (out api.Unit, err error) {
	by := api.From(ctx).Actor()
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		if id != "" {
			if _, err := d.Facility.Unit(tx, id); err != nil {
				return err
			}
		}
		u, err := d.Facility.PutUnit(tx, by, facility.Unit{ID: id, Name: strings.TrimSpace(name)})
		if err != nil {
			return err
		}
		list, err := d.UnitList(tx)
		if i := slices.IndexFunc(list, func(one api.Unit) bool { return one.ID == string(u.ID) }); i >= 0 {
			out = list[i]
		}
		return err
	})
	return out, err
}

// RemoveUnit takes away a housing unit that nothing has ever stood in.
func (d *Door) RemoveUnit(ctx context.Context, r RemoveUnitRequestObject) (RemoveUnitResponseObject, error) {
	id, err := ident.Parse[ident.Unit](r.Unit)
	if err != nil {
		return nil, err
	}
	err = d.DB.Update(ctx, func(tx *store.Tx) error { return d.Facility.RemoveUnit(tx, api.From(ctx).Actor(), id) })
	return RemoveUnit204Response{}, err
}

// GetOpening answers when visits may take place at all.
func (d *Door) GetOpening(ctx context.Context, _ GetOpeningRequestObject) (GetOpeningResponseObject, error) {
	out, err := d.Opening(ctx)
	return GetOpening200JSONResponse(out), err
}

// PutOpening replaces the opening hours.
func (d *Door) PutOpening(ctx context.Context, r PutOpeningRequestObject) (PutOpeningResponseObject, error) {
	out, err := d.SetOpening(ctx, *r.Body)
	return PutOpening200JSONResponse(out), err
}
