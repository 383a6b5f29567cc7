package replica

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sallyport/appliance/record"
)

// Deadlines of every call to the centre: one without hangs for ever on a dead server.
const (
	txnWithin   = 5 * time.Second
	pageWithin  = 10 * time.Second
	dialWithin  = 5 * time.Second
	keepAlive   = 10 * time.Second
	keepTimeout = 3 * time.Second
	leaseTTL    = 30 // seconds
)

// Centre is the central etcd as a site may use it.
type Centre struct {
	cli  *clientv3.Client
	site string
}

// Dial readies a connection to the central etcd; nothing is connected yet. There is no mode without TLS.
func Dial(site string, endpoints []string, conf *tls.Config) (*Centre, error) {
	conf = conf.Clone()
	conf.MinVersion = tls.VersionTLS13
	cli, err := clientv3.New(clientv3.Config{
		Endpoints: endpoints, TLS: conf, DialTimeout: dialWithin, DialKeepAliveTime: keepAlive, DialKeepAliveTimeout: keepTimeout,
		Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("dial the centre: %w", err)
	}
	return &Centre{cli: cli, site: site}, nil
}

// Close ends the connection.
func (c *Centre) Close() error { return c.cli.Close() }

// Read takes generation, fence and cursor in one transaction.
func (c *Centre) Read(ctx context.Context) (View, error) {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	res, err := c.cli.Txn(ctx).Then(
		clientv3.OpGet(record.PathGeneration), clientv3.OpGet(record.FencePath(c.site)), clientv3.OpGet(record.CursorPath(c.site)),
	).Commit()
	if err != nil {
		return View{}, err
	}
	v := View{Cluster: res.Header.ClusterId}
	if kvs := res.Responses[0].GetResponseRange().Kvs; len(kvs) > 0 {
		g := &record.Generation{}
		if err := record.Decode(kvs[0].Value, g); err != nil {
			return View{}, err
		}
		v.Generation = g.GetId()
	}
	if kvs := res.Responses[1].GetResponseRange().Kvs; len(kvs) > 0 {
		f, err := record.ParseFence(kvs[0].Value)
		if err != nil {
			return View{}, err
		}
		v.Fence = &f
	}
	if kvs := res.Responses[2].GetResponseRange().Kvs; len(kvs) > 0 {
		v.Cursor, v.Mod = &record.Cursor{}, kvs[0].ModRevision
		if err := record.Decode(kvs[0].Value, v.Cursor); err != nil {
			return View{}, err
		}
	}
	return v, nil
}

// Push runs one guarded transaction. The guard is compared inside it; a lock or a lease would not be a fence.
func (c *Centre) Push(ctx context.Context, generation string, t Txn) Event {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	sent, ops, err := c.operations(generation, t)
	if err != nil {
		return Event{Kind: Pushed, Outcome: Bad, Why: "encode"}
	}
	fence, cursor := record.FencePath(c.site), record.CursorPath(c.site)
	res, err := c.cli.Txn(ctx).If(
		clientv3.Compare(clientv3.Value(fence), "=", string(t.Fence.Bytes())),
		clientv3.Compare(clientv3.ModRevision(cursor), "=", t.Mod),
	).Then(ops...).Else(clientv3.OpGet(fence), clientv3.OpGet(cursor)).Commit()
	if err != nil {
		outcome, why := judge(err)
		return Event{Kind: Pushed, Outcome: outcome, Why: why}
	}
	if res.Succeeded {
		if sent == nil {
			return Event{Kind: Pushed, Outcome: Landed, Mod: t.Mod}
		}
		return Event{Kind: Pushed, Outcome: Landed, Mod: res.Header.Revision}
	}
	if kvs := res.Responses[1].GetResponseRange().Kvs; sent != nil && len(kvs) > 0 && bytes.Equal(kvs[0].Value, sent) {
		return Event{Kind: Pushed, Outcome: Landed, Mod: kvs[0].ModRevision}
	}
	if kvs := res.Responses[0].GetResponseRange().Kvs; len(kvs) == 0 || !bytes.Equal(kvs[0].Value, t.Fence.Bytes()) {
		return Event{Kind: Pushed, Outcome: Fenced}
	}
	return Event{Kind: Pushed, Outcome: Foreign}
}

// operations returns what a push does, and the cursor's bytes.
func (c *Centre) operations(generation string, t Txn) (sent []byte, ops []clientv3.Op, err error) {
	for _, r := range t.Records {
		ops = append(ops, clientv3.OpPut(r.Key, string(r.Sealed)))
	}
	if t.Cursor != nil {
		if sent, err = record.Marshal(t.Cursor); err != nil {
			return nil, nil, err
		}
		ops = append(ops, clientv3.OpPut(record.CursorPath(c.site), string(sent)))
	}
	canary := record.SyncedPath(record.SitePrefix(c.site))
	switch t.Canary {
	case DropCanary:
		ops = append(ops, clientv3.OpDelete(canary))
	case PutCanary:
		raw, err := record.Marshal(&record.Canary{Generation: generation, Seq: t.Cursor.GetSeq()})
		if err != nil {
			return nil, nil, err
		}
		ops = append(ops, clientv3.OpPut(canary, string(raw)))
	}
	return sent, ops, nil
}

// judge says what an error of the centre means for a push, and in one word why.
func judge(err error) (Outcome, string) {
	for _, bad := range []error{rpctypes.ErrRequestTooLarge, rpctypes.ErrTooManyOps, rpctypes.ErrDuplicateKey, rpctypes.ErrEmptyKey} {
		if errors.Is(err, bad) {
			return Bad, "refused"
		}
	}
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrAuthFailed):
		return Denied, "denied"
	case errors.Is(err, rpctypes.ErrNoSpace):
		return Stopped, "no_space"
	case errors.Is(err, rpctypes.ErrTooManyRequests), errors.Is(err, rpctypes.ErrNoLeader), errors.Is(err, rpctypes.ErrAuthOldRevision):
		return Stopped, "unavailable"
	}
	return Unknown, why(err)
}

