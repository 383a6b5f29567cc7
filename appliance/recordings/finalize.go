package recordings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/reel"
	"sallyport/appliance/store"
)

// Serve checks what the gateway has sealed, takes its keys, and erases what has expired. It returns when ctx ends.
func (r *Recordings) Serve(ctx context.Context) error {
	defer r.closeShows()
	for {
		changed := r.DB.Changed()
		r.round(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-r.Clock.After(time.Minute):
		}
	}
}

// round does what is due. What fails is logged and tried again: a disk that is away must not lose evidence.
func (r *Recordings) round(ctx context.Context) {
	r.dropShows()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{"finalize", r.finalizeDue}, {"expire", r.expireDue}} {
		if err := step.do(ctx); err != nil && ctx.Err() == nil {
			r.Log.Error("recordings are behind", "op", "recordings."+step.name, "err", err)
		}
	}
}

func (r *Recordings) due(ctx context.Context, where string, args ...any) (list []Recording, err error) {
	err = r.DB.View(ctx, func(tx *store.Tx) error {
		list, err = store.All(tx, func(rows *store.Rows) (Recording, error) { return scan(rows) }, columns+where, args...)
		return err
	})
	return list, err
}

func (r *Recordings) finalizeDue(ctx context.Context) error {
	list, err := r.due(ctx, `WHERE r.state = 'finalizing' AND r.next_try <= ? ORDER BY r.armed LIMIT 20`, store.Ms(r.Clock.Now()))
	if err != nil {
		return err
	}
	var failed []error
	for _, v := range list {
		if err := r.finalize(ctx, v); err != nil {
			failed = append(failed, fmt.Errorf("finalize %s: %w", v.ID, err), r.later(ctx, v.ID))
		}
	}
	return errors.Join(failed...)
}

// later puts a recording that could not be finalized back: 5 s, then doubling to an hour.
func (r *Recordings) later(ctx context.Context, id ident.Recording) error {
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		return tx.Exec(`UPDATE recording SET tries = tries + 1, next_try = ? + min(3600000, 5000 << min(tries, 12)) WHERE id = ?`,
			store.Ms(tx.Now()), string(id))
	})
}

// finalize takes a sealed recording into custody: verify, keys into the keyring, catalogue, and only then the gateway's
// wrapped keys are dropped. Done twice, it changes nothing.
func (r *Recordings) finalize(ctx context.Context, v Recording) error {
	folder := r.path(v.Folder)
	keys, err := r.takeKeys(folder, v.ID)
	if err != nil {
		return err
	}
	signer, err := r.signer()
	if err != nil {
		return err
	}
	report, err := reel.VerifyFolder(folder, reel.VerifyKeys{Signer: signer, Data: keys})
	if err != nil {
		return err
	}
	found, err := look(folder, keys)
	if err != nil {
		return err
	}
	verdict := report.Verdict()
	if v.Manifest != "" && v.Manifest != report.Manifest {
		verdict = reel.Altered // what the gateway sealed is not what lies there
	}
	if err := r.DB.Update(ctx, func(tx *store.Tx) error { return r.store(tx, v, report, verdict, found) }); err != nil {
		return err
	}
	return reel.DropKeyFiles(folder)
}

// takeKeys reads the data keys from the gateway's wrapping, or from the keyring when we were here before, and sees to it
// that the keyring holds them.
func (r *Recordings) takeKeys(folder string, id ident.Recording) (reel.Keys, error) {
	keys, err := r.keys(id)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return keys, err
	}
	if keys, err = reel.OpenKeys(folder, r.Intake...); err != nil {
		return nil, err
	}
	return keys, r.keep(id, keys)
}

// contents is what the catalogue shows without opening the recording again.
type contents struct {
	length time.Duration
	start  time.Time
	seats  []ident.Seat
	marks  []reel.Mark
	head   string
}

func look(folder string, keys reel.Keys) (contents, error) {
	open, err := reel.Open(folder, keys)
	if err != nil {
		return contents{}, err
	}
	c := contents{length: open.Length(), start: open.Start(), seats: open.Seats(), marks: open.Marks()}
	if err := open.Close(); err != nil {
		return c, err
	}
	m, _, err := reel.ReadManifest(folder, nil)
	if err != nil {
		return c, err
	}
	if n := len(m.Segments); n > 0 {
		c.head = m.Segments[n-1].Last
	}
	return c, nil
}

// maxMarks bounds what the time line shows.
const maxMarks = 2000

