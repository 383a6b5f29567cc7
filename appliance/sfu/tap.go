package sfu

import (
	"context"
	"time"

	"github.com/pion/rtp"

	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

// Media is one of the two tracks that a seat may send.
type Media uint8

// The media. Audio is Opus, Video is VP8, always.
const (
	Audio Media = iota
	Video
)

// String returns "audio" or "video".
func (m Media) String() string {
	if m == Video {
		return "video"
	}
	return "audio"
}

// Recorder is a member of a social call: it gets every packet that a seat sends while the call is live, by reference.
//
// Arm comes first and once, Seal last and once; Packet and Report come from the packet path, Mark and Seal from the
// call. A privileged call has no place for one (OpenPrivileged).
type Recorder interface {
	// Arm returns when the first chunk is durable; nobody is admitted before.
	Arm(ctx context.Context) error
	// Packet copies what it keeps of p and never blocks.
	Packet(seat ident.Seat, kind Media, p *rtp.Packet)
	// Report passes a sender report on: the wall clock (NTP, 32.32) of an RTP time, for lip sync.
	Report(seat ident.Seat, kind Media, ntp uint64, rtpTime uint32)
	// Mark writes a fact of the call into the recording. It never blocks.
	Mark(m Mark)
	// Seal writes the final chunk, the manifest and its signature. code is why the call ended.
	Seal(ctx context.Context, code string) error
	// Failed gives one value when the recorder cannot go on.
	Failed() <-chan error
}

// Recorders opens the recorder of a call. The call's first run and every run after a restart of the daemon open one;
// the later ones continue the same recording with a new segment.
type Recorders interface {
	Open(spec linkspec.Spec) (Recorder, error)
}

// The kinds of marks (media.md, 8.2).
const (
	MarkJoined  = "joined"
	MarkLeft    = "left"
	MarkLost    = "lost"
	MarkBack    = "back"
	MarkMoved   = "moved"
	MarkLive    = "live"
	MarkPause   = "pause"
	MarkResume  = "resume"
	MarkMute    = "mute"
	MarkSay     = "say"
	MarkWarning = "warning"
	MarkHint    = "hint"
	MarkSignal  = "signal"
	MarkNote    = "note"
	MarkEnd     = "end"
)

// Mark is one fact of a call as its recording keeps it. It holds ids and codes; Body is set for staff's own words only.
type Mark struct {
	Kind   string        `json:"kind"`
	At     time.Time     `json:"at"`
	Boot   time.Duration `json:"boot"` // clock.Clock.Boot at the same moment
	Seat   ident.Seat    `json:"seat,omitempty"`
	By     string        `json:"by,omitempty"`      // typed id of the actor
	ByRole string        `json:"by_role,omitempty"` // monitor, investigator, system
	Reason string        `json:"reason,omitempty"`  // code
	Body   string        `json:"body,omitempty"`
}
