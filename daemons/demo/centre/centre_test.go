package centre_test

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"sallyport/appliance/record"
	"sallyport/daemons/demo/centre"
)

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, dir string) *centre.Centre {
	t.Helper()
	c, err := centre.Start(within(t), centre.Options{Dir: dir, Listen: "127.0.0.1:0", Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func client(t *testing.T, c *centre.Centre, name string) *clientv3.Client {
	t.Helper()
	cli, err := c.Client(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	return cli
}

func TestRolesAndRestart(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	ctx := within(t)
	if _, err := client(t, c, centre.Router).Put(ctx, record.PathGeneration, "one"); err != nil {
		t.Fatalf("centrald cannot write the generation: %v", err)
	}
	if _, err := client(t, c, centre.Router).Put(ctx, record.SitePrefix("x")+"rec/visit/v", "one"); err == nil {
		t.Error("centrald wrote into a site")
	}
	if _, err := client(t, c, "stranger").Get(ctx, record.PathGeneration); err == nil {
		t.Error("a certificate without a user reads")
	}
	c.Close()
	c = start(t, dir)
	res, err := client(t, c, centre.Router).Get(within(t), record.PathGeneration)
	if err != nil || len(res.Kvs) != 1 {
		t.Fatalf("after a restart: %v, %v", res, err)
	}
	if _, err := client(t, c, "stranger").Get(within(t), record.PathGeneration); err == nil {
		t.Error("authentication is off after a restart")
	}
}
