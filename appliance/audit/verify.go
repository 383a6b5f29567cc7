package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// maxStep is how far the wall clock may be set back between two rows. A time server corrects by less; a rewound clock
// would let somebody date an act before it happened.
const maxStep = time.Minute

// Anchor is the end of the chain as it was noted elsewhere: printed, or at the central site.
type Anchor struct {
	Seq  int64
	Hash string // hex
}

var errStop = errors.New("the first bad row is found")

// Verify walks the whole chain without keeping it in memory, and names the first bad row and why. Rows that were cut off
// at the end are seen only when an anchor tells of them. The error is about reading, not about the chain.
func Verify(tx *store.Tx, anchors ...Anchor) (linkspec.AuditReport, error) {
	w := walk{prev: make([]byte, sha256.Size), anchors: map[int64]string{}}
	for _, a := range anchors {
		w.anchors[a.Seq] = a.Hash
	}
	err := tx.Each(w.step, "SELECT "+columns+" FROM audit_row ORDER BY seq")
	if err != nil && !errors.Is(err, errStop) {
		return linkspec.AuditReport{}, fmt.Errorf("verify the audit chain: %w", err)
	}
	for _, a := range anchors {
		if w.bad == 0 && a.Seq > w.seq {
			w.bad, w.why = w.seq+1, fmt.Sprintf("deleted: row %d was noted elsewhere and the chain ends with row %d", a.Seq, w.seq)
		}
	}
	r := linkspec.AuditReport{Rows: w.rows, Whole: w.bad == 0, FirstBad: w.bad, Why: w.why}
	if w.rows > 0 {
		r.Head = w.head
	}
	return r, nil
}

type walk struct {
	anchors map[int64]string
	rows    int64
	seq     int64
	at      time.Time
	prev    []byte
	head    string
	bad     int64
	why     string
}

func (w *walk) step(rows *store.Rows) error {
	r, err := scanRow(rows)
	if err != nil {
		return err
	}
	noted, anchored := w.anchors[r.Seq]
	switch {
	case r.Seq != w.seq+1:
		return w.found(w.seq+1, fmt.Sprintf("deleted: after row %d comes row %d", w.seq, r.Seq))
	case !bytes.Equal(r.sum(r.roles, r.prev), r.hash):
		return w.found(r.Seq, "altered: the row does not have the hash of its content")
	case !bytes.Equal(r.prev, w.prev):
		return w.found(r.Seq, "broken: the row does not continue the one before it, which was replaced, inserted or moved")
	case r.At.Before(w.at.Add(-maxStep)):
		return w.found(r.Seq, fmt.Sprintf("clock: the row is dated %s before the one before it", w.at.Sub(r.At)))
	case anchored && noted != r.Hash:
		return w.found(r.Seq, "replaced: another row was noted elsewhere under this number")
	}
	w.rows++
	w.seq, w.at, w.prev, w.head = r.Seq, r.At, r.hash, r.Hash
	return nil
}

func (w *walk) found(seq int64, why string) error {
	w.bad, w.why = seq, why
	return errStop
}
