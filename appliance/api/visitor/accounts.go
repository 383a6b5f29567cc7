package visitor

import (
	"context"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/phone"
	"sallyport/appliance/store"
)

// browserCookie is the part of the cookie's name that holds a known browser's secret, and browserAge how long it is kept.
const (
	browserCookie = "browser"
	browserAge    = 365 * 24 * time.Hour
)

// RegisterVisitor makes an account; the answer is the same where the number or address is in use.
func (d *Door) RegisterVisitor(ctx context.Context, r RegisterVisitorRequestObject) (RegisterVisitorResponseObject, error) {
	b := r.Body
	return RegisterVisitor202Response{}, d.Access.Register(ctx, access.Registration{
		First: b.FirstName, Last: b.LastName, Born: b.DateOfBirth, Phone: b.Phone, Email: b.Email, PIN: b.Pin,
		Language: string(b.Language), Zone: b.Zone, TermsVersion: b.Terms.Version, Ticked: b.Terms.Ticked,
	})
}

// ActivateVisitor turns an account on by the secret of its mail; this browser is known from then on.
func (d *Door) ActivateVisitor(ctx context.Context, r ActivateVisitorRequestObject) (ActivateVisitorResponseObject, error) {
	browser, err := d.Access.Activate(ctx, r.Body.Token)
	if err != nil {
		return nil, err
	}
	api.From(ctx).SetCookie(browserCookie, browser, browserAge)
	return ActivateVisitor204Response{}, nil
}

// ResendActivation sends the activation mail again where there is an account that waits for it.
func (d *Door) ResendActivation(ctx context.Context, r ResendActivationRequestObject) (ResendActivationResponseObject, error) {
	return ResendActivation202Response{}, d.Access.ResendActivation(ctx, r.Body.Email)
}

// SignInVisitor looks at phone number and PIN.
func (d *Door) SignInVisitor(ctx context.Context, r SignInVisitorRequestObject) (SignInVisitorResponseObject, error) {
	e, err := d.Access.SignInVisitor(ctx, r.Body.Phone, r.Body.Pin, api.From(ctx).Cookie(browserCookie))
	if err != nil {
		return nil, err
	}
	s, err := d.entered(ctx, e)
	return SignInVisitor200JSONResponse{VisitorSessionJSONResponse(s)}, err
}

// GetVisitorSession says who is signed in and what is still to do.
func (d *Door) GetVisitorSession(ctx context.Context, _ GetVisitorSessionRequestObject) (GetVisitorSessionResponseObject, error) {
	s, err := d.session(ctx, api.From(ctx).Session)
	return GetVisitorSession200JSONResponse{VisitorSessionJSONResponse(s)}, err
}

// SignOutVisitor ends the session.
func (d *Door) SignOutVisitor(ctx context.Context, _ SignOutVisitorRequestObject) (SignOutVisitorResponseObject, error) {
	r := api.From(ctx)
	if err := d.Access.SignOut(ctx, r.Session); err != nil {
		return nil, err
	}
	r.ClearSession()
	return SignOutVisitor204Response{}, nil
}

// ConfirmBrowser takes the mailed code of a new browser.
func (d *Door) ConfirmBrowser(ctx context.Context, r ConfirmBrowserRequestObject) (ConfirmBrowserResponseObject, error) {
	e, err := d.Access.ConfirmBrowser(ctx, api.From(ctx).Session, r.Body.Code)
	if err != nil {
		return nil, err
	}
	s, err := d.entered(ctx, e)
	return ConfirmBrowser200JSONResponse{VisitorSessionJSONResponse(s)}, err
}

// ResendBrowserCode mails another code.
func (d *Door) ResendBrowserCode(ctx context.Context, _ ResendBrowserCodeRequestObject) (ResendBrowserCodeResponseObject, error) {
	_, err := d.Access.ResendCode(ctx, api.From(ctx).Session)
	return ResendBrowserCode202Response{}, err
}

// AcceptAgreement takes the ticked boxes of the sign-in agreement.
func (d *Door) AcceptAgreement(ctx context.Context, r AcceptAgreementRequestObject) (AcceptAgreementResponseObject, error) {
	e, err := d.Access.Agree(ctx, api.From(ctx).Session, r.Body.Version, r.Body.Ticked)
	if err != nil {
		return nil, err
	}
	s, err := d.entered(ctx, e)
	return AcceptAgreement200JSONResponse{VisitorSessionJSONResponse(s)}, err
}

// PutProfile changes language and time zone.
func (d *Door) PutProfile(ctx context.Context, r PutProfileRequestObject) (PutProfileResponseObject, error) {
	by := api.From(ctx).Actor()
	var out VisitorProfile
	err := d.DB.Update(ctx, func(tx *store.Tx) error {
		v, err := d.People.Visitor(tx, ident.Visitor(by.ID))
		if err != nil {
			return err
		}
		language, zone := v.Language, v.Zone
		if r.Body.Language != nil {
			language = string(*r.Body.Language)
		}
		if r.Body.Zone != nil {
			zone = *r.Body.Zone
		}
		if v, err = d.People.SetProfile(tx, by, v.ID, language, zone); err != nil {
			return err
		}
		out, err = d.profile(tx, v)
		return err
	})
	return PutProfile200JSONResponse{VisitorProfileJSONResponse(out)}, err
}

// entered gives the browser what a step of signing in made, and answers with the session.
func (d *Door) entered(ctx context.Context, e access.Entry) (VisitorSession, error) {
	r := api.From(ctx)
	r.SetSession(e.Secret, e.Expires.Sub(d.Clock.Now()))
	if e.Browser != "" {
		r.SetCookie(browserCookie, e.Browser, browserAge)
	}
	return d.session(ctx, e.Session)
}

// session describes a session; who it is of is told only when all secrets were shown.
func (d *Door) session(ctx context.Context, s access.Session) (VisitorSession, error) {
	out := VisitorSession{Stage: VisitorSessionStage(s.Stage), Csrf: s.CSRF, IdleS: int(s.Idle.Seconds()), Expires: s.Expires}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		if s.Stage == access.StageDeviceCode {
			to, err := d.Access.SentTo(tx, s)
			out.CodeSentTo = &to
			return err
		}
		v, err := d.People.Visitor(tx, ident.Visitor(s.Actor.ID))
		if err != nil {
			return err
		}
		p, err := d.profile(tx, v)
		if err != nil {
			return err
		}
		out.Visitor = &p
		if s.Stage == access.StageAgreement {
			out.Agreement = statements(access.Agreement(v.Language))
		}
		return nil
	})
	return out, err
}

func (d *Door) profile(tx *store.Tx, v people.Visitor) (VisitorProfile, error) {
	f, err := d.Facility.Get(tx)
	return VisitorProfile{
		Id: string(v.ID), FirstName: v.First, LastName: v.Last, Email: v.Email, Phone: phone.Display(v.Phone, f.Country),
		Zone: v.Zone, Language: Language(v.Language), State: v.State, Identity: v.Identity,
	}, err
}

func statements(s access.Statements) *Statements {
	out := &Statements{Version: s.Version, Items: make([]Statement, len(s.Items))}
	for i, one := range s.Items {
		out.Items[i] = Statement{Key: one.Key, Text: one.Text}
	}
	return out
}
