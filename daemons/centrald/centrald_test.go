package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
	"sallyport/daemons/demo/centre"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The embedded server leaves these behind after Close; it is in no shipped program.
		goleak.IgnoreAnyFunction("go.etcd.io/etcd/client/pkg/v3/logutil.(*MergeLogger).outputLoop"))
}

// started is a centrald over a centre of its own.
func started(t *testing.T, change func(text string) string) *linkclient.Client {
	t.Helper()
	dir := t.TempDir()
	c, err := centre.Start(t.Context(), centre.Options{Dir: filepath.Join(dir, "centre"), Listen: "127.0.0.1:0", Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, err := vault.CreateCredentials(filepath.Join(dir, "secrets"), centreSecret); err != nil {
		t.Fatal(err)
	}
	cert, key, ca, err := c.Files(centre.Router)
	if err != nil {
		t.Fatal(err)
	}
	rootCert, rootKey, _, err := c.Files(centre.Root)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, linkspec.CentralSocket)
	text := fmt.Sprintf("endpoints = [%q]\nauthority = %q\ncertificate = %q\nkey = %q\nroot_certificate = %q\nroot_key = %q\ncredentials = %q\nlisten = %q\n",
		c.Endpoints()[0], ca, cert, key, rootCert, rootKey, filepath.Join(dir, "secrets"), "unix:"+socket)
	path := filepath.Join(dir, "centrald.toml")
	if err := os.WriteFile(path, []byte(change(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := unit.NewEnv("centrald", []string{"--config", path}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, env) }()
	client := linkclient.Dial(socket)
	t.Cleanup(func() {
		client.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("centrald ended with %v", err)
		}
	})
	waitFor(t, client)
	return client
}

// waitFor asks until the socket is there.
func waitFor(t *testing.T, c *linkclient.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		if err := c.Get(ctx, linkspec.RouteCentralKeys, nil); !fault.Is(err, fault.Unavailable) {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("centrald does not answer")
		}
	}
}

func same(s string) string { return s }

func TestEnrolAndCommand(t *testing.T) {
	c := started(t, same)
	var keys linkspec.CentralKeys
	if err := c.Get(t.Context(), linkspec.RouteCentralKeys, &keys); err != nil {
		t.Fatal(err)
	}
	if p, err := vault.ParsePeer(keys.Keys); err != nil || p.Fingerprint() != keys.Fingerprint {
		t.Errorf("the centre shows %+v: %v", keys, err)
	}
	party, err := vault.NewParty([]byte(strings.Repeat("s", 32)))
	if err != nil {
		t.Fatal(err)
	}
	site := string(ident.New[ident.Facility]())
	enrol := linkspec.CentralEnrol{Site: site, Incarnation: make([]byte, 16), Keys: party.Peer().String()}
	enrolled := func() error { return c.Post(t.Context(), linkspec.RouteCentralEnrol, enrol, nil) }
	for err = enrolled(); fault.CodeOf(err) == "no_generation"; err = enrolled() { // until the first start has made one
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := enrolled(); err != nil {
		t.Errorf("enrolling twice: %v", err)
	}
	enrol.Incarnation = []byte("another-instance")
	if err := enrolled(); !fault.Is(err, fault.Conflict) {
		t.Errorf("another incarnation is let in without an officer: %v", err)
	}
	fence := linkspec.CentralFence{Site: site, Epoch: 7, Incarnation: enrol.Incarnation}
	if err := c.Post(t.Context(), linkspec.RouteCentralFence, fence, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("a fence moved from an epoch that it is not at: %v", err)
	}
	fence.Epoch = 1
	if err := c.Post(t.Context(), linkspec.RouteCentralFence, fence, nil); err != nil {
		t.Errorf("raise the fence: %v", err)
	}
	var sent linkspec.CentralSent
	cmd := linkspec.CentralCommand{Site: site, Kind: record.CmdVisitCancel, Subject: string(ident.New[ident.Visit]()), Reason: "court"}
	if err := c.Post(t.Context(), linkspec.RouteCentralCommand, cmd, &sent); err != nil || sent.ID == "" {
		t.Fatalf("command %+v, %v", sent, err)
	}
	err = c.Get(t.Context(), linkspec.RouteCentralResult+"?site="+site+"&command="+sent.ID, nil)
	if !fault.Is(err, fault.NotFound) {
		t.Errorf("a result before the site has answered: %v", err)
	}
	cmd.Kind = "inmate.release"
	if err := c.Post(t.Context(), linkspec.RouteCentralCommand, cmd, &sent); !fault.Is(err, fault.Invalid) {
		t.Errorf("a command of an unknown kind was sent: %v", err)
	}
	var list linkspec.CentralRecords
	if err := c.Get(t.Context(), linkspec.RouteCentralRecords+"?site="+site, &list); err != nil || len(list.Records) != 0 {
		t.Errorf("records of a new site: %+v, %v", list, err)
	}
}

func TestStrangersFindNothing(t *testing.T) {
	c := started(t, func(s string) string { return s + "operator_uids = [4294967]\n" })
	if err := c.Get(t.Context(), linkspec.RouteCentralKeys, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger is answered: %v", err)
	}
}
