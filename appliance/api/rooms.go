package api

import (
	"sallyport/appliance/clock"
	"sallyport/appliance/store"
)

// Rooms is what the doors may use. bookingd fills it once; nothing in it changes afterwards.
type Rooms struct {
	DB    *store.DB
	Clock clock.Clock
}
