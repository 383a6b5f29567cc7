package replica

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
)

const (
	presentEvery = 10 * time.Second
	stuckAfter   = 2 * time.Minute // longer than any wait or call of the loop but the one for a withdrawn site
)

// Alive tells whether the loop turns. Being offline is healthy.
func (s *Syncer) Alive(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if quiet := s.clock.Boot() - s.turned; s.turned > 0 && quiet > stuckAfter && !s.resting {
		return errors.New("the loop has not turned for " + quiet.Round(time.Second).String())
	}
	return nil
}

// Present keeps the site's presence at the centre while the handshake stands. It is leased: it vanishes when syncd does,
// and nothing else is ever leased.
func (s *Syncer) Present(ctx context.Context) error {
	var lease clientv3.LeaseID
	defer func() { s.centre.leave(context.WithoutCancel(ctx), lease) }()
	for ctx.Err() == nil {
		if r := s.State(); r.State == string(Live) || r.State == string(Resync) {
			next, err := s.centre.present(ctx, lease, r)
			if err != nil {
				next = 0 // a new lease with the next try; syncd's state tells what is wrong
			}
			lease = next
		}
		s.wait(ctx, presentEvery, false)
	}
	return nil
}

func (c *Centre) present(ctx context.Context, lease clientv3.LeaseID, r linkspec.SyncReport) (clientv3.LeaseID, error) {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	if lease == 0 {
		l, err := c.cli.Grant(ctx, leaseTTL)
		if err != nil {
			return 0, err
		}
		lease = l.ID
	}
	if _, err := c.cli.KeepAliveOnce(ctx, lease); err != nil {
		return 0, err
	}
	raw, err := record.Marshal(&record.Presence{Mode: r.State, Waiting: r.Backlog})
	if err != nil {
		return 0, err
	}
	_, err = c.cli.Put(ctx, record.PresencePath(c.site), string(raw), clientv3.WithLease(lease))
	return lease, err
}

// leave ends the presence at once instead of after the lease.
func (c *Centre) leave(ctx context.Context, lease clientv3.LeaseID) {
	if lease == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, _ = c.cli.Revoke(ctx, lease)
}
