package recordings

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/reel"
	"sallyport/appliance/store"
)

// viewFor is how long one opening lasts; then the player asks for the purpose again.
const viewFor = 2 * time.Hour

// show is a recording that is being played: opened once a view, because to open it is to read all of it.
type show struct {
	recording ident.Recording
	staff     string
	expires   time.Time

	once sync.Once
	reel *reel.Reel
	err  error
}

// View is one opening of a recording.
type View struct {
	ID      ident.View
	Expires time.Time
	Length  time.Duration
	Seats   []ident.Seat
}

// View opens a recording for an investigator. Who and why stand in custody and audit before anything can be played. It
// returns Forbidden for anybody else, Invalid without a purpose, Conflict when there is nothing to play.
func (r *Recordings) View(ctx context.Context, actor ident.Actor, id ident.Recording, purpose string) (View, error) {
	if !access.Can(actor, "recordings.play") {
		return View{}, fault.New("recordings.View", fault.Forbidden, "Only an investigator may play recordings.").WithCode("forbidden")
	}
	purpose = strings.TrimSpace(purpose)
	if n := len([]rune(purpose)); n < 3 || n > 200 {
		return View{}, fault.New("recordings.View", fault.Invalid, "Say why you play this: a case number or a reason.").
			WithCode("purpose").WithField("purpose", "required")
	}
	v := View{ID: ident.New[ident.View]()}
	err := r.DB.Update(ctx, func(tx *store.Tx) error {
		rec, err := r.Get(tx, id)
		if err != nil {
			return err
		}
		if rec.Sealed.IsZero() || rec.State == "deleted" {
			return fault.New("recordings.View", fault.Conflict, "This recording cannot be played now.").
				WithCode("recording.state").WithParam("state", rec.State)
		}
		v.Expires, v.Length = tx.Now().Add(viewFor), rec.Length
		if v.Seats, err = r.Seats(tx, id); err != nil {
			return err
		}
		if err := tx.Exec(`INSERT INTO recording_view (id, recording, staff, purpose, opened, expires) VALUES (?, ?, ?, ?, ?, ?)`,
			string(v.ID), string(id), actor.ID, purpose, store.Ms(tx.Now()), store.Ms(v.Expires)); err != nil {
			return err
		}
		if err := r.custody(tx, actor, id, "opened", purpose); err != nil {
			return err
		}
		return audit.Record(tx, actor, "recording.view", id, audit.Reason(purpose))
	})
	if err != nil {
		return View{}, err
	}
	r.mu.Lock()
	r.shows[v.ID] = &show{recording: id, staff: actor.ID, expires: v.Expires}
	r.mu.Unlock()
	return v, nil
}

// Media is one seat's WebM.
type Media struct {
	io.ReadSeeker
	Name string
	ETag string
	At   time.Time
}

// Play returns one seat of an open view, for the person who opened it. It returns NotFound for anybody else and after
// the view has run out.
func (r *Recordings) Play(ctx context.Context, actor ident.Actor, id ident.Recording, view ident.View, seat ident.Seat) (Media, error) {
	r.mu.Lock()
	s, ok := r.shows[view]
	r.mu.Unlock()
	if !ok || s.recording != id || s.staff != actor.ID || !r.Clock.Now().Before(s.expires) {
		return Media{}, fault.New("recordings.Play", fault.NotFound, "Open the recording again.").WithCode("recording.view")
	}
	var rec Recording
	if err := r.DB.View(ctx, func(tx *store.Tx) (err error) { rec, err = r.Get(tx, id); return err }); err != nil {
		return Media{}, err
	}
	s.once.Do(func() { s.reel, s.err = r.open(rec) })
	if s.err != nil {
		return Media{}, s.err
	}
	movie, err := s.reel.Movie(seat)
	if err != nil {
		return Media{}, err
	}
	if err := r.played(ctx, actor, id, view); err != nil {
		return Media{}, err
	}
	return Media{ReadSeeker: movie, Name: fmt.Sprintf("%s-%s.webm", id, seat), ETag: movie.ETag(), At: s.reel.Start()}, nil
}

