package replica

import (
	"context"
	"errors"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
)

const listPage = 1000

// relist reads the whole feed and then follows it. The watch is opened before the scan, so that the scan need not be
// pinned to a revision, which compaction would take away under it; the watch covers what moves meanwhile.
func (p *puller) relist(ctx context.Context, v View, s linkspec.SyncState, now int64) error {
	r0 := now
	if s.RelistR0 > 0 {
		r0 = s.RelistR0 // go on where a crash ended the last one
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	events := p.centre.watch(watching, r0+1)
	call := linkspec.SyncRelist{Phase: "begin", Cluster: v.Cluster, Generation: v.Generation, R0: r0}
	begun, err := p.site.Relist(ctx, call)
	if err != nil {
		return err
	}
	if err := p.scan(ctx, call, begun.Resume); err != nil {
		return err
	}
	call.Phase = "finish"
	if call.Canary, err = p.centre.canary(ctx, v.Generation); err != nil {
		return err
	}
	if _, err := p.site.Relist(ctx, call); err != nil {
		return err
	}
	err = p.watch(ctx, v, events, r0)
	if errors.Is(err, errRelist) && r0 != now {
		// The first revision of the interrupted relist is compacted by now: begin anew.
		cancel()
		return p.relist(ctx, v, linkspec.SyncState{Site: s.Site}, now)
	}
	return err
}

// scan hands over the feed in key order: keys come before what they open.
func (p *puller) scan(ctx context.Context, call linkspec.SyncRelist, after string) error {
	prefix := record.FeedPrefix(p.centre.site)
	if after == "" {
		after = prefix
	}
	for {
		kvs, more, err := p.centre.page(ctx, after, clientv3.GetPrefixRangeEnd(prefix))
		if err != nil {
			return err
		}
		page := call
		page.Phase = "page"
		for i, kv := range kvs {
			sort(kv, &page.Records, &page.Commands)
			page.After = string(kv.Key)
			if i+1 < len(kvs) && len(page.Commands) < maxCommands {
				continue
			}
			if _, err := p.site.Relist(ctx, page); err != nil {
				return err
			}
			page.Records, page.Commands = nil, nil
		}
		if !more {
			return nil
		}
		after = page.After
	}
}