func (r *Recordings) store(tx *store.Tx, v Recording, report reel.Report, verdict reel.Verdict, c contents) error {
	state, what := "available", "sealed"
	if verdict == reel.Altered {
		state, what = "partial", "altered"
	}
	keep, err := r.retention(tx, v)
	if err != nil {
		return err
	}
	ended := v.Ended
	if ended.IsZero() {
		ended = c.start.Add(c.length)
	}
	n, err := tx.ExecN(`UPDATE recording SET state = ?, length_ms = ?, manifest = ?, head = ?, bytes = ?, chunks = ?, segments = ?, verdict = ?,
		checked = ?, sealed = ?, expires = ?, ended = ? WHERE id = ? AND state = 'finalizing'`,
		state, c.length.Milliseconds(), report.Manifest, c.head, report.Bytes, report.Chunks, report.Segments, string(verdict),
		store.Ms(tx.Now()), store.Ms(tx.Now()), store.Ms(ended.Add(keep)), store.Ms(ended), string(v.ID))
	if err != nil || n == 0 {
		return err
	}
	for _, s := range c.seats {
		if err := tx.Exec(`INSERT INTO recording_seat (recording, seat) VALUES (?, ?) ON CONFLICT DO NOTHING`, string(v.ID), string(s)); err != nil {
			return err
		}
	}
	for i, m := range c.marks {
		if i == maxMarks {
			break
		}
		if err := tx.Exec(`INSERT INTO recording_mark (recording, n, at_ms, kind, seat, reason, by) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			string(v.ID), i, m.AtMS, m.Kind, string(m.Seat), m.Reason, m.By); err != nil {
			return err
		}
	}
	if err := r.custody(tx, ident.System(), v.ID, what, string(verdict)); err != nil {
		return err
	}
	anchor := map[string]string{"manifest": report.Manifest, "head": c.head, "verdict": string(verdict)}
	if err := audit.Record(tx, ident.System(), "recording.seal", string(v.ID), audit.After(anchor)); err != nil {
		return err
	}
	return outbox.Tell(tx, outbox.ToStaff(), "recording", string(v.ID))
}

// retention is how long a recording is kept from its end.
func (r *Recordings) retention(tx *store.Tx, v Recording) (time.Duration, error) {
	call, err := r.Calls.Get(tx, v.Call)
	if err != nil {
		return 0, err
	}
	scope := policy.Scope{Class: string(call.Class)}
	for _, s := range call.Seats {
		switch s.Seat {
		case "i1":
			scope.Inmate = ident.Inmate(s.Who)
		case "v1":
			scope.Visitor = ident.Visitor(s.Who)
		}
	}
	rules, err := r.Policy.At(tx, scope)
	if err != nil {
		return 0, err
	}
	return policy.RetentionRecording.Of(rules), nil
}

// expiring is how long an expired recording can still be put on hold.
const expiring = 7 * 24 * time.Hour

// expireDue erases what has expired and warns of what is about to. A hold beats both.
func (r *Recordings) expireDue(ctx context.Context) error {
	now := r.Clock.Now()
	soon, err := r.due(ctx, `WHERE r.state IN ('available', 'partial') AND r.expires <= ?1 + ?2
		AND NOT EXISTS (SELECT 1 FROM legal_hold h WHERE h.recording = r.id AND h.lifted IS NULL) LIMIT 100`,
		store.Ms(now), expiring.Milliseconds())
	if err != nil {
		return err
	}
	for _, v := range soon {
		if err := r.DB.Update(ctx, func(tx *store.Tx) error {
			n, err := tx.ExecN(`UPDATE recording SET state = 'expiring' WHERE id = ? AND state IN ('available', 'partial')`, string(v.ID))
			if err != nil || n == 0 {
				return err
			}
			return r.custody(tx, ident.System(), v.ID, "expiring", "")
		}); err != nil {
			return err
		}
	}
	over, err := r.due(ctx, `WHERE r.state = 'expiring' AND r.expires <= ?
		AND NOT EXISTS (SELECT 1 FROM legal_hold h WHERE h.recording = r.id AND h.lifted IS NULL) LIMIT 20`, store.Ms(now))
	if err != nil {
		return err
	}
	var failed []error
	for _, v := range over {
		failed = append(failed, r.erase(ctx, v))
	}
	return errors.Join(failed...)
}

// erase destroys the data keys first: from then on nobody can read the media, whatever happens to the files.
func (r *Recordings) erase(ctx context.Context, v Recording) error {
	held := false
	if err := r.DB.View(ctx, func(tx *store.Tx) error {
		now, err := r.Get(tx, v.ID)
		held = now.Held
		return err
	}); err != nil || held {
		return err
	}
	r.cut(v.ID)
	if err := r.forget(v.ID); err != nil {
		return err
	}
	if err := r.DB.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.ExecN(`UPDATE recording SET state = 'deleted', erased = ? WHERE id = ? AND state = 'expiring'`,
			store.Ms(tx.Now()), string(v.ID))
		if err != nil || n == 0 {
			return err
		}
		if err := tx.Exec(`DELETE FROM recording_mark WHERE recording = ?`, string(v.ID)); err != nil {
			return err
		}
		if err := r.custody(tx, ident.System(), v.ID, "erased", "retention.recording"); err != nil {
			return err
		}
		tomb := map[string]string{"manifest": v.Manifest, "head": v.Head, "rule": "retention.recording"}
		return audit.Record(tx, ident.System(), "recording.erase", string(v.ID), audit.Before(tomb))
	}); err != nil {
		return err
	}
	if err := os.RemoveAll(r.path(v.Folder)); err != nil {
		return fmt.Errorf("remove the folder of %s: %w", v.ID, err)
	}
	return nil
}

func decode(raw json.RawMessage) (d linkspec.RecordingData, err error) {
	if err := json.Unmarshal(raw, &d); err != nil {
		return d, fault.New("recordings.take", fault.Invalid, "The fact's data has another shape.").WithCode("events.data").Because(err)
	}
	return d, nil
}
