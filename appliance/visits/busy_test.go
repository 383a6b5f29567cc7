package visits_test

import (
	"testing"
	"time"

	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

func TestBusyCountsWhomARestartCutsOff(t *testing.T) {
	s := open(t, policy.Prison, 1, 2, 2)
	v := s.book(t, 0, s.ask(0, on(4, 15, 0)))
	busy := func(within time.Duration) (n int) {
		t.Helper()
		if err := s.View(t.Context(), func(tx *store.Tx) (err error) { n, err = s.Busy(tx, within); return err }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	state := func(to string) {
		s.do(t, func(tx *store.Tx) error { return tx.Exec(`UPDATE visits SET state = ? WHERE id = ?`, to, v.ID) })
	}
	const ahead = 14 * 24 * time.Hour
	for _, tt := range []struct {
		state     string
		now, soon int
	}{{"confirmed", 0, 1}, {"awaiting_staff", 0, 0}, {"checking_in", 1, 1}, {"in_progress", 1, 1}, {"completed", 0, 0}} {
		state(tt.state)
		if now, soon := busy(time.Minute), busy(ahead); now != tt.now || soon != tt.soon {
			t.Errorf("%s: %d now, %d soon, want %d and %d", tt.state, now, soon, tt.now, tt.soon)
		}
	}
}
