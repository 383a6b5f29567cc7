// Package centre owns the central etcd of the evaluation and of tests: one embedded member with TLS both ways, roles and
// authentication, and the authority that issues its certificates.
//
// It must not be linked by anything that is shipped: it is the only importer of the embedded server. What a real centre
// has on three machines is here in one folder; a syncd cannot tell the difference, and has no mode without TLS.
package centre

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"sallyport/appliance/record"
)

// Root is the certificate's name of the operator; Router that of centrald. A site's is [SiteName].
const (
	Root   = "root"
	Router = "centrald"
)

// SiteName is the name in a site's certificate, its user and its role.
func SiteName(site string) string { return "site-" + site }

// Options say where the centre lives.
type Options struct {
	Dir    string // data, certificates and keys
	Listen string // host:port of clients; port 0 takes a free one
	Quick  bool   // elections within milliseconds, for tests
}

// Centre is a running central etcd.
type Centre struct {
	etcd *embed.Etcd
	ca   *authority
	at   string
	once sync.Once
}

const (
	readyWithin = 30 * time.Second
	quota       = 512 << 20 // of an evaluation
)

// Start runs the centre and returns once it answers, with authentication on. End it with [Centre.Close].
func Start(ctx context.Context, o Options) (*Centre, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the centre's folder: %w", err)
	}
	ca, err := openAuthority(filepath.Join(o.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	conf, err := o.config(ca)
	if err != nil {
		return nil, err
	}
	e, err := embed.StartEtcd(conf)
	if err != nil {
		return nil, fmt.Errorf("start the central etcd on %s: %w", o.Listen, err)
	}
	c := &Centre{etcd: e, ca: ca, at: "https://" + e.Clients[0].Addr().String()}
	wait, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	select {
	case <-e.Server.ReadyNotify():
	case err = <-e.Err():
	case <-wait.Done():
		err = wait.Err()
	}
	if err == nil {
		err = c.lock(wait)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("ready the central etcd: %w", err)
	}
	return c, nil
}

func (o Options) config(ca *authority) (*embed.Config, error) {
	cert, key, err := ca.issue("centre", true)
	if err != nil {
		return nil, err
	}
	conf := embed.NewConfig()
	conf.Name, conf.Dir = "centre", filepath.Join(o.Dir, "etcd")
	conf.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	conf.QuotaBackendBytes = quota
	conf.AutoCompactionMode, conf.AutoCompactionRetention = embed.CompactorModePeriodic, "24h"
	conf.WatchProgressNotifyInterval = time.Minute
	conf.EnableGRPCGateway = false // it is not covered by authentication by certificate
	info := transport.TLSInfo{CertFile: cert, KeyFile: key, TrustedCAFile: ca.path("ca.crt"), ClientCertAuth: true}
	conf.ClientTLSInfo, conf.PeerTLSInfo = info, info
	conf.TlsMinVersion = "TLS1.3"
	listen := url.URL{Scheme: "https", Host: o.Listen}
	// The only member never dials itself, so its peer address may be any free one.
	peer := url.URL{Scheme: "https", Host: net.JoinHostPort("127.0.0.1", "0")}
	conf.ListenClientUrls, conf.AdvertiseClientUrls = []url.URL{listen}, []url.URL{listen}
	conf.ListenPeerUrls, conf.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	conf.InitialCluster = conf.InitialClusterFromName(conf.Name)
	if o.Quick {
		conf.TickMs, conf.ElectionMs = 10, 100
		conf.UnsafeNoFsync = true
	}
	return conf, nil
}

// Endpoints returns where clients connect.
func (c *Centre) Endpoints() []string { return []string{c.at} }

// Files issues a client certificate for a name and returns its files and the authority's.
func (c *Centre) Files(name string) (cert, key, ca string, err error) {
	cert, key, err = c.ca.issue(name, false)
	return cert, key, c.ca.path("ca.crt"), err
}

// TLS returns a client's configuration under a name.
func (c *Centre) TLS(name string) (*tls.Config, error) {
	cert, key, _, err := c.Files(name)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("load certificate of %s: %w", name, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: c.ca.pool(), MinVersion: tls.VersionTLS13}, nil
}

// Client returns a client under a name; the caller closes it.
func (c *Centre) Client(name string) (*clientv3.Client, error) {
	conf, err := c.TLS(name)
	if err != nil {
		return nil, err
	}
	cli, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), TLS: conf, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("dial the centre: %w", err)
	}
	return cli, nil
}

// Failed tells when the server has died by itself.
func (c *Centre) Failed() <-chan error { return c.etcd.Err() }

// Serve keeps the centre running until ctx ends, then ends it.
func (c *Centre) Serve(ctx context.Context) error {
	defer c.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-c.etcd.Err():
		return fmt.Errorf("serve the central etcd: %w", err)
	}
}

// Close ends the centre and waits for it; doing it twice is harmless.
func (c *Centre) Close() { c.once.Do(c.etcd.Close) }

// lock makes the operator's and centrald's users and turns authentication on. It does nothing on a second start.
func (c *Centre) lock(ctx context.Context) error {
	cli, err := c.Client(Root)
	if err != nil {
		return err
	}
	defer cli.Close()
	st, err := cli.AuthStatus(ctx)
	if err != nil {
		return fmt.Errorf("ask for authentication: %w", err)
	}
	if st.Enabled {
		return nil
	}
	read, write := clientv3.PermissionType(clientv3.PermRead), clientv3.PermissionType(clientv3.PermReadWrite)
	steps := []func() error{
		func() error { _, err := cli.RoleAdd(ctx, Root); return err },
		func() error { return user(ctx, cli, Root) },
		func() error { _, err := cli.RoleAdd(ctx, Router); return err },
		func() error { return grant(ctx, cli, Router, record.PrefixFeeds, write) },
		func() error { return grant(ctx, cli, Router, record.PrefixCentral, write) },
		func() error { return grant(ctx, cli, Router, record.PrefixMeta, write) },
		func() error { return grant(ctx, cli, Router, record.PrefixSites, read) },
		func() error { return user(ctx, cli, Router) },
		func() error { _, err := cli.AuthEnable(ctx); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil && !errors.Is(err, rpctypes.ErrRoleAlreadyExist) && !errors.Is(err, rpctypes.ErrUserAlreadyExist) {
			return fmt.Errorf("turn authentication on: %w", err)
		}
	}
	return nil
}

func grant(ctx context.Context, cli *clientv3.Client, role, prefix string, kind clientv3.PermissionType) error {
	_, err := cli.RoleGrantPermission(ctx, role, prefix, clientv3.GetPrefixRangeEnd(prefix), kind)
	return err
}

func user(ctx context.Context, cli *clientv3.Client, name string) error {
	_, err := cli.UserAddWithOptions(ctx, name, "", &clientv3.UserAddOptions{NoPassword: true})
	if err != nil && !errors.Is(err, rpctypes.ErrUserAlreadyExist) {
		return err
	}
	_, err = cli.UserGrantRole(ctx, name, name)
	return err
}
