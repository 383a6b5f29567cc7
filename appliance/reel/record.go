package reel

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// Kind of a record.
type Kind uint8

// The kinds. Track introduces a track's number before its first frame of a segment.
const (
	Track    Kind = 1 // payload: TrackInfo as JSON
	Audio    Kind = 2 // payload: one Opus packet
	Video    Kind = 3 // payload: one VP8 frame
	Clock    Kind = 4 // payload: NTP time of 8 bytes; RTP holds the matching RTP time
	MarkKind Kind = 5 // payload: Mark as JSON
	Text     Kind = 6
	Caption  Kind = 7
	Evidence Kind = 8
)

// RecordFlags of a record.
type RecordFlags uint8

// The record flags.
const (
	Key   RecordFlags = 1 << iota // decodes without what came before
	Loss                          // something of this track was lost just before
	Fresh                         // first of a run: another connection, or after a pause; its RTP time has a new zero
)

// Record is one thing that happened, at a time since the recording's zero.
type Record struct {
	Kind    Kind
	Track   uint8 // 0 when it belongs to none
	Flags   RecordFlags
	At      time.Duration // whole microseconds on disk
	RTP     uint32
	Payload []byte
}

// recordHeader is kind, track, flags, a zero, microseconds, RTP time, length.
const recordHeader = 20

// Size returns how many bytes the record takes in a chunk.
func (r Record) Size() int { return recordHeader + len(r.Payload) }

func (r Record) append(b []byte) []byte {
	b = append(b, byte(r.Kind), r.Track, byte(r.Flags), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.Microseconds()))
	b = binary.BigEndian.AppendUint32(b, r.RTP)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Payload)))
	return append(b, r.Payload...)
}

// decode reads the first record of b, which it shares, and returns the rest.
func decodeRecord(b []byte) (Record, []byte, error) {
	if len(b) < recordHeader {
		return Record{}, nil, fault.New("reel.decodeRecord", fault.Invalid, "A record is cut off.").WithCode("reel_record")
	}
	n := binary.BigEndian.Uint32(b[16:])
	us := binary.BigEndian.Uint64(b[4:])
	if uint64(n) > uint64(len(b)-recordHeader) || us > uint64(1<<62)/1000 {
		return Record{}, nil, fault.New("reel.decodeRecord", fault.Invalid, "A record is longer than its chunk.").WithCode("reel_record")
	}
	end := recordHeader + int(n)
	return Record{
		Kind: Kind(b[0]), Track: b[1], Flags: RecordFlags(b[2]),
		At:  time.Duration(us) * time.Microsecond,
		RTP: binary.BigEndian.Uint32(b[12:]), Payload: b[recordHeader:end:end],
	}, b[end:], nil
}

// TrackInfo says what a track number stands for within a segment.
type TrackInfo struct {
	Seat  ident.Seat `json:"seat"`
	Codec string     `json:"codec"` // opus, vp8
	Rate  uint32     `json:"rate"`  // of its RTP clock
}

// The codecs.
const (
	Opus = "opus"
	VP8  = "vp8"
)

// The marks of a recording.
const (
	MarkJoined     = "joined"
	MarkLeft       = "left"
	MarkLost       = "lost"
	MarkBack       = "back"
	MarkMoved      = "moved"
	MarkLive       = "live"
	MarkPause      = "pause"
	MarkResume     = "resume"
	MarkMute       = "mute"
	MarkSay        = "say"
	MarkWarning    = "warning"
	MarkHint       = "hint"
	MarkSignal     = "signal"
	MarkNote       = "note"
	MarkResolution = "resolution"
	MarkLoss       = "loss"
	MarkGap        = "gap"
	MarkEnd        = "end"
)

// Mark is something that the player shows on the time line.
type Mark struct {
	AtMS   int64           `json:"at_ms"` // since the recording's zero; filled in when read
	Kind   string          `json:"kind"`
	Seat   ident.Seat      `json:"seat,omitempty"`
	By     string          `json:"by,omitempty"` // typed id of who did it
	Role   string          `json:"role,omitempty"`
	Reason string          `json:"reason,omitempty"` // a code
	Data   json.RawMessage `json:"data,omitempty"`   // numbers that the kind needs
}

// Record returns the mark as a record.
func (m Mark) Record(at time.Duration) Record {
	m.AtMS = at.Milliseconds()
	body, err := json.Marshal(m)
	if err != nil { // Data was not JSON: the fact matters more than its numbers
		m.Data = nil
		body, _ = json.Marshal(m)
	}
	return Record{Kind: MarkKind, At: at, Payload: body}
}
