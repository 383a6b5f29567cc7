package sfu

import (
	"time"

	"sallyport/appliance/ident"
)

// The kinds of words that a call tells its seats and monitors.
const (
	WordRoster  = "roster"
	WordState   = "state"
	WordTime    = "time"
	WordSay     = "say"
	WordMuted   = "muted"
	WordEnded   = "ended"
	WordProblem = "problem"
)

// Word is one thing that a call tells a client. T says which of the fields count. Seq numbers the durable ones (state,
// time, say, ended) of a seat, so that a client that comes back gets what it missed.
type Word struct {
	T          string
	Seq        int64
	Phase      Phase
	WaitingFor []string
	Why        string
	Says       string
	ByRole     string
	Since      time.Time
	LeftS      int
	Warn       bool
	Key        string
	Params     map[string]any
	Body       string
	Seat       ident.Seat
	Audio      bool
	Video      bool
	Code       string
	TogetherS  int64 // of the end: how long both sides were in the call, as it is metered
	Seats      []RosterSeat
}

// durable tells whether a word is numbered and kept for those who come back.
func (w Word) durable() bool {
	return w.T == WordState || w.T == WordTime || w.T == WordSay || w.T == WordEnded
}

// RosterSeat is one other seat as a client sees it.
type RosterSeat struct {
	Seat ident.Seat
	Role string
	Slot int
	Mic  bool
	Cam  bool
	On   bool
}

// Client is the signaling side of a place. Both methods return at once: a client that cannot keep up is dropped.
type Client interface {
	// Tell queues a word.
	Tell(w Word)
	// Drop closes the connection with a problem code.
	Drop(code string)
}

// wordLog keeps the last durable words of a seat.
type wordLog struct {
	seq  int64
	kept []Word
}

const keptWords = 64

func (l *wordLog) add(w Word) Word {
	if !w.durable() {
		return w
	}
	l.seq++
	w.Seq = l.seq
	l.kept = append(l.kept, w)
	if len(l.kept) > keptWords {
		l.kept = l.kept[len(l.kept)-keptWords:]
	}
	return w
}

// after returns the alerts that a client missed. What only describes the present (state, time) is told anew instead.
func (l *wordLog) after(seq int64) []Word {
	l.seq = max(l.seq, seq) // a restarted gateway counts on from what the client has seen
	var out []Word
	for _, w := range l.kept {
		if w.Seq > seq && w.T == WordSay {
			out = append(out, w)
		}
	}
	return out
}
