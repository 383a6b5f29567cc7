package setup

import (
	"context"
)

// ListSetupHours answers when visits take place.
func (d *Door) ListSetupHours(ctx context.Context, _ ListSetupHoursRequestObject) (ListSetupHoursResponseObject, error) {
	out, err := d.Hours(ctx)
	return ListSetupHours200JSONResponse(out), err
}

// AddSetupTemplate makes a session template and its slots.
func (d *Door) AddSetupTemplate(ctx context.Context, r AddSetupTemplateRequestObject) (AddSetupTemplateResponseObject, error) {
	out, err := d.AddTemplate(ctx, *r.Body)
	return AddSetupTemplate201JSONResponse(out), err
}

// CountSetupStanding counts the visits on a template after a day.
func (d *Door) CountSetupStanding(ctx context.Context, r CountSetupStandingRequestObject) (CountSetupStandingResponseObject, error) {
	out, err := d.StandingAfter(ctx, r.Template, r.Params.After)
	return CountSetupStanding200JSONResponse(out), err
}

// EndSetupTemplate ends a template after a day.
func (d *Door) EndSetupTemplate(ctx context.Context, r EndSetupTemplateRequestObject) (EndSetupTemplateResponseObject, error) {
	out, err := d.EndTemplate(ctx, r.Template, r.Body.Last)
	return EndSetupTemplate200JSONResponse(out), err
}

// AddSetupClosure closes a span of time.
func (d *Door) AddSetupClosure(ctx context.Context, r AddSetupClosureRequestObject) (AddSetupClosureResponseObject, error) {
	out, err := d.AddClosure(ctx, *r.Body)
	return AddSetupClosure201JSONResponse(out), err
}

// LiftSetupClosure opens a closed span again.
func (d *Door) LiftSetupClosure(ctx context.Context, r LiftSetupClosureRequestObject) (LiftSetupClosureResponseObject, error) {
	return LiftSetupClosure204Response{}, d.LiftClosure(ctx, r.Closure)
}
