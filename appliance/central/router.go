package central

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"sallyport/appliance/record"
)

const (
	firstBack = 250 * time.Millisecond
	lastBack  = time.Minute
)

// Serve routes until ctx ends: a command whose result a site has written leaves the mailbox. Losing the central etcd is
// waited out.
func (c *Central) Serve(ctx context.Context) error {
	for try := 0; ctx.Err() == nil; try++ {
		began := c.clock.Boot()
		err := c.route(ctx)
		if ctx.Err() != nil {
			break
		}
		if c.clock.Boot()-began > lastBack {
			try = 0
		}
		c.log.Warn("routing is interrupted", "op", "central.Serve", "err", err)
		t := time.NewTimer(rand.N(min(firstBack<<min(try, 8), lastBack)) + 1)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// route looks at every result that stands, then at every new one. It keeps no position: looking again is harmless.
func (c *Central) route(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	end := clientv3.GetPrefixRangeEnd(record.PrefixSites)
	var revision int64
	for from := record.PrefixSites; ; {
		page, done := context.WithTimeout(ctx, 2*txnWithin)
		res, err := c.cli.Get(page, from, clientv3.WithRange(end), clientv3.WithLimit(viewPage), clientv3.WithKeysOnly())
		done()
		if err != nil {
			return err
		}
		if revision == 0 {
			revision = res.Header.Revision
		}
		for _, kv := range res.Kvs {
			from = string(kv.Key) + "\x00"
			if err := c.seen(ctx, string(kv.Key)); err != nil {
				return err
			}
		}
		if !res.More {
			break
		}
	}
	events := c.cli.Watch(clientv3.WithRequireLeader(ctx), record.PrefixSites, clientv3.WithPrefix(), clientv3.WithRev(revision+1), clientv3.WithFilterDelete())
	for r := range events {
		if err := r.Err(); err != nil {
			return err
		}
		for _, e := range r.Events {
			if e.Type == mvccpb.PUT {
				if err := c.seen(ctx, string(e.Kv.Key)); err != nil {
					return err
				}
			}
		}
	}
	return errors.New("the watch ended")
}

// seen takes a command out of the mailbox once its result stands.
func (c *Central) seen(ctx context.Context, path string) error {
	_, site, k, err := record.ParsePath(path)
	if err != nil || k.Type != record.TypeResult {
		return nil // markers and records are routed when there is somebody to route them to
	}
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	_, err = c.cli.Delete(ctx, record.MailPath(site, k.ID))
	return err
}
