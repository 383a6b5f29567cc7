package staff

import (
	"context"
)

// ListStaffHours answers when visits take place.
func (d *Door) ListStaffHours(ctx context.Context, _ ListStaffHoursRequestObject) (ListStaffHoursResponseObject, error) {
	out, err := d.Hours(ctx)
	return ListStaffHours200JSONResponse(out), err
}

// AddStaffTemplate makes a session template and its slots.
func (d *Door) AddStaffTemplate(ctx context.Context, r AddStaffTemplateRequestObject) (AddStaffTemplateResponseObject, error) {
	out, err := d.AddTemplate(ctx, *r.Body)
	return AddStaffTemplate201JSONResponse(out), err
}

// CountStaffStanding counts the visits on a template after a day.
func (d *Door) CountStaffStanding(ctx context.Context, r CountStaffStandingRequestObject) (CountStaffStandingResponseObject, error) {
	out, err := d.StandingAfter(ctx, r.Template, r.Params.After)
	return CountStaffStanding200JSONResponse(out), err
}

// EndStaffTemplate ends a template after a day.
func (d *Door) EndStaffTemplate(ctx context.Context, r EndStaffTemplateRequestObject) (EndStaffTemplateResponseObject, error) {
	out, err := d.EndTemplate(ctx, r.Template, r.Body.Last)
	return EndStaffTemplate200JSONResponse(out), err
}

// AddStaffClosure closes a span of time.
func (d *Door) AddStaffClosure(ctx context.Context, r AddStaffClosureRequestObject) (AddStaffClosureResponseObject, error) {
	out, err := d.AddClosure(ctx, *r.Body)
	return AddStaffClosure201JSONResponse(out), err
}

// LiftStaffClosure opens a closed span again.
func (d *Door) LiftStaffClosure(ctx context.Context, r LiftStaffClosureRequestObject) (LiftStaffClosureResponseObject, error) {
	return LiftStaffClosure204Response{}, d.LiftClosure(ctx, r.Closure)
}
