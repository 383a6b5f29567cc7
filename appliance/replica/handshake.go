package replica

import (
	"bytes"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
)

// View is what one read of the centre shows.
type View struct {
	Cluster    uint64
	Generation string
	Fence      *record.Fence
	Cursor     *record.Cursor
	Mod        int64 // of the cursor; 0 before the first push
}

// Verdict is the conclusion of a handshake.
type Verdict uint8

// The verdicts (sync.md, section 9).
const (
	AskTheChain Verdict = iota // the table needs the site's hash at the cursor first
	Normal                     // push from the cursor
	Seed                       // nothing was ever pushed: send every record
	Reseed                     // the centre was restored: send every record, relist the feed
	Resume                     // go on with the resync that the cursor tells of
	Recover                    // this database is not the one that the centre knows
	Halt                       // somebody has to look at the centre
)

var verdictNames = [...]string{"ask-chain", "normal", "seed", "reseed", "resume", "recover", "halt"}

func (v Verdict) String() string { return verdictNames[v] }

// Conclude reads the table of the handshake from the top; the first row that fits decides. chain is the site's hash at
// the cursor's sequence: nil before it was asked for, empty when the site does not know it.
func Conclude(v View, s linkspec.SyncState, chain []byte) (Verdict, string) {
	switch {
	case s.Mode != "normal":
		return Recover, "restored"
	case v.Fence == nil:
		return Halt, "not_enrolled"
	case v.Fence.Epoch > s.Epoch, !bytes.Equal(v.Fence.Incarnation[:], s.Incarnation):
		return Recover, "fenced"
	case v.Fence.Epoch < s.Epoch:
		return Halt, "centre_behind"
	case v.Generation == "":
		return Halt, "no_generation"
	}
	never := s.Acked == 0 && s.Generation == ""
	same := never || s.Generation == v.Generation && s.Cluster == v.Cluster
	switch {
	case v.Cursor == nil && never:
		return Seed, ""
	case v.Cursor != nil && v.Cursor.GetSeq() > s.Head:
		return Recover, "restored"
	case v.Cursor != nil && same && chain == nil:
		return AskTheChain, ""
	case v.Cursor != nil && same && !bytes.Equal(chain, v.Cursor.GetChain()):
		return Recover, "forked"
	case same && (v.Cursor == nil || v.Cursor.GetSeq() < s.Acked):
		return Halt, "centre_lost"
	case !same:
		return Reseed, ""
	case v.Cursor.GetResync().GetTo() > 0:
		return Resume, ""
	}
	return Normal, ""
}