func (r *Recordings) open(rec Recording) (*reel.Reel, error) {
	keys, err := r.keys(rec.ID)
	if err != nil {
		return nil, err
	}
	return reel.Open(r.path(rec.Folder), keys)
}

// played notes the first byte of a view in custody; the ranges after it belong to the same view.
func (r *Recordings) played(ctx context.Context, actor ident.Actor, id ident.Recording, view ident.View) error {
	first := false
	if err := r.DB.View(ctx, func(tx *store.Tx) error {
		return tx.Row(`SELECT played IS NULL FROM recording_view WHERE id = ?`, string(view)).Scan(&first)
	}); err != nil || !first {
		return err
	}
	return r.DB.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.ExecN(`UPDATE recording_view SET played = ? WHERE id = ? AND played IS NULL`, store.Ms(tx.Now()), string(view))
		if err != nil || n == 0 {
			return err
		}
		return r.custody(tx, actor, id, "played", "")
	})
}

// Verify checks a recording as it lies on disk, with its keys, and writes the outcome into custody.
func (r *Recordings) Verify(ctx context.Context, actor ident.Actor, id ident.Recording) (reel.Report, error) {
	if !access.Can(actor, "recordings.play") {
		return reel.Report{}, fault.New("recordings.Verify", fault.Forbidden, "Only an investigator may check recordings.").WithCode("forbidden")
	}
	var rec Recording
	if err := r.DB.View(ctx, func(tx *store.Tx) (err error) { rec, err = r.Get(tx, id); return err }); err != nil {
		return reel.Report{}, err
	}
	if rec.State == "deleted" {
		return reel.Report{}, fault.New("recordings.Verify", fault.Conflict, "This recording was erased.").WithCode("recording.state")
	}
	keys, err := r.keys(id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return reel.Report{}, err
	}
	signer, err := r.signer()
	if err != nil {
		return reel.Report{}, err
	}
	report, err := reel.VerifyFolder(r.path(rec.Folder), reel.VerifyKeys{Signer: signer, Data: keys})
	if err != nil {
		return reel.Report{}, err
	}
	if rec.Manifest != "" && rec.Manifest != report.Manifest {
		report.Damage = append(report.Damage, reel.Place{Why: "it is not the manifest that was taken into custody"})
	}
	verdict := string(report.Verdict())
	return report, r.DB.Update(ctx, func(tx *store.Tx) error {
		what := "verified"
		if report.Verdict() == reel.Altered {
			what = "altered"
		}
		if err := r.custody(tx, actor, id, what, verdict); err != nil {
			return err
		}
		if err := tx.Exec(`UPDATE recording SET verdict = ?, checked = ? WHERE id = ? AND sealed IS NOT NULL`,
			verdict, store.Ms(tx.Now()), string(id)); err != nil {
			return err
		}
		return audit.Record(tx, actor, "recording.verify", id, audit.Reason(verdict))
	})
}

// dropShows closes views that have run out.
func (r *Recordings) dropShows() {
	now := r.Clock.Now()
	r.closeWhere(func(s *show) bool { return !now.Before(s.expires) })
}

// cut closes every view of a recording, in the middle of a picture if need be.
func (r *Recordings) cut(id ident.Recording) {
	r.closeWhere(func(s *show) bool { return s.recording == id })
}

func (r *Recordings) closeShows() { r.closeWhere(func(*show) bool { return true }) }

func (r *Recordings) closeWhere(gone func(*show) bool) {
	r.mu.Lock()
	var closing []*show
	for id, s := range r.shows {
		if gone(s) {
			closing = append(closing, s)
			delete(r.shows, id)
		}
	}
	r.mu.Unlock()
	for _, s := range closing {
		s.once.Do(func() {
			s.err = fault.New("recordings.Play", fault.NotFound, "Open the recording again.").WithCode("recording.view")
		})
		if s.reel == nil {
			continue
		}
		if err := s.reel.Close(); err != nil {
			r.Log.Error("a recording was not closed", "op", "recordings.close", "err", err)
		}
	}
}
