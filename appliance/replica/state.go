package replica

import (
	"time"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
)

// State is what syncd shows of itself.
type State string

// The states (sync.md, section 6).
const (
	WaitLink   State = "wait-link"
	Connecting State = "connecting"
	Handshake  State = "handshake"
	Resync     State = "resync"
	Live       State = "live"
	Paused     State = "paused"
	InRecovery State = "recovery"
	Withdrawn  State = "withdrawn"
)

// EventKind says what the driver brings back.
type EventKind string

// The events.
const (
	Started     EventKind = "started"
	Elapsed     EventKind = "elapsed" // a wait is over, or there is news
	LinkFailed  EventKind = "link-failed"
	StateRead   EventKind = "state"
	CentreRead  EventKind = "centre"
	CentreLost  EventKind = "centre-lost" // Why
	ChainRead   EventKind = "chain"
	BatchRead   EventKind = "batch"
	BatchNone   EventKind = "batch-none"
	BatchGap    EventKind = "batch-gap"
	RecordsRead EventKind = "records"
	Pushed      EventKind = "pushed" // Outcome
	Told        EventKind = "told"
)

// Outcome is what became of a push.
type Outcome string

// The outcomes (sync.md, section 7).
const (
	Landed  Outcome = "landed"  // once, or it had landed before
	Unknown Outcome = "unknown" // no answer: the same transaction again
	Fenced  Outcome = "fenced"
	Foreign Outcome = "foreign" // somebody else pushed, or the centre went back
	Stopped Outcome = "stopped" // the centre takes nothing at present
	Denied  Outcome = "denied"
	Bad     Outcome = "bad" // a record is refused as it is
)

// Event is one answer to an action.
type Event struct {
	Kind    EventKind
	State   linkspec.SyncState
	View    View
	Chain   linkspec.SyncChain // ChainRead; no hash = not known
	Batch   linkspec.SyncBatch
	Records linkspec.SyncRecords
	Outcome Outcome
	Mod     int64  // of the cursor, after a push that landed
	Why     string // cause in one word
}

// ActionKind says what the driver is to do.
type ActionKind string

// The actions. One is under way at a time.
const (
	AskState     ActionKind = "ask-state"
	AskCentre    ActionKind = "ask-centre"
	AskChain     ActionKind = "ask-chain"
	AskBatch     ActionKind = "ask-batch"
	AskRecords   ActionKind = "ask-records"
	Push         ActionKind = "push"
	TellAcked    ActionKind = "tell-acked"
	TellPark     ActionKind = "tell-park"
	TellRecovery ActionKind = "tell-recovery"
	Wait         ActionKind = "wait"     // For, or until news when Wake
	Back         ActionKind = "back-off" // For at most, with full jitter
)

// Action is what to do next.
type Action struct {
	Kind  ActionKind
	Seq   int64  // ask-chain, ask-batch (after), ask-records (to), tell-acked
	After string // ask-records
	Txn   Txn
	Park  linkspec.SyncPark
	Cause string
	For   time.Duration
	Wake  bool
}

// Canary says what a push does with the site's canary.
type Canary uint8

// What a push does with the canary.
const (
	KeepCanary Canary = iota
	DropCanary
	PutCanary
)

// Txn is one push, guarded by fence and cursor.
type Txn struct {
	Fence   record.Fence
	Mod     int64
	Records []linkspec.SyncRecord
	Cursor  *record.Cursor // nil leaves it alone
	Canary  Canary
}

// Waits and limits of the machine.
const (
	firstBack   = 250 * time.Millisecond
	lastBack    = time.Minute
	deniedPause = 5 * time.Minute
	haltPause   = 30 * time.Second
	idlePause   = 30 * time.Second // in case a wake-up is lost
	resyncPage  = record.MaxBatch - 1
)

