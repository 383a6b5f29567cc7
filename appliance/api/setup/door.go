// Package setup is the door of installers and administrators: thin handlers that read a request, ask the rooms and write the answer.
//
// It must not decide anything: rules are the rooms', sessions and refusals are the frame's (package api). Its routes are
// those of the contract whose path begins with /api/setup/, and no other door has them.
package setup

import "sallyport/appliance/api"

// Door answers the operations of the contract that are tagged setup.
type Door struct {
	*api.Rooms
}

var _ StrictServerInterface = (*Door)(nil)

// New returns the door's handlers over the rooms.
func New(rooms *api.Rooms) *Door { return &Door{Rooms: rooms} }
