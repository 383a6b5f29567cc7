// Command centrald is the central site's router over the central etcd: fences, feeds, mailboxes.
//
// It is stateless: everything it knows is in etcd, and two instances may run at once. It runs at the central site and is
// no part of the appliance.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"sallyport/appliance/central"
	"sallyport/appliance/clock"
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
)

func main() { unit.Main("centrald", run) }

const dialWithin = 5 * time.Second

// run reads the configuration and routes until ctx ends.
func run(ctx context.Context, env *unit.Env) (err error) {
	cfg := config{Listen: "unix:/run/sallyport/central.sock", Operators: []int{os.Getuid()}}
	if serve, err := env.Configure("/etc/sallyport/centrald.toml", &cfg); err != nil || !serve {
		return err
	}
	party, err := cfg.party(env)
	if err != nil {
		return err
	}
	cli, err := cfg.client(cfg.Certificate, cfg.Key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cli.Close()) }()
	c := central.New(cli, party, clock.Real{}, env.Log)
	ln, err := env.Listener("central", cfg.Listen)
	if err != nil {
		return err
	}
	door := &control{cfg: cfg, central: c, party: party, log: env.Log}
	server := &http.Server{
		Handler: door.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, conn)
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	var group unit.Group
	group.Add("central", unit.HTTP(ln, func(ln net.Listener) error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, server.Shutdown))
	group.Add("generation", func(ctx context.Context) error { return born(ctx, c, env) })
	group.Add("router", c.Serve)
	return group.Serve(ctx)
}

// born waits until the central etcd answers and has a generation, and says READY at once: an etcd that is away is
// waited for, not started without.
func born(ctx context.Context, c *central.Central, env *unit.Env) error {
	env.Ready()
	for ctx.Err() == nil {
		err := c.Born(ctx)
		if err == nil {
			env.Status("routing")
			<-ctx.Done()
			break
		}
		env.Status("the central etcd does not answer")
		t := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
	return nil
}

// client dials the central etcd with a certificate.
func (c config) client(certificate, key string) (*clientv3.Client, error) {
	conf, err := c.tls(certificate, key)
	if err != nil {
		return nil, err
	}
	cli, err := clientv3.New(clientv3.Config{
		Endpoints: c.Endpoints, TLS: conf, DialTimeout: dialWithin, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("dial the central etcd: %w", err)
	}
	return cli, nil
}

// centreSecret is the credential that the centre's key pairs are derived from.
const centreSecret = "centre-signing-key"

func (c config) party(env *unit.Env) (*vault.Party, error) {
	dir := c.Credentials
	if dir == "" {
		dir = env.Credentials
	}
	secret, err := vault.OpenCredentials(dir).Key(centreSecret)
	if err != nil {
		return nil, err
	}
	return vault.NewParty(secret)
}
