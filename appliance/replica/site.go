package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
)

const (
	askWithin   = 5 * time.Second
	applyWithin = 30 * time.Second
)

// Site is bookingd at the other end of the link.
type Site struct{ link *linkclient.Client }

// NewSite returns the site behind a link.
func NewSite(link *linkclient.Client) *Site { return &Site{link: link} }

// State asks where the site stands.
func (s *Site) State(ctx context.Context) (linkspec.SyncState, error) {
	var out linkspec.SyncState
	return out, s.get(ctx, linkspec.RouteSyncState, &out)
}

// Batch asks for the next push; it returns false when nothing waits, and Conflict when the rows are not kept any more.
func (s *Site) Batch(ctx context.Context, after int64) (linkspec.SyncBatch, bool, error) {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}, "records": {strconv.Itoa(record.MaxBatch)}, "bytes": {strconv.Itoa(record.MaxBatchSize)}}
	var raw []byte
	if err := s.get(ctx, linkspec.RouteSyncBatch+"?"+q.Encode(), &raw); err != nil || len(raw) == 0 {
		return linkspec.SyncBatch{}, false, err
	}
	var b linkspec.SyncBatch
	if err := json.Unmarshal(raw, &b); err != nil {
		return linkspec.SyncBatch{}, false, fmt.Errorf("read batch: %w", err)
	}
	return b, true, nil
}

// Chain asks for the hash at a sequence; the answer has none when the site does not know it.
func (s *Site) Chain(ctx context.Context, seq int64) (linkspec.SyncChain, error) {
	var out linkspec.SyncChain
	err := s.get(ctx, linkspec.RouteSyncChain+"?seq="+strconv.FormatInt(seq, 10), &out)
	if fault.Is(err, fault.NotFound) {
		return linkspec.SyncChain{Seq: seq}, nil
	}
	return out, err
}

// Records asks for a page of the site's own records.
func (s *Site) Records(ctx context.Context, after string, to int64) (linkspec.SyncRecords, error) {
	q := url.Values{"after": {after}, "to": {strconv.FormatInt(to, 10)}, "limit": {strconv.Itoa(resyncPage)}}
	var out linkspec.SyncRecords
	return out, s.get(ctx, linkspec.RouteSyncRecords+"?"+q.Encode(), &out)
}

// Acked tells that the centre holds everything up to a sequence.
func (s *Site) Acked(ctx context.Context, a linkspec.SyncAcked) error {
	return s.post(ctx, askWithin, linkspec.RouteSyncAcked, a, nil)
}

// Apply hands over one batch of the feed.
func (s *Site) Apply(ctx context.Context, a linkspec.SyncApply) (linkspec.SyncApplied, error) {
	var out linkspec.SyncApplied
	return out, s.post(ctx, applyWithin, linkspec.RouteSyncApply, a, &out)
}

// Relist hands over one phase or page of a relist.
func (s *Site) Relist(ctx context.Context, r linkspec.SyncRelist) (linkspec.SyncRelisted, error) {
	var out linkspec.SyncRelisted
	return out, s.post(ctx, applyWithin, linkspec.RouteSyncRelist, r, &out)
}

// Recover tells that the site must enter recovery.
func (s *Site) Recover(ctx context.Context, r linkspec.SyncRecovery) error {
	var out linkspec.SyncState
	return s.post(ctx, askWithin, linkspec.RouteSyncRecovery, r, &out)
}

// Park tells that the centre refuses a record.
func (s *Site) Park(ctx context.Context, p linkspec.SyncPark) error {
	return s.post(ctx, askWithin, linkspec.RouteSyncPark, p, nil)
}

// Report tells what syncd is doing.
func (s *Site) Report(ctx context.Context, r linkspec.SyncReport) error {
	return s.post(ctx, askWithin, linkspec.RouteSyncReport, r, nil)
}

// Heads calls fn with every new head until ctx ends, through restarts of bookingd.
func (s *Site) Heads(ctx context.Context, fn func(linkspec.SyncHead)) error {
	return s.link.Stream(ctx, linkspec.RouteSyncChanges, 0, func(event, _ string, data []byte) error {
		var h linkspec.SyncHead
		if event == "head" && json.Unmarshal(data, &h) == nil {
			fn(h)
		}
		return nil
	})
}

func (s *Site) get(ctx context.Context, route string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return s.link.Get(ctx, route, out)
}

func (s *Site) post(ctx context.Context, within time.Duration, route string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return s.link.Post(ctx, route, in, out)
}
