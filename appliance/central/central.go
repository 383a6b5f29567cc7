package central

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/record"
	"sallyport/appliance/vault"
)

const txnWithin = 5 * time.Second

// Central is one instance of centrald's work.
type Central struct {
	cli   *clientv3.Client
	party *vault.Party
	clock clock.Clock
	log   *slog.Logger

	mu   sync.Mutex // guards keys
	keys map[string]*vault.DataKey
}

// New returns an instance that speaks through cli as the user centrald and signs with party.
func New(cli *clientv3.Client, party *vault.Party, c clock.Clock, log *slog.Logger) *Central {
	return &Central{cli: cli, party: party, clock: c, log: log, keys: map[string]*vault.DataKey{}}
}

// peerPath is where a site's public keys lie; only the centre writes there.
func peerPath(site string) string { return record.PrefixCentral + "site/" + site }

// Born gives the central etcd its generation, once.
func (c *Central) Born(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	raw, err := record.Marshal(&record.Generation{Id: ident.Secret()[:26], MadeMs: c.clock.Now().UnixMilli()})
	if err != nil {
		return fmt.Errorf("encode generation: %w", err)
	}
	_, err = c.cli.Txn(ctx).If(clientv3.Compare(clientv3.Version(record.PathGeneration), "=", 0)).
		Then(clientv3.OpPut(record.PathGeneration, string(raw))).Commit()
	return wrap("central.Born", err)
}

func (c *Central) generation(ctx context.Context) (string, error) {
	g := &record.Generation{}
	found, _, err := c.get(ctx, record.PathGeneration, g)
	if err == nil && !found {
		err = fault.New("central.generation", fault.Conflict, "The central etcd has no generation yet.").WithCode("no_generation")
	}
	return g.GetId(), err
}

// get reads one message; it returns false when there is none.
func (c *Central) get(ctx context.Context, path string, m proto.Message) (found bool, mod int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	res, err := c.cli.Get(ctx, path)
	if err != nil || len(res.Kvs) == 0 {
		return false, 0, wrap("central.get", err)
	}
	return true, res.Kvs[0].ModRevision, record.Decode(res.Kvs[0].Value, m)
}

// Enrolment is what a site shows on its screen at commissioning.
type Enrolment struct {
	Site        ident.Facility
	Incarnation []byte
	Keys        vault.Peer
}

