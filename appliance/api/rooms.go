package api

import (
	"context"

	"sallyport/appliance/access"
	"sallyport/appliance/calls"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/moderation"
	"sallyport/appliance/notices"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/recordings"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// Rooms is what the doors may use. bookingd fills it once; nothing in it changes afterwards.
type Rooms struct {
	DB       *store.DB
	Clock    clock.Clock
	Facility *facility.Facilities
	Policy   *policy.Policy
	People   *people.People
	Access   *access.Access
	Schedule *schedule.Schedule
	Cases    *moderation.Cases
	Notices  *notices.Notices
	Visits   *visits.Visits

	RosterSample []byte // a roster file to copy

	Calls      *calls.Calls
	Recordings *recordings.Recordings
	Outbox     *outbox.Outbox                                     // its state for the sync card
	Health     func(ctx context.Context) (linkspec.Status, error) // every part in words

	Versions func() (linkspec.Versions, error)           // how the versions of this box stand
	Ask      func(request linkspec.VersionRequest) error // leaves a request about them for whoever has the rights
}
