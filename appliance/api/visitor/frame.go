package visitor

import (
	"context"
	"slices"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/facility"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// GetVisitorConfig tells the pages what they need before anybody signs in.
func (d *Door) GetVisitorConfig(ctx context.Context, r GetVisitorConfigRequestObject) (GetVisitorConfigResponseObject, error) {
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
	language := policy.LanguageDefault.Of(rules)
	if r.Params.Language != nil && slices.Contains(policy.LanguageOffered.Of(rules), string(*r.Params.Language)) {
		language = string(*r.Params.Language)
	}
	version, texts := visits.Statements(language)
	own := Statements{Version: version}
	for _, s := range texts {
		own.Items = append(own.Items, Statement(s))
	}
	return GetVisitorConfig200JSONResponse{VisitorConfigJSONResponse{
		Facility: api.Public(f, rules), Now: now, Language: Language(language), Languages: as[Language](policy.LanguageOffered.Of(rules)),
		Terms: *statements(access.Terms(language)), Agreement: *statements(access.Agreement(language)), VisitRules: own, Tips: visits.Tips(language),
		Classes: policy.ServiceClasses.Of(rules), PinLength: policy.PINVisitorLength.Of(rules), MinAge: policy.AccountMinAge.Of(rules),
		WindowDays: policy.BookingWindowMaxDays.Of(rules), Lengths: policy.VisitLengthsMin.Of(rules), PartyMax: policy.VisitPartyMax.Of(rules),
		IdDocuments: documentKinds(policy.IDRequiredDocs.Of(rules)), IdSlaHours: int(policy.IDSLA.Of(rules) / time.Hour),
		EarlyJoinMinutes: int(policy.VisitEarlyJoin.Of(rules) / time.Minute), MobileOnly: policy.DeviceVisitorAllowed.Of(rules) == "mobile",
		Zones: facility.Zones(),
	}}, nil
}

// documentKinds are the pictures that the page always asks for; the address follows only where a moderator asks.
func documentKinds(required []string) []DocumentKind {
	return as[DocumentKind](slices.DeleteFunc(slices.Clone(required), func(k string) bool { return k == "address_if_missing" }))
}

func as[T ~string](in []string) []T {
	out := make([]T, 0, len(in))
	for _, s := range in {
		out = append(out, T(s))
	}
	return out
}
