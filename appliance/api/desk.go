package api

import (
	"context"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// What the doors of staff and of set-up both answer stands here once, in the contract's words: the generated types of the
// two doors are these (x-go-type in the contract).

// StaffSession says who is signed in and what is still to do.
type StaffSession struct {
	Stage        string    `json:"stage"`
	Csrf         string    `json:"csrf"`
	IdleS        int       `json:"idle_s"`
	Expires      time.Time `json:"expires"`
	Name         *string   `json:"name,omitempty"`
	Staff        *string   `json:"staff,omitempty"`
	Roles        []string  `json:"roles"`
	Capabilities []string  `json:"capabilities"`
}

// EnterStaff takes a step of the sign-in: the browser gets the new secret, and the answer says what is still to do.
func (r *Rooms) EnterStaff(ctx context.Context, e access.Entry) (StaffSession, error) {
	From(ctx).SetSession(e.Secret, e.Expires.Sub(r.Clock.Now()))
	return r.StaffSession(ctx, e.Session)
}

// LeaveStaff ends the session.
func (r *Rooms) LeaveStaff(ctx context.Context) error {
	q := From(ctx)
	if err := r.Access.SignOut(ctx, q.Session); err != nil {
		return err
	}
	q.ClearSession()
	return nil
}

// StaffSession describes a session; who it is of and what they can do is told only after the second factor.
func (r *Rooms) StaffSession(ctx context.Context, s access.Session) (StaffSession, error) {
	out := StaffSession{Stage: s.Stage, Csrf: s.CSRF, IdleS: int(s.Idle.Seconds()), Expires: s.Expires, Roles: []string{}, Capabilities: []string{}}
	if s.Stage != access.StageFull {
		return out, nil
	}
	out.Roles, out.Capabilities, out.Staff = s.Actor.Roles, access.Capabilities(s.Actor), &s.Actor.ID
	err := r.DB.View(ctx, func(tx *store.Tx) error {
		who, err := r.Access.Staff(tx, ident.Staff(s.Actor.ID))
		out.Name = &who.Name
		return err
	})
	return out, err
}
