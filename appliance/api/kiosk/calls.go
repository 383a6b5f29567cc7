package kiosk

import (
	"context"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/calls"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// JoinKioskCall gives the inmate's seat in the call of a visit, at the device where the inmate is signed in.
func (d *Door) JoinKioskCall(ctx context.Context, r JoinKioskCallRequestObject) (JoinKioskCallResponseObject, error) {
	from := api.From(ctx)
	t, err := d.Calls.Join(ctx, from.Actor(), ident.Visit(r.Visit), from.Session.Station, r.Body.Fingerprint)
	if err != nil {
		return nil, err
	}
	if err := d.Access.Busy(ctx, from.Session, t.Ends); err != nil {
		return nil, err
	}
	call, ref, peer := string(t.Call), t.Ref, t.Peer
	return JoinKioskCall200JSONResponse{TicketJSONResponse{
		Grant: t.Grant, Signaling: t.Signaling, IceServers: []IceServer{}, Seat: string(t.Seat), Recorded: t.Recorded,
		NoticeVersion: t.Notice, Now: t.Now, Start: &t.Starts, Ends: &t.Ends, Peer: &peer, Ref: &ref, Call: &call,
	}}, nil
}

// GetKioskWaiting tells how the waiting room stands, in safe words.
func (d *Door) GetKioskWaiting(ctx context.Context, r GetKioskWaitingRequestObject) (GetKioskWaitingResponseObject, error) {
	var room calls.Room
	var now time.Time
	err := d.DB.View(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now()
		room, err = d.Calls.WaitingRoom(tx, api.From(ctx).Actor(), ident.Visit(r.Visit))
		return err
	})
	if err != nil {
		return nil, err
	}
	says, params := room.Says()
	out := WaitingJSONResponse{
		Phase: WaitingPhase(room.Phase), Says: says, Params: &params, Opens: room.Opens, Start: room.Starts, End: room.Ends, Now: now,
		Label: room.Label, PeerFirstName: room.Peer, MayJoin: room.MayJoin,
	}
	if room.Code != "" {
		out.Reason = &room.Code
	}
	return GetKioskWaiting200JSONResponse{out}, nil
}
