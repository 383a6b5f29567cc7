package visits

import (
	"time"

	"sallyport/appliance/store"
)

// Busy counts the visits that are under way, waiting rooms with them, or that begin within a time from now: whoever would
// be cut off by a box that starts anew.
func (vs *Visits) Busy(tx *store.Tx, within time.Duration) (n int, err error) {
	err = tx.Row(`SELECT count(*) FROM visits WHERE state IN ('checking_in', 'in_progress') OR state = 'confirmed' AND starts < ? AND ends > ?`,
		store.Ms(tx.Now().Add(within)), store.Ms(tx.Now())).Scan(&n)
	return n, err
}
