package setup

import (
	"context"

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