// why puts a broken connection in one word for the staff screens.
func why(err error) string {
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok && bad.Reason == x509.Expired {
		return "clock"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "certificate"
	}
	s, ok := status.FromError(err)
	if e, is := errors.AsType[rpctypes.EtcdError](err); is {
		s, ok = status.New(e.Code(), e.Error()), true
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), ok && s.Code() == codes.DeadlineExceeded:
		return "timeout"
	case ok && s.Code() == codes.PermissionDenied:
		return "denied"
	case ok && s.Code() == codes.Unavailable && bytes.Contains([]byte(s.Message()), []byte("x509")),
		ok && bytes.Contains([]byte(s.Message()), []byte("tls: ")):
		return "certificate"
	}
	return "unreachable"
}

// page reads keys after one, unpinned.
func (c *Centre) page(ctx context.Context, after, end string) ([]*mvccpb.KeyValue, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, pageWithin)
	defer cancel()
	res, err := c.cli.Get(ctx, after+"\x00", clientv3.WithRange(end), clientv3.WithLimit(listPage))
	if err != nil {
		return nil, false, err
	}
	return res.Kvs, res.More, nil
}

// canary tells whether the feed is whole in this generation.
func (c *Centre) canary(ctx context.Context, generation string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	res, err := c.cli.Get(ctx, record.SyncedPath(record.FeedPrefix(c.site)))
	if err != nil || len(res.Kvs) == 0 {
		return false, err
	}
	mark := &record.Canary{}
	if err := record.Decode(res.Kvs[0].Value, mark); err != nil {
		return false, nil // a canary that cannot be read vouches for nothing
	}
	return mark.GetGeneration() == generation, nil
}
