package staff

import (
	"context"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/api"
	"sallyport/appliance/calls"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/recordings"
	"sallyport/appliance/reel"
	"sallyport/appliance/store"
)

// searched bounds how many people the words of a search may stand for.
const searched = 100

// ListRecordings lists the catalogue, newest first, by the names or number of a person and by day.
func (d *Door) ListRecordings(ctx context.Context, r ListRecordingsRequestObject) (ListRecordingsResponseObject, error) {
	out := ListRecordings200JSONResponse{Recordings: []RecordingSummary{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		f := recordings.Filter{Offset: offset(r.Params.Page), Limit: pageSize}
		var err error
		if r.Params.Date != nil {
			if f.From, f.Until, err = d.dayOf(tx, *r.Params.Date); err != nil {
				return err
			}
		}
		if q := words(r.Params.Q); q != "" {
			if f.Who, err = d.whoIs(tx, q); err != nil || len(f.Who) == 0 {
				return err
			}
		}
		list, total, err := d.Recordings.List(tx, f)
		if err != nil {
			return err
		}
		out.Total = total
		for _, rec := range list {
			s, err := d.recordingSummary(tx, rec)
			if err != nil {
				return err
			}
			out.Recordings = append(out.Recordings, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// dayOf is a date of the facility as two instants.
func (d *Door) dayOf(tx *store.Tx, date string) (from, until time.Time, err error) {
	site, err := d.Facility.Get(tx)
	if err != nil {
		return from, until, err
	}
	loc, err := site.Location()
	if err != nil {
		return from, until, err
	}
	from, err = time.ParseInLocation(time.DateOnly, date, loc)
	if err != nil {
		return from, until, fault.New("staff.dayOf", fault.Invalid, "This is not a date.").WithField("date", "format").Because(err)
	}
	return from, from.AddDate(0, 0, 1), nil
}

// whoIs finds the people on both sides whom a search may mean.
func (d *Door) whoIs(tx *store.Tx, q string) ([]string, error) {
	var who []string
	inmates, _, err := d.People.Inmates(tx, q, 0, searched)
	if err != nil {
		return nil, err
	}
	for _, i := range inmates {
		who = append(who, string(i.ID))
	}
	visitors, _, err := d.People.Visitors(tx, q, 0, searched)
	for _, v := range visitors {
		who = append(who, string(v.ID))
	}
	return who, err
}

func (d *Door) recordingSummary(tx *store.Tx, rec recordings.Recording) (RecordingSummary, error) {
	out := RecordingSummary{
		Id: string(rec.ID), Visit: string(rec.Visit), Started: rec.Armed, DurationMs: rec.Length.Milliseconds(), State: rec.State,
		Held: rec.Held, Flags: []string{},
	}
	if !rec.Expires.IsZero() {
		out.Expires = &rec.Expires
	}
	for flag, set := range map[string]bool{
		"gaps": rec.Gaps > 0 || rec.Verdict == string(reel.Gaps), "altered": rec.Verdict == string(reel.Altered), "recovered": rec.Recovered,
	} {
		if set {
			out.Flags = append(out.Flags, flag)
		}
	}
	v, err := d.Visits.Get(tx, rec.Visit)
	if err != nil {
		return out, err
	}
	i, err := d.People.Inmate(tx, v.Inmate)
	if err != nil {
		return out, err
	}
	who, err := d.People.Visitor(tx, v.Main)
	out.Ref, out.Inmate, out.InmateNumber, out.Visitor = v.Ref, i.Name(), i.Number, who.Name()
	return out, err
}

// GetRecording answers facts, time line and custody; no media.
func (d *Door) GetRecording(ctx context.Context, r GetRecordingRequestObject) (GetRecordingResponseObject, error) {
	out := GetRecording200JSONResponse{Seats: []RecordingSeat{}, Marks: []RecordingMark{}, Custody: []CustodyRow{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		rec, err := d.Recordings.Get(tx, ident.Recording(r.Recording))
		if err != nil {
			return err
		}
		if out.Summary, err = d.recordingSummary(tx, rec); err != nil {
			return err
		}
		out.Hash = optional(rec.Manifest)
		if !rec.Sealed.IsZero() {
			out.Sealed = &rec.Sealed
		}
		if out.Seats, err = d.recordingSeats(tx, rec); err != nil {
			return err
		}
		marks, err := d.Recordings.Marks(tx, rec.ID)
		if err != nil {
			return err
		}
		for _, m := range marks {
			out.Marks = append(out.Marks, RecordingMark{
				AtMs: m.At.Milliseconds(), Kind: m.Kind, Seat: optional(string(m.Seat)), Reason: optional(m.Reason), By: optional(d.name(tx, m.By)),
			})
		}
		custody, err := d.Recordings.Custody(tx, rec.ID)
		for _, c := range custody {
			out.Custody = append(out.Custody, CustodyRow{At: c.At, Who: d.who(tx, c.WhoKind, c.Who), What: c.What, Purpose: optional(c.Purpose)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// who is an actor in words: the name of staff, else the kind.
func (d *Door) who(tx *store.Tx, kind ident.ActorKind, id string) string {
	if kind == ident.ByStaff {
		if name := d.name(tx, id); name != "" {
			return name
		}
	}
	return string(kind)
}

// recordingSeats names the people in front of each camera.
func (d *Door) recordingSeats(tx *store.Tx, rec recordings.Recording) ([]RecordingSeat, error) {
	out := []RecordingSeat{}
	call, err := d.Calls.Get(tx, rec.Call)
	if err != nil {
		return nil, err
	}
	have, err := d.Recordings.Seats(tx, rec.ID)
	if err != nil {
		return nil, err
	}
	for _, seat := range have {
		for _, s := range call.Seats {
			if s.Seat != seat {
				continue
			}
			name, err := d.seatName(tx, s)
			if err != nil {
				return nil, err
			}
			out = append(out, RecordingSeat{Seat: string(seat), Role: s.Role, Name: name})
		}
	}
	return out, nil
}

func (d *Door) seatName(tx *store.Tx, s calls.Seat) (string, error) {
	if s.Role == "inmate" {
		i, err := d.People.Inmate(tx, ident.Inmate(s.Who))
		return i.Name(), err
	}
	v, err := d.People.Visitor(tx, ident.Visitor(s.Who))
	return v.Name(), err
}

// ViewRecording opens a recording for a purpose and says where each seat plays.
func (d *Door) ViewRecording(ctx context.Context, r ViewRecordingRequestObject) (ViewRecordingResponseObject, error) {
	actor := api.From(ctx).Actor()
	v, err := d.Recordings.View(ctx, actor, ident.Recording(r.Recording), r.Body.Purpose)
	if err != nil {
		return nil, err
	}
	out := ViewRecording201JSONResponse{View: string(v.ID), Expires: v.Expires, DurationMs: v.Length.Milliseconds(), Seats: []RecordingStream{}}
	err = d.DB.View(ctx, func(tx *store.Tx) error {
		rec, err := d.Recordings.Get(tx, ident.Recording(r.Recording))
		if err != nil {
			return err
		}
		site, err := d.Facility.Get(tx)
		if err != nil {
			return err
		}
		loc, err := site.Location()
		if err != nil {
			return err
		}
		// A picture of the screen says who looked and when, in the words of the house's own clock.
		out.Watermark = d.name(tx, actor.ID) + " " + tx.Now().In(loc).Format("2006-01-02 15:04:05 MST")
		list, err := d.recordingSeats(tx, rec)
		for _, s := range list {
			out.Seats = append(out.Seats, RecordingStream{
				Seat: s.Seat, Role: s.Role, Name: s.Name,
				Url: fmt.Sprintf("/api/staff/recordings/%s/views/%s/seats/%s", rec.ID, v.ID, s.Seat),
			})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// VerifyRecording checks every chunk and names the places of damage.
func (d *Door) VerifyRecording(ctx context.Context, r VerifyRecordingRequestObject) (VerifyRecordingResponseObject, error) {
	report, err := d.Recordings.Verify(ctx, api.From(ctx).Actor(), ident.Recording(r.Recording))
	if err != nil {
		return nil, err
	}
	out := VerifyRecording200JSONResponse{Places: []string{}, Chunks: int(report.Chunks), Segments: report.Segments}
	switch report.Verdict() {
	case reel.Whole:
		out.Result = Whole
	case reel.Altered:
		out.Result = Altered
	default:
		out.Result = Gaps
	}
	for _, p := range append(report.Damage, report.Gaps...) {
		if len(out.Places) == 100 {
			break
		}
		out.Places = append(out.Places, p.String())
	}
	return out, nil
}

// StreamRecordingSeat plays one seat of an open view; a range opens only the chunks that it needs.
func (d *Door) StreamRecordingSeat(c fiber.Ctx) error {
	m, err := d.Recordings.Play(c.Context(), api.From(c.Context()).Actor(), ident.Recording(copied(c.Params("recording"))),
		ident.View(copied(c.Params("view"))), ident.Seat(copied(c.Params("seat"))))
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "video/webm")
	return sendRange(c, m)
}

// copied makes a value of a request outlive it.
func copied(s string) string { return string([]byte(s)) }
