package replica

import (
	"slices"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
)

// beginResync sends every own record in its latest version at or below the head it began with. What changes after that
// head travels in normal batches, so the canary comes back only when those have caught up too.
func (m *Machine) beginResync(next string, to int64, begun bool) Action {
	m.set(Resync, "")
	m.resync = resync{on: true, begun: begun, to: to, next: next}
	return Action{Kind: AskChain, Seq: m.seq}
}

func (m *Machine) recordsRead(p linkspec.SyncRecords) Action {
	m.tries = 0
	fit, bytes := 0, 0
	for _, r := range p.Records {
		bytes += len(r.Key) + len(r.Sealed)
		if fit == resyncPage || fit > 0 && bytes > record.MaxBatchSize {
			break
		}
		fit++
	}
	cut := fit < len(p.Records)
	p.Records = p.Records[:fit]
	if !cut && p.Next == "" {
		m.resync.last = &p
		return Action{Kind: AskState} // the head at the end of the scan bounds what the scan skipped
	}
	m.resync.next = p.Records[fit-1].Key
	c := &record.Cursor{
		Epoch: m.resync.base.Epoch, Incarnation: m.resync.base.Incarnation, Seq: m.resync.base.Seq, Chain: m.resync.base.Chain, Sig: m.resync.base.Sig,
		Resync: &record.Resync{To: m.resync.to, Next: m.resync.next},
	}
	return m.push(Txn{Records: p.Records, Cursor: c, Canary: m.firstCanary()})
}

// firstCanary takes the canary away with the first transaction of a resync.
func (m *Machine) firstCanary() Canary {
	if m.resync.begun {
		return KeepCanary
	}
	m.resync.begun = true
	return DropCanary
}

// endResync pushes the last page and the cursor at the head that the resync began with.
func (m *Machine) endResync(head int64) Action {
	page := m.resync.last.Records
	m.resync.last = nil
	c := m.resync.end
	t := Txn{Records: page, Cursor: c, Canary: PutCanary}
	m.resync.begun = true
	if head > m.resync.to {
		m.resync.until = head
		c.Resync = &record.Resync{Until: head}
		t.Canary = DropCanary
	}
	return m.push(t)
}

func (m *Machine) resyncLanded(t Txn) Action {
	if t.Cursor.GetResync().GetTo() > 0 {
		return Action{Kind: AskRecords, After: m.resync.next, Seq: m.resync.to}
	}
	m.set(Live, "")
	m.resync = resync{until: t.Cursor.GetResync().GetUntil()}
	return Action{Kind: TellAcked, Seq: m.seq}
}

// refused halves a push that the centre refuses as it is, until the record that it cannot take is alone and is parked.
// The halves leave the cursor alone: it moves only at the end, so that a crash in between begins the batch again.
func (m *Machine) refused() Action {
	t := m.pending
	m.pending = nil
	if m.whole == nil {
		m.whole, m.split = t, nil
	}
	switch n := len(t.Records); n {
	case 0:
		m.whole, m.split = nil, nil
		m.set(Paused, "refused")
		return m.back()
	case 1:
		r := t.Records[0]
		m.whole.Records = slices.DeleteFunc(slices.Clone(m.whole.Records), func(o linkspec.SyncRecord) bool { return o.Key == r.Key })
		return Action{Kind: TellPark, Park: linkspec.SyncPark{Key: r.Key, Ver: r.Ver, Reason: "refused"}}
	default:
		m.split = append(m.split, t.Records[n/2:], t.Records[:n/2])
		return m.nextPart()
	}
}

// nextPart tries the next half; after the last one the cursor goes alone.
func (m *Machine) nextPart() Action {
	if n := len(m.split); n > 0 {
		part := m.split[n-1]
		m.split = m.split[:n-1]
		return m.push(Txn{Records: part})
	}
	t := *m.whole
	m.whole, t.Records = nil, nil
	return m.push(t)
}
