package api

import (
	"io/fs"

	"sallyport/appliance/access"
	"sallyport/appliance/audit"
	"sallyport/appliance/calls"
	"sallyport/appliance/facility"
	"sallyport/appliance/moderation"
	"sallyport/appliance/notices"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/recordings"
	"sallyport/appliance/schedule"
	"sallyport/appliance/visits"
)

// Schemas are the tables of all rooms behind the doors; store applies them in the order of their numbers. There is one
// list, so that whoever opens the database migrates all of it.
func Schemas() []fs.FS {
	return []fs.FS{
		audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, access.Schema, schedule.Schema, moderation.Schema,
		visits.Schema, calls.Schema, recordings.Schema, notices.Schema,
	}
}
