package sfu_test

import (
	"testing"

	"github.com/pion/rtp"
)

// wholeStream checks that numbers are without a hole and never repeat, and that time never runs back.
func wholeStream(t *testing.T, ps []*rtp.Packet) []*rtp.Packet {
	t.Helper()
	for k := 1; k < len(ps); k++ {
		if d := ps[k].SequenceNumber - ps[k-1].SequenceNumber; d != 1 {
			t.Errorf("packet %d: number %d follows %d", k, ps[k].SequenceNumber, ps[k-1].SequenceNumber)
		}
		if int32(ps[k].Timestamp-ps[k-1].Timestamp) < 0 {
			t.Errorf("packet %d: time %d follows %d", k, ps[k].Timestamp, ps[k-1].Timestamp)
		}
	}
	return ps
}
