package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/vault"
	"sallyport/daemons/demo/centre"
	"sallyport/daemons/demo/mailbox"
	"sallyport/daemons/demo/seed"
)

// stage is the running evaluation.
type stage struct {
	o      options
	group  *errgroup.Group
	ctx    context.Context
	centre *centre.Centre
	people seed.People
	kids   map[string]*child
	keys   string // the centre's public keys
}

// launch brings everything up in order, prints the table, and returns when ctx ends or a part fails for good.
func launch(ctx context.Context, o options) error {
	// The parts outlive ctx for a moment: bookingd must still reach its mail server and syncd its etcd while they drain.
	parts, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	group, gctx := errgroup.WithContext(parts)
	s := &stage{o: o, group: group, ctx: gctx, kids: map[string]*child{}}
	kids, stopKids := context.WithCancel(gctx)
	defer stopKids()
	kidsDone := make(chan struct{})
	var kidGroup errgroup.Group

	err := s.bring(ctx, kids, &kidGroup)
	if err == nil {
		s.print(os.Stdout)
		err = s.writeReady()
	}
	go func() {
		if kerr := kidGroup.Wait(); kerr != nil {
			group.Go(func() error { return kerr })
		}
		close(kidsDone)
	}()
	if err == nil {
		select {
		case <-ctx.Done():
			fmt.Println("\nStopping. The next run goes on from here.")
		case <-gctx.Done():
		case <-kidsDone:
		}
	}
	stopKids()
	<-kidsDone
	end()
	return errors.Join(err, group.Wait())
}

// bring starts the parts. What it starts ends with the contexts.
func (s *stage) bring(ctx, kids context.Context, kidGroup *errgroup.Group) error {
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"central etcd", s.startCentre},
		{"facility", s.seedFacility},
		{"mail server", s.startMailbox},
		{"configuration", s.writeConfigs},
		{"centrald", func(ctx context.Context) error { return s.start(ctx, kids, kidGroup, "centrald") }},
		{"bookingd", func(ctx context.Context) error { return s.start(ctx, kids, kidGroup, "bookingd") }},
		{"gatewayd", func(ctx context.Context) error { return s.start(ctx, kids, kidGroup, "gatewayd") }},
		{"enrolment at the centre", s.enrol},
		{"syncd", func(ctx context.Context) error { return s.start(ctx, kids, kidGroup, "syncd") }},
	}
	for _, step := range steps {
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Printf("  %-24s %5.1f s\n", step.what, time.Since(began).Seconds())
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (s *stage) dir(name ...string) string {
	return filepath.Join(append([]string{s.o.state}, name...)...)
}

func (s *stage) startCentre(ctx context.Context) error {
	secrets, err := vault.CreateCredentials(s.dir("centre", "credentials"), centreKey)
	if err != nil {
		return err
	}
	secret, err := secrets.Key(centreKey)
	if err != nil {
		return err
	}
	party, err := vault.NewParty(secret)
	if err != nil {
		return err
	}
	s.keys = party.Peer().String()
	s.centre, err = centre.Start(ctx, centre.Options{Dir: s.dir("centre"), Listen: fmt.Sprintf("127.0.0.1:%d", s.o.ports.etcd)})
	if err != nil {
		return err
	}
	s.group.Go(func() error { return s.centre.Serve(s.ctx) })
	return nil
}

// seedFacility fills an empty database; bookingd is not running yet, so this is the file's only opener.
func (s *stage) seedFacility(ctx context.Context) error {
	people, err := seed.Open(ctx, seed.Options{
		Dir: s.o.state, Booking: s.dir("booking"), Credentials: s.dir("credentials"), Preset: s.o.policy, Centre: s.keys, Anchor: s.o.anchor,
	})
	s.people = people
	return err
}

func (s *stage) startMailbox(ctx context.Context) error {
	var codes []mailbox.Code
	for _, p := range s.people.Staff {
		codes = append(codes, mailbox.Code{Name: p.Name, Username: p.Username, Roles: p.Role, Secret: p.TOTP})
	}
	box := mailbox.New(codes...)
	var lc net.ListenConfig
	smtp, err := lc.Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", s.o.ports.smtp))
	if err != nil {
		return err
	}
	web, err := lc.Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", s.o.ports.mailbox))
	if err != nil {
		return errors.Join(err, smtp.Close())
	}
	s.group.Go(func() error { return box.Serve(s.ctx, smtp, web) })
	return nil
}

func (s *stage) start(ctx, kids context.Context, kidGroup *errgroup.Group, name string) error {
	if err := os.MkdirAll(s.dir("run"), 0o700); err != nil {
		return err
	}
	env, err := s.secrets(name)
	if err != nil {
		return err
	}
	c := newChild(s.dir("run"), name, filepath.Join(s.o.bin, name), []string{"-config", s.dir(name + ".toml")}, env)
	s.kids[name] = c
	failed := make(chan error, 1)
	kidGroup.Go(func() error {
		err := c.Serve(kids)
		failed <- err
		return err
	})
	ready := make(chan error, 1)
	go func() { ready <- c.waitReady(ctx) }()
	select {
	case err := <-failed:
		if err == nil {
			err = errors.New("ended at once")
		}
		return err
	case err := <-ready:
		return err
	}
}

// secrets returns the environment that shows a daemon its own secrets and nobody else's.
func (s *stage) secrets(name string) ([]string, error) {
	dir := map[string]string{"bookingd": s.dir("credentials"), "centrald": s.dir("centre", "credentials"), "gatewayd": s.dir("gateway", "credentials")}[name]
	if dir == "" {
		return nil, nil // syncd has its certificate only
	}
	if name == "gatewayd" {
		if _, err := vault.CreateCredentials(dir, "recorder-key", "token-key"); err != nil {
			return nil, err
		}
	}
	return []string{"CREDENTIALS_DIRECTORY=" + dir}, nil
}

// enrol lets the site in at the centre: what an officer does at commissioning. Doing it again changes nothing.
func (s *stage) enrol(ctx context.Context) error {
	site := linkclient.Dial(s.link())
	defer site.Close()
	var state linkspec.SyncState
	if err := site.Get(ctx, linkspec.RouteSyncState, &state); err != nil {
		return err
	}
	secret, err := vault.OpenCredentials(s.dir("credentials")).Key(vault.SiteSigningKey)
	if err != nil {
		return err
	}
	party, err := vault.NewParty(secret)
	if err != nil {
		return err
	}
	office := linkclient.Dial(s.dir("run", linkspec.CentralSocket))
	defer office.Close()
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := office.Post(wait, linkspec.RouteCentralEnrol, linkspec.CentralEnrol{
			Site: state.Site, Incarnation: state.Incarnation, Keys: party.Peer().String(),
		}, nil)
		if err == nil || fault.Is(err, fault.Conflict) { // Conflict: enrolled by an earlier run
			break
		}
		select {
		case <-wait.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
	return s.writeSyncd(state.Site)
}

func (s *stage) link() string { return s.dir("run", linkspec.Socket) }

// writeReady tells a test where everything is; the file appears whole or not at all.
func (s *stage) writeReady() error {
	if s.o.ready == "" {
		return nil
	}
	raw, err := s.describe()
	if err != nil {
		return err
	}
	temp := s.o.ready + ".part"
	if err := os.WriteFile(temp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, s.o.ready)
}
