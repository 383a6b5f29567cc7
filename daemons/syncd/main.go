// Command syncd carries a site's sealed records to the central etcd and the site's feed back.
//
// It listens on nothing, has no database and no data keys: a client certificate and the link are all that it has. Being
// offline is healthy; nobody waits for it.
package main

import (
	"context"
	"errors"
	"time"

	"sallyport/appliance/clock"
	"sallyport/appliance/linkclient"
	"sallyport/appliance/replica"
	"sallyport/appliance/unit"
)

func main() { unit.Main("syncd", run) }

// run reads the configuration and replicates until ctx ends.
func run(ctx context.Context, env *unit.Env) (err error) {
	var cfg config
	if serve, err := env.Configure("/run/sallyport/syncd.toml", &cfg); err != nil || !serve {
		return err
	}
	conf, err := cfg.tls(env.Credentials)
	if err != nil {
		return err
	}
	centre, err := replica.Dial(cfg.Site, cfg.Endpoints, conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, centre.Close()) }()
	link := linkclient.Dial(cfg.Link)
	defer link.Close()
	syncer := replica.New(replica.NewSite(link), centre, clock.Real{}, env.Log)
	// Offline is healthy: the watchdog asks only whether the loop turns.
	env.Probe("loop", syncer.Alive)
	var group unit.Group
	group.Add("syncer", syncer.Serve)
	group.Add("presence", syncer.Present)
	group.Add("status", func(ctx context.Context) error {
		env.Ready()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				r := syncer.State()
				env.Status(r.State + " " + r.Cause)
			}
		}
	})
	return group.Serve(ctx)
}
