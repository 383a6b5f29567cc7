// Command bookingd owns the facility's database and serves its four doors and the link.
//
// It wires the rooms; it must not decide anything. It is the only process that opens the database, links neither media
// nor etcd, and waits for nobody: gatewayd and syncd work on while it restarts.
package main

import (
	"context"
	"fmt"
	"slices"

	"sallyport/appliance/api"
	"sallyport/appliance/store"
	"sallyport/appliance/unit"
)

func main() { unit.Main("bookingd", run) }

// run reads the configuration, wires the rooms and serves until ctx ends.
func run(ctx context.Context, env *unit.Env) error {
	// The build asks before it has a configuration: an image and its updates say which databases they can work with.
	if slices.Equal(env.Args, []string{"--schema"}) {
		l, err := store.LevelOf(api.Schemas())
		if err == nil {
			_, err = fmt.Println(l.Schema, l.Reads)
		}
		return err
	}
	cfg := defaults()
	if serve, err := env.Configure("/run/sallyport/bookingd.toml", &cfg); err != nil || !serve {
		return err
	}
	h, err := build(ctx, env, cfg)
	if err != nil {
		return err
	}
	return h.serve(ctx, env)
}
