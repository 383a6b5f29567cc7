package link_test

import (
	"testing"

	"sallyport/appliance/access"
	"sallyport/appliance/audit"
	"sallyport/appliance/facility"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/link"
	"sallyport/appliance/moderation"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/record"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/appliance/visits"
)

func TestCancelVisitOfNothing(t *testing.T) {
	db := storetest.Open(t, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, access.Schema, schedule.Schema, moderation.Schema, visits.Schema)
	execute := link.CancelVisit(visits.New(visits.Deps{Facility: facility.New(), Policy: policy.New()}))
	for _, tt := range []struct {
		name    string
		subject string
		body    []byte
		want    fault.Kind
	}{
		{"no such visit", string(ident.New[ident.Visit]()), nil, fault.NotFound},
		{"not a visit", string(ident.New[ident.Inmate]()), nil, fault.Invalid},
		{"a damaged body", string(ident.New[ident.Visit]()), []byte{0xff}, fault.Invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				_, err := execute(tx, record.Command{Subject: tt.subject, Body: tt.body, Issuer: "officer"})
				return err
			})
			if !fault.Is(err, tt.want) {
				t.Errorf("CancelVisit = %v, want %v", err, tt.want)
			}
		})
	}
}