// Machine is syncd's pushing half: answers in, one action out. It does no I/O, keeps no time and is driven by [Syncer]
// and by golden transcripts alike.
type Machine struct {
	state State
	cause string
	tries int

	site    linkspec.SyncState
	view    View
	seq     int64 // the centre holds everything up to here
	mod     int64
	pending *Txn
	split   [][]linkspec.SyncRecord // halves of a refused push that are still to be tried
	whole   *Txn                    // the push that was split
	resync  resync
}

// resync is the progress of sending every record.
type resync struct {
	on    bool
	begun bool // the canary is gone
	base  *record.Cursor
	end   *record.Cursor
	to    int64
	next  string
	last  *linkspec.SyncRecords // the page that ends the scan, until the head is known
	until int64
}

// State returns the state and its cause.
func (m *Machine) State() (State, string) { return m.state, m.cause }

// Attached tells whether the handshake stands, and with which centre: the feed is pulled exactly then. It stands while a
// push is held up.
func (m *Machine) Attached() (View, bool) {
	return m.view, m.state == Live || m.state == Resync || m.state == Paused && m.pending != nil
}

// Backlog is how many rows the centre does not hold yet, as last heard.
func (m *Machine) Backlog() int64 { return max(0, m.site.Head-m.seq) }

// Step takes an answer and says what to do next.
func (m *Machine) Step(e Event) Action {
	switch e.Kind {
	case Started:
		return m.restart(Connecting, "")
	case LinkFailed:
		m.set(WaitLink, "link")
		return m.back()
	case CentreLost:
		return m.lost(e.Why)
	case StateRead:
		return m.stateRead(e.State)
	case CentreRead:
		m.view = e.View
		return m.conclude(nil)
	case ChainRead:
		return m.chainRead(e.Chain)
	case BatchRead:
		m.tries = 0
		m.site.Head = max(m.site.Head, e.Batch.To)
		return m.pushBatch(e.Batch)
	case BatchNone:
		m.tries = 0
		return Action{Kind: Wait, For: idlePause, Wake: true}
	case BatchGap:
		return m.restart(Handshake, "")
	case RecordsRead:
		return m.recordsRead(e.Records)
	case Pushed:
		return m.pushed(e)
	case Told:
		return m.told()
	case Elapsed:
		m.site.Head = max(m.site.Head, e.State.Head)
		return m.goOn()
	}
	return m.restart(Handshake, "")
}

func (m *Machine) set(s State, cause string) { m.state, m.cause = s, cause }

// restart forgets everything but the waits and begins with the site's state.
func (m *Machine) restart(s State, cause string) Action {
	*m = Machine{state: s, cause: cause, tries: m.tries}
	return Action{Kind: AskState}
}

func (m *Machine) back() Action {
	d := firstBack << min(m.tries, 8)
	m.tries++
	return Action{Kind: Back, For: min(d, lastBack)}
}

func (m *Machine) lost(why string) Action {
	if why == "denied" {
		m.set(Withdrawn, why)
		return Action{Kind: Wait, For: deniedPause}
	}
	m.set(Paused, why)
	return m.back()
}

// goOn follows a wait. A push whose outcome is not known goes first, whatever else has happened.
func (m *Machine) goOn() Action {
	switch {
	case m.pending != nil && m.state != WaitLink && m.state != Withdrawn:
		return Action{Kind: Push, Txn: *m.pending}
	case m.state == Live:
		return Action{Kind: AskBatch, Seq: m.seq}
	case m.troubled():
		return m.restart(m.state, m.cause) // it is over when the handshake says so
	}
	return m.restart(Connecting, "")
}

// troubled tells whether people have been told of something that another look may or may not find better.
func (m *Machine) troubled() bool {
	return m.state == Paused || m.state == InRecovery || m.state == Withdrawn
}

func (m *Machine) stateRead(s linkspec.SyncState) Action {
	m.site = s
	if m.resync.last != nil {
		return m.endResync(s.Head)
	}
	if !m.troubled() {
		m.set(Handshake, "")
	}
	return Action{Kind: AskCentre}
}

