package api

import (
	"sallyport/appliance/facility"
	"sallyport/appliance/policy"
)

// FacilityPublic is what each door's pages tell anybody about the facility. The generated types of all doors are this one
// (x-go-type in the contract).
type FacilityPublic struct {
	Name     string  `json:"name"`
	Kind     string  `json:"kind"` // jail or prison: the pages' words for people differ
	Zone     string  `json:"zone"`
	Country  string  `json:"country"`
	Currency string  `json:"currency"`
	Support  Support `json:"support"`
}

// Support is whom families ask for help, the same on every page.
type Support struct {
	Phone string  `json:"phone"`
	Hours string  `json:"hours"`
	Email *string `json:"email,omitempty"`
}

// Public is a facility in the contract's words.
func Public(f facility.Facility, rules policy.Rules) FacilityPublic {
	out := FacilityPublic{
		Name: f.Name, Kind: policy.FacilityType.Of(rules), Zone: f.Zone, Country: f.Country, Currency: f.Currency,
		Support: Support{Phone: f.Support.Phone, Hours: f.Support.Hours},
	}
	if f.Support.Email != "" {
		out.Support.Email = &f.Support.Email
	}
	return out
}
