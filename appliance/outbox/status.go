package outbox

import (
	"time"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// silence is how long syncd may say nothing before it counts as away; it reports every 10 seconds at least.
const silence = 30 * time.Second

// Status is replication as staff see it.
type Status struct {
	Mode        string // normal, recovery
	State       string // of syncd: live, paused, ...; "away" when it is silent
	Cause       string // why it is not live; a code that the screens put in words
	Since       time.Time
	Rate        float64 // records a second
	Waiting     int64   // changes that the centre does not hold yet
	Oldest      time.Time
	LastFull    time.Time // when the centre last held everything; zero = never
	ParkedOut   int
	ParkedIn    int
	Incarnation []byte // shown on the screen in recovery: the officer lets in exactly this one
}

// Report keeps what syncd says of itself until it says something else.
func (o *Outbox) Report(r linkspec.SyncReport, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.report, o.reported = r, now
}

// Status joins what the database knows with what syncd last reported.
func (o *Outbox) Status(tx *store.Tx) (Status, error) {
	var s Status
	var cause string
	err := tx.Row(`SELECT mode, cause, head - acked, coalesce((SELECT at FROM outbox WHERE seq = acked + 1), 0), synced_at, incarnation,
		(SELECT count(*) FROM parked WHERE direction = 'out'), (SELECT count(*) FROM parked WHERE direction = 'in') FROM sync_state`).
		Scan(&s.Mode, &cause, &s.Waiting, &s.Oldest, &s.LastFull, &s.Incarnation, &s.ParkedOut, &s.ParkedIn)
	if err != nil {
		return Status{}, err
	}
	o.mu.Lock()
	r, at := o.report, o.reported
	o.mu.Unlock()
	s.State, s.Cause, s.Since, s.Rate = r.State, r.Cause, r.Since, r.Rate
	if tx.Now().Sub(at) > silence {
		s.State, s.Cause, s.Since, s.Rate = "away", "syncd_away", at, 0
	}
	if s.Mode == "recovery" {
		s.State, s.Cause = "recovery", cause
	}
	return s, nil
}

// Joined tells whether the site knows its centre; until then it captures for later.
func (o *Outbox) Joined() bool { return len(o.centre.Wrap) > 0 }
