package setup

import (
	"context"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// ListStaff lists all accounts by name.
func (d *Door) ListStaff(ctx context.Context, _ ListStaffRequestObject) (ListStaffResponseObject, error) {
	out := ListStaff200JSONResponse{Staff: []StaffMember{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, err := d.Access.StaffList(tx)
		for _, s := range list {
			out.Staff = append(out.Staff, member(api.From(ctx).Actor(), s))
		}
		return err
	})
	return out, err
}

// InviteStaff makes an account and the code with which its owner turns it on.
func (d *Door) InviteStaff(ctx context.Context, r InviteStaffRequestObject) (InviteStaffResponseObject, error) {
	s := access.Staff{Name: r.Body.Name, Username: r.Body.Username}
	for _, role := range r.Body.Roles {
		s.Roles = append(s.Roles, string(role))
	}
	out, err := d.invite(ctx, func(tx *store.Tx, by ident.Actor) (access.Staff, access.Invitation, error) {
		return d.Access.InviteStaff(tx, by, s)
	})
	return InviteStaff201JSONResponse(out), err
}

// ResetStaff makes password and second factor void and answers the code that makes new ones.
func (d *Door) ResetStaff(ctx context.Context, r ResetStaffRequestObject) (ResetStaffResponseObject, error) {
	id, err := ident.Parse[ident.Staff](r.Staff)
	if err != nil {
		return nil, err
	}
	out, err := d.invite(ctx, func(tx *store.Tx, by ident.Actor) (access.Staff, access.Invitation, error) {
		return d.Access.ResetStaff(tx, by, id)
	})
	return ResetStaff201JSONResponse(out), err
}

func (d *Door) invite(ctx context.Context, do func(*store.Tx, ident.Actor) (access.Staff, access.Invitation, error)) (out StaffInvitation, err error) {
	by := api.From(ctx).Actor()
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		s, i, err := do(tx, by)
		out = StaffInvitation{Staff: member(by, s), Code: i.Code, Expires: i.Expires}
		return err
	})
	return out, err
}

// ChangeStaff gives an account another name or other roles.
func (d *Door) ChangeStaff(ctx context.Context, r ChangeStaffRequestObject) (ChangeStaffResponseObject, error) {
	roles := []string{}
	for _, role := range r.Body.Roles {
		roles = append(roles, string(role))
	}
	out, err := d.change(ctx, r.Staff, func(tx *store.Tx, by ident.Actor, id ident.Staff) error {
		_, err := d.Access.ChangeStaff(tx, by, id, r.Body.Name, roles)
		return err
	})
	return ChangeStaff200JSONResponse(out), err
}

// DisableStaff closes an account.
func (d *Door) DisableStaff(ctx context.Context, r DisableStaffRequestObject) (DisableStaffResponseObject, error) {
	out, err := d.change(ctx, r.Staff, func(tx *store.Tx, by ident.Actor, id ident.Staff) error {
		return d.Access.DisableStaff(tx, by, id, "")
	})
	return DisableStaff200JSONResponse(out), err
}

// EnableStaff opens an account again.
func (d *Door) EnableStaff(ctx context.Context, r EnableStaffRequestObject) (EnableStaffResponseObject, error) {
	out, err := d.change(ctx, r.Staff, d.Access.EnableStaff)
	return EnableStaff200JSONResponse(out), err
}

// change runs one act on an account and answers how it stands then.
func (d *Door) change(ctx context.Context, staff string, act func(*store.Tx, ident.Actor, ident.Staff) error) (out StaffMember, err error) {
	id, err := ident.Parse[ident.Staff](staff)
	if err != nil {
		return out, err
	}
	by := api.From(ctx).Actor()
	err = d.DB.Update(ctx, func(tx *store.Tx) error {
		if err := act(tx, by, id); err != nil {
			return err
		}
		s, err := d.Access.Staff(tx, id)
		out = member(by, s)
		return err
	})
	return out, err
}

func member(by ident.Actor, s access.Staff) StaffMember {
	out := StaffMember{Id: string(s.ID), Name: s.Name, Username: s.Username, Roles: s.Roles, State: StaffMemberStateActive, Own: by.ID == string(s.ID)}
	switch {
	case s.Disabled:
		out.State = StaffMemberStateDisabled
	case !s.Active:
		out.State = StaffMemberStateInvited
	}
	if !s.Invited.IsZero() {
		out.InvitedUntil = &s.Invited
	}
	if !s.Last.IsZero() {
		out.LastSignIn = &s.Last
	}
	return out
}
