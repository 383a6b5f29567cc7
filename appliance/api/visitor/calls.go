package visitor

import (
	"context"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/calls"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// ProbeVisitor gives a grant that echoes the visitor's own media, for the device check.
func (d *Door) ProbeVisitor(ctx context.Context, r ProbeVisitorRequestObject) (ProbeVisitorResponseObject, error) {
	t, err := d.Calls.Probe(api.From(ctx).Actor(), r.Body.Fingerprint)
	if err != nil {
		return nil, err
	}
	return ProbeVisitor200JSONResponse{TicketJSONResponse(ticket(t))}, nil
}

// JoinVisitorCall gives the visitor's seat in the call of a visit.
func (d *Door) JoinVisitorCall(ctx context.Context, r JoinVisitorCallRequestObject) (JoinVisitorCallResponseObject, error) {
	from := api.From(ctx)
	t, err := d.Calls.Join(ctx, from.Actor(), ident.Visit(r.Visit), "", r.Body.Fingerprint)
	if err != nil {
		return nil, err
	}
	if err := d.Access.Busy(ctx, from.Session, t.Ends); err != nil {
		return nil, err
	}
	return JoinVisitorCall200JSONResponse{TicketJSONResponse(ticket(t))}, nil
}

// GetVisitorWaiting tells how the waiting room stands, in safe words.
func (d *Door) GetVisitorWaiting(ctx context.Context, r GetVisitorWaitingRequestObject) (GetVisitorWaitingResponseObject, error) {
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
	return GetVisitorWaiting200JSONResponse{WaitingJSONResponse{
		Phase: WaitingPhase(room.Phase), Says: says, Params: &params, Opens: room.Opens, Start: room.Starts, End: room.Ends, Now: now,
		Label: room.Label, Reason: optional(room.Code), PeerFirstName: room.Peer, MayJoin: room.MayJoin,
	}}, nil
}

func ticket(t calls.Ticket) Ticket {
	out := Ticket{
		Grant: t.Grant, Signaling: t.Signaling, IceServers: []IceServer{}, Seat: string(t.Seat), Recorded: t.Recorded,
		NoticeVersion: t.Notice, Now: t.Now, Start: &t.Starts, Ends: &t.Ends, Peer: optional(t.Peer), Ref: optional(t.Ref),
		Call: optional(string(t.Call)),
	}
	for _, s := range t.ICE {
		out.IceServers = append(out.IceServers, IceServer{Urls: s.URLs, Username: optional(s.Username), Credential: optional(s.Credential)})
	}
	return out
}