// Admit makes the site's user and role, as root: its own prefix, its own feed, its fence, and the centre's markers.
func Admit(ctx context.Context, root *clientv3.Client, site ident.Facility) error {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	if _, err := ident.Parse[ident.Facility](string(site)); err != nil {
		return err
	}
	name := "site-" + string(site)
	allow := func(path, end string, kind clientv3.PermissionType) error {
		_, err := root.RoleGrantPermission(ctx, name, path, end, kind)
		return err
	}
	prefix := func(p string, kind clientv3.PermissionType) error {
		return allow(p, clientv3.GetPrefixRangeEnd(p), kind)
	}
	read, write := clientv3.PermissionType(clientv3.PermRead), clientv3.PermissionType(clientv3.PermReadWrite)
	steps := []func() error{
		func() error { _, err := root.RoleAdd(ctx, name); return err },
		func() error { return prefix(record.SitePrefix(string(site)), write) },
		func() error { return prefix(record.FeedPrefix(string(site)), read) },
		func() error { return allow(record.FencePath(string(site)), "", read) },
		func() error { return prefix(record.PrefixMeta, read) },
		func() error {
			_, err := root.UserAddWithOptions(ctx, name, "", &clientv3.UserAddOptions{NoPassword: true})
			return err
		},
		func() error { _, err := root.UserGrantRole(ctx, name, name); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil && !errors.Is(err, rpctypes.ErrRoleAlreadyExist) && !errors.Is(err, rpctypes.ErrUserAlreadyExist) {
			return wrap("central.Admit", err)
		}
	}
	return nil
}

// Enrol lets an admitted site in: its keys, its feed, and last its fence, without which it cannot write. Doing it twice
// is harmless; another incarnation or other keys are Conflict, because that is an officer's decision.
func (c *Central) Enrol(ctx context.Context, e Enrolment) error {
	site := string(e.Site)
	if _, err := ident.Parse[ident.Facility](site); err != nil {
		return err
	}
	if len(e.Incarnation) != 16 {
		return fault.New("central.Enrol", fault.Invalid, "The incarnation is not the one a site shows.")
	}
	generation, err := c.generation(ctx)
	if err != nil {
		return err
	}
	if err := c.pin(ctx, peerPath(site), e.Keys.String()); err != nil {
		return err
	}
	if _, err := c.feedKey(ctx, site); err != nil {
		return err
	}
	canary, err := record.Marshal(&record.Canary{Generation: generation})
	if err != nil {
		return fmt.Errorf("encode canary: %w", err)
	}
	put, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	if _, err := c.cli.Put(put, record.SyncedPath(record.FeedPrefix(site)), string(canary)); err != nil {
		return wrap("central.Enrol", err)
	}
	fence := record.Fence{Epoch: 1, Incarnation: [16]byte(e.Incarnation)}
	return c.pin(ctx, record.FencePath(site), string(fence.Bytes()))
}

// pin writes a value once; another value there already is Conflict.
func (c *Central) pin(ctx context.Context, path, value string) error {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	res, err := c.cli.Txn(ctx).If(clientv3.Compare(clientv3.Version(path), "=", 0)).
		Then(clientv3.OpPut(path, value)).Else(clientv3.OpGet(path)).Commit()
	if err != nil {
		return wrap("central.pin", err)
	}
	if !res.Succeeded && string(res.Responses[0].GetResponseRange().Kvs[0].Value) != value {
		return fault.New("central.Enrol", fault.Conflict, "This site is enrolled already, with other keys or another incarnation. Raise its fence instead.").WithCode("enrolled")
	}
	return nil
}

// Raise lets the incarnation that a site shows in, and shuts every other out. It returns Conflict when the fence is not
// at the epoch that the officer saw.
func (c *Central) Raise(ctx context.Context, site ident.Facility, seen uint64, incarnation []byte) error {
	if len(incarnation) != 16 {
		return fault.New("central.Raise", fault.Invalid, "The incarnation is not the one a site shows.")
	}
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	path := record.FencePath(string(site))
	res, err := c.cli.Get(ctx, path)
	if err != nil {
		return wrap("central.Raise", err)
	}
	if len(res.Kvs) == 0 {
		return fault.New("central.Raise", fault.NotFound, "This site is not enrolled.")
	}
	old, err := record.ParseFence(res.Kvs[0].Value)
	if err != nil {
		return err
	}
	next := record.Fence{Epoch: old.Epoch + 1, Incarnation: [16]byte(incarnation)}
	if old.Epoch == seen {
		txn, err := c.cli.Txn(ctx).If(clientv3.Compare(clientv3.Value(path), "=", string(old.Bytes()))).
			Then(clientv3.OpPut(path, string(next.Bytes()))).Commit()
		if err != nil {
			return wrap("central.Raise", err)
		}
		if txn.Succeeded {
			return nil
		}
	}
	return fault.New("central.Raise", fault.Conflict, "Somebody else has moved this site's fence. Look again.").WithCode("fence_moved")
}

// feedKey returns this quarter's data key of a site's feed, made, wrapped to the site and published on first use. Two
// instances may each make one; both open.
func (c *Central) feedKey(ctx context.Context, site string) (*vault.DataKey, error) {
	quarter := vault.Quarter(c.clock.Now())
	keys, err := c.dataKeys(ctx, record.FeedPrefix(site))
	if err != nil {
		return nil, err
	}
	if k, ok := keys[quarter]; ok {
		return k, nil
	}
	peer, err := c.peer(ctx, site)
	if err != nil {
		return nil, err
	}
	key, err := vault.NewDataKey(quarter)
	if err != nil {
		return nil, err
	}
	wrap, err := key.Wrap(quarter, peer, c.party.Peer())
	if err != nil {
		return nil, err
	}
	path := record.KeyOf(record.TypeKey, key.ID).Path(record.FeedPrefix(site))
	e := &record.Envelope{Major: record.Major, Minor: record.Minor, Type: string(record.TypeKey), Id: key.ID, Owner: record.Central, Epoch: 1, Ver: 1}
	if e.Sealed, err = record.Marshal(wrap); err != nil {
		return nil, fmt.Errorf("encode data key: %w", err)
	}
	c.party.SignRecord(path, e)
	return key, c.put(ctx, path, e)
}

func (c *Central) put(ctx context.Context, path string, m proto.Message) error {
	raw, err := record.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	_, err = c.cli.Put(ctx, path, string(raw))
	return wrap("central.put", err)
}

func (c *Central) peer(ctx context.Context, site string) (vault.Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	res, err := c.cli.Get(ctx, peerPath(site))
	if err != nil {
		return vault.Peer{}, wrap("central.peer", err)
	}
	if len(res.Kvs) == 0 {
		return vault.Peer{}, fault.New("central.peer", fault.NotFound, "This site is not enrolled.")
	}
	return vault.ParsePeer(string(res.Kvs[0].Value))
}

// wrap makes a fault of what the central etcd answers.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return fault.New(op, fault.Forbidden, "The central etcd does not allow this.").Because(err)
	}
	return fault.New(op, fault.Unavailable, "The central etcd does not answer.").Because(err)
}