func (m *Machine) conclude(chain []byte) Action {
	verdict, cause := Conclude(m.view, m.site, chain)
	if verdict != AskTheChain && m.view.Cursor != nil {
		m.seq = m.view.Cursor.GetSeq()
	}
	m.mod = m.view.Mod
	switch verdict {
	case AskTheChain:
		return Action{Kind: AskChain, Seq: m.view.Cursor.GetSeq()}
	case Normal:
		m.set(Live, "")
		m.resync.until = m.view.Cursor.GetResync().GetUntil()
		if m.seq > m.site.Acked {
			return Action{Kind: TellAcked, Seq: m.seq}
		}
		return Action{Kind: AskBatch, Seq: m.seq}
	case Seed, Reseed:
		m.seq = 0 // a restored cursor may stand where this site has forgotten its own hash
		return m.beginResync("", m.site.Head, false)
	case Resume:
		r := m.view.Cursor.GetResync()
		return m.beginResync(r.GetNext(), r.GetTo(), true)
	case Recover:
		m.set(InRecovery, cause)
		if m.site.Mode == "normal" {
			return Action{Kind: TellRecovery, Cause: cause}
		}
	default:
		m.set(Paused, cause)
	}
	return Action{Kind: Wait, For: haltPause}
}

func (m *Machine) chainRead(c linkspec.SyncChain) Action {
	switch {
	case m.resync.on && m.resync.base == nil:
		m.resync.base = m.cursor(c)
		return Action{Kind: AskChain, Seq: m.resync.to}
	case m.resync.on:
		m.resync.end = m.cursor(c)
		return Action{Kind: AskRecords, After: m.resync.next, Seq: m.resync.to}
	case c.Chain == nil:
		return m.conclude([]byte{})
	}
	return m.conclude(c.Chain)
}

func (m *Machine) cursor(c linkspec.SyncChain) *record.Cursor {
	return &record.Cursor{Epoch: m.site.Epoch, Incarnation: m.site.Incarnation, Seq: c.Seq, Chain: c.Chain, Sig: c.Sig}
}

func (m *Machine) pushBatch(b linkspec.SyncBatch) Action {
	t := Txn{Records: b.Records, Cursor: &record.Cursor{
		Epoch: b.Epoch, Incarnation: m.site.Incarnation, Seq: b.To, Chain: b.Chain, Sig: b.Sig,
	}}
	switch {
	case m.resync.until > b.To:
		t.Cursor.Resync = &record.Resync{Until: m.resync.until}
	case m.resync.until > 0:
		t.Canary = PutCanary
	}
	return m.push(t)
}

func (m *Machine) push(t Txn) Action {
	t.Fence, t.Mod = *m.view.Fence, m.mod
	m.pending = &t
	return Action{Kind: Push, Txn: t}
}

func (m *Machine) pushed(e Event) Action {
	switch e.Outcome {
	case Landed:
		m.tries = 0
		return m.landed(e.Mod)
	case Unknown:
		m.cause = e.Why
		return m.back()
	case Stopped:
		m.set(Paused, e.Why)
		return m.back()
	case Denied:
		return m.lost("denied")
	case Bad:
		return m.refused()
	}
	return m.restart(Handshake, "")
}

// busy is the state while the handshake stands.
func (m *Machine) busy() State {
	if m.resync.on {
		return Resync
	}
	return Live
}

func (m *Machine) landed(mod int64) Action {
	t := *m.pending
	m.mod, m.pending = mod, nil
	m.set(m.busy(), "")
	if m.whole != nil {
		return m.nextPart()
	}
	m.seq = t.Cursor.GetSeq()
	if t.Canary == PutCanary {
		m.resync.until = 0
	}
	if m.resync.on {
		return m.resyncLanded(t)
	}
	return Action{Kind: TellAcked, Seq: m.seq}
}

func (m *Machine) told() Action {
	switch {
	case m.state == InRecovery:
		return Action{Kind: Wait, For: haltPause}
	case m.whole != nil:
		return m.nextPart()
	}
	return Action{Kind: AskBatch, Seq: m.seq}
}
