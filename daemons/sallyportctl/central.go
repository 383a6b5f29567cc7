package main

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
)

// centralCmd is what an operator of the central site does; it speaks centrald's socket, not the appliance's.
type centralCmd struct {
	Socket string `help:"centrald's socket." default:"/run/sallyport/central.sock" env:"SALLYPORT_CENTRAL" type:"path"`

	Keys    centralKeysCmd    `cmd:"" help:"Print the centre's public keys, which a site pins."`
	Records centralRecordsCmd `cmd:"" help:"List what the centre holds of a site, as it stands in etcd."`
	Cancel  centralCancelCmd  `cmd:"" help:"Send a site the order to cancel a visit, and wait for its answer."`
	Fence   centralFenceCmd   `cmd:"" help:"Let another incarnation of a site in, after it was restored."`
}

func (c *centralCmd) dial() *linkclient.Client { return linkclient.Dial(c.Socket) }

type centralKeysCmd struct{}

// Run prints keys and fingerprint; both are compared on two screens at commissioning.
func (centralKeysCmd) Run(t *tool, c *cli) error {
	office := c.Central.dial()
	defer office.Close()
	var k linkspec.CentralKeys
	if err := office.Get(t.ctx, linkspec.RouteCentralKeys, &k); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s\nfingerprint %s\n", k.Keys, k.Fingerprint)
	return nil
}

type centralRecordsCmd struct {
	Site   string `arg:"" help:"The facility's id."`
	Type   string `help:"Only records of this type, such as visit."`
	Opened bool   `help:"Show what the records say too: personal data, for this screen only."`
}

// Run lists keys, versions and sizes; what a record says only when asked for.
func (r centralRecordsCmd) Run(t *tool, c *cli) error {
	office := c.Central.dial()
	defer office.Close()
	var all linkspec.CentralRecords
	if err := office.Get(t.ctx, linkspec.RouteCentralRecords+"?site="+url.QueryEscape(r.Site), &all); err != nil {
		return err
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	shown := 0
	for _, rec := range all.Records {
		if r.Type != "" && !strings.Contains(rec.Key, "/rec/"+r.Type+"/") {
			continue
		}
		state := "present"
		if rec.Deleted {
			state = "removed"
		}
		if rec.Trouble != "" {
			state = rec.Trouble
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", rec.Key, rec.Ver, state, rec.At.Format(time.RFC3339))
		if r.Opened && len(rec.Body) > 0 {
			fmt.Fprintf(w, "\t%s\n", rec.Body)
		}
		shown++
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%d of %d records\n", shown, len(all.Records))
	return nil
}

type centralCancelCmd struct {
	Site   string        `arg:"" help:"The facility's id."`
	Visit  string        `arg:"" help:"The visit's id."`
	Reason string        `help:"Reason code." default:"facility_operational"`
	Within time.Duration `help:"How long the order holds and is waited for." default:"30s"`
}

// Run sends the order once and waits for the outcome; an order that is not answered in time lapses at the site.
func (r centralCancelCmd) Run(t *tool, c *cli) error {
	office := c.Central.dial()
	defer office.Close()
	var sent linkspec.CentralSent
	if err := office.Post(t.ctx, linkspec.RouteCentralCommand, linkspec.CentralCommand{
		Site: r.Site, Kind: "visit.cancel", Subject: r.Visit, Reason: r.Reason, Expires: time.Now().Add(r.Within),
	}, &sent); err != nil {
		return err
	}
	query := url.Values{"site": {r.Site}, "command": {sent.ID}}.Encode()
	until := time.Now().Add(r.Within)
	for {
		var answer linkspec.CentralResult
		err := office.Get(t.ctx, linkspec.RouteCentralResult+"?"+query, &answer)
		if err == nil {
			fmt.Fprintf(t.out, "%s %s %s\n", sent.ID, answer.Outcome, answer.Reason)
			return nil
		}
		if time.Now().After(until) || t.ctx.Err() != nil {
			return fmt.Errorf("%s: the site has not answered: %w", sent.ID, err)
		}
		select {
		case <-t.ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

type centralFenceCmd struct {
	Site        string `arg:"" help:"The facility's id."`
	Epoch       uint64 `help:"The epoch that the site's screen shows." required:""`
	Incarnation string `help:"The incarnation that the site's screen shows, in hexadecimal." required:""`
}

// Run raises the fence for the incarnation that an officer has compared with the site's screen.
func (r centralFenceCmd) Run(t *tool, c *cli) error {
	raw, err := hex.DecodeString(r.Incarnation)
	if err != nil {
		return fmt.Errorf("the incarnation must be hexadecimal: %w", err)
	}
	office := c.Central.dial()
	defer office.Close()
	return office.Post(t.ctx, linkspec.RouteCentralFence, linkspec.CentralFence{Site: r.Site, Epoch: r.Epoch, Incarnation: raw}, nil)
}
