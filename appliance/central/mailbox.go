package central

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/record"
	"sallyport/appliance/vault"
)

// Order is what the centre asks of a site.
type Order struct {
	Site    ident.Facility
	Kind    string // record.CmdVisitCancel
	Subject string
	BaseVer uint64
	Body    proto.Message
	Expires time.Time // zero = 90 days
	Issuer  string    // who at the centre
}

const orderLife = 90 * 24 * time.Hour

// Send puts a command into the site's mailbox, sealed for the site and signed by the centre.
func (c *Central) Send(ctx context.Context, o Order) (ident.Command, error) {
	id := ident.New[ident.Command]()
	return id, c.SendAs(ctx, id, o)
}

// SendAs is Send under an id of the caller's, so that an order whose outcome was not known can be sent again: the site
// runs an id once.
func (c *Central) SendAs(ctx context.Context, id ident.Command, o Order) error {
	now := c.clock.Now()
	if o.Expires.IsZero() {
		o.Expires = now.Add(orderLife)
	}
	body, err := record.Marshal(o.Body)
	if err != nil {
		return fmt.Errorf("encode command: %w", err)
	}
	cmd, err := record.Marshal(&record.CommandBody{
		Kind: o.Kind, Subject: o.Subject, BaseVer: o.BaseVer, Body: body, ExpiresMs: o.Expires.UnixMilli(), Issuer: o.Issuer,
	})
	if err != nil {
		return fmt.Errorf("encode command: %w", err)
	}
	key, err := c.feedKey(ctx, string(o.Site))
	if err != nil {
		return err
	}
	path := record.MailPath(string(o.Site), string(id))
	e := &record.Envelope{
		Major: record.Major, Minor: record.Minor, Type: string(record.TypeCommand), Id: string(id), Owner: record.Central, Epoch: 1, Ver: 1, Cmd: string(id),
	}
	plain := &record.Plain{ActorKind: string(ident.ByCentral), Actor: o.Issuer, AtMs: now.UnixMilli(), Body: cmd}
	if err := key.SealRecord(path, e, plain); err != nil {
		return err
	}
	c.party.SignRecord(path, e)
	return c.put(ctx, path, e)
}

// Opened is one record of a site, decrypted in memory.
type Opened struct {
	Key     record.Key
	Epoch   uint64
	Ver     uint64
	Deleted bool
	Cmd     string
	At      time.Time
	Actor   string
	Body    proto.Message // nil when deleted, or when Trouble says why
	Trouble string        // a record that does not open is listed, not skipped
}

// Result returns what a site answered to a command; false while it has not.
func (c *Central) Result(ctx context.Context, site ident.Facility, cmd ident.Command) (*record.ResultBody, bool, error) {
	path := record.KeyOf(record.TypeResult, cmd).Path(record.SitePrefix(string(site)))
	e := &record.Envelope{}
	found, _, err := c.get(ctx, path, e)
	if err != nil || !found {
		return nil, false, err
	}
	o := c.open(ctx, string(site), path, e)
	body, ok := o.Body.(*record.ResultBody)
	if !ok {
		return nil, false, fault.New("central.Result", fault.Conflict, "The site's answer does not open.").WithParam("why", o.Trouble)
	}
	return body, true, nil
}

const viewPage = 500

// Records lists a site's records as the centre sees them, in key order.
func (c *Central) Records(ctx context.Context, site ident.Facility) ([]Opened, error) {
	prefix := record.SitePrefix(string(site))
	end := clientv3.GetPrefixRangeEnd(prefix)
	var all []Opened
	for from := prefix; ; {
		page, cancel := context.WithTimeout(ctx, 2*txnWithin)
		res, err := c.cli.Get(page, from, clientv3.WithRange(end), clientv3.WithLimit(viewPage))
		cancel()
		if err != nil {
			return nil, wrap("central.Records", err)
		}
		for _, kv := range res.Kvs {
			path := string(kv.Key)
			from = path + "\x00"
			if _, _, k, err := record.ParsePath(path); err != nil || k.Type == record.TypeKey {
				continue // markers
			}
			e, k, err := record.DecodeEnvelope(path, kv.Value)
			if err != nil {
				all = append(all, Opened{Key: k, Trouble: err.Error()})
				continue
			}
			all = append(all, c.open(ctx, string(site), path, e))
		}
		if !res.More {
			return all, nil
		}
	}
}

func (c *Central) open(ctx context.Context, site, path string, e *record.Envelope) Opened {
	o := Opened{
		Key: record.KeyOf(record.Type(e.GetType()), e.GetId()), Epoch: e.GetEpoch(), Ver: e.GetVer(), Deleted: e.GetDeleted(), Cmd: e.GetCmd(),
	}
	key, err := c.siteKey(ctx, site, e.GetKeyId())
	if err != nil {
		o.Trouble = err.Error()
		return o
	}
	plain, err := key.OpenRecord(path, e)
	if err != nil {
		o.Trouble = err.Error()
		return o
	}
	o.At, o.Actor = time.UnixMilli(plain.GetAtMs()).UTC(), plain.GetActor()
	if !o.Deleted {
		if o.Body, err = record.Body(o.Key.Type, plain.GetBody()); err != nil {
			o.Trouble = err.Error()
		}
	}
	return o
}

// siteKey returns a data key of a site, opened once and kept in memory only.
func (c *Central) siteKey(ctx context.Context, site, id string) (*vault.DataKey, error) {
	c.mu.Lock()
	key, ok := c.keys[site+"/"+id]
	c.mu.Unlock()
	if ok {
		return key, nil
	}
	path := record.KeyOf(record.TypeKey, id).Path(record.SitePrefix(site))
	e := &record.Envelope{}
	found, _, err := c.get(ctx, path, e)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fault.New("central.siteKey", fault.NotFound, "The site's data key is not there.")
	}
	peer, err := c.peer(ctx, site)
	if err != nil {
		return nil, err
	}
	if err := peer.VerifyRecord(path, e); err != nil {
		return nil, err
	}
	return c.unwrap(site, e)
}

func (c *Central) unwrap(site string, e *record.Envelope) (*vault.DataKey, error) {
	w := &record.KeyWrap{}
	if err := record.Decode(e.GetSealed(), w); err != nil {
		return nil, err
	}
	key, err := c.party.Unwrap(e.GetId(), w)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[site+"/"+e.GetId()] = key
	return key, nil
}

// dataKeys returns the data keys below a feed's prefix by quarter. Only keys that this centre signed count.
func (c *Central) dataKeys(ctx context.Context, prefix string) (map[string]*vault.DataKey, error) {
	ctx, cancel := context.WithTimeout(ctx, txnWithin)
	defer cancel()
	res, err := c.cli.Get(ctx, prefix+string(record.TypeKey)+"/", clientv3.WithPrefix())
	if err != nil {
		return nil, wrap("central.dataKeys", err)
	}
	keys := map[string]*vault.DataKey{}
	for _, kv := range res.Kvs {
		e, _, err := record.DecodeEnvelope(string(kv.Key), kv.Value)
		if err != nil || c.party.Peer().VerifyRecord(string(kv.Key), e) != nil {
			continue
		}
		w := &record.KeyWrap{}
		if err := record.Decode(e.GetSealed(), w); err != nil {
			continue
		}
		if key, err := c.party.Unwrap(e.GetId(), w); err == nil {
			keys[w.GetQuarter()] = key
		}
	}
	return keys, nil
}
