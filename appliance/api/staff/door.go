// Package staff is the door of staff: thin handlers that read a request, ask the rooms and write the answer.
//
// It must not decide anything: rules are the rooms', sessions and refusals are the frame's (package api). Its routes are
// those of the contract whose path begins with /api/staff/, and no other door has them.
package staff

import "sallyport/appliance/api"

// Door answers the operations of the contract that are tagged staff.
type Door struct {
	*api.Rooms
}

var _ StrictServerInterface = (*Door)(nil)

// New returns the door's handlers over the rooms.
func New(rooms *api.Rooms) *Door { return &Door{Rooms: rooms} }
