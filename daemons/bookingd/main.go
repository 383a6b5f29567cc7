// Command bookingd owns the facility's database and serves its four doors and the link.
//
// It wires the rooms; it must not decide anything. It is the only process that opens the database, links neither media
// nor etcd, and waits for nobody: gatewayd and syncd work on while it restarts.
package main

import (
	"context"
	"flag"

	"sallyport/appliance/fault"
	"sallyport/appliance/unit"
)

func main() { unit.Main("bookingd", run) }

// run reads the configuration, wires the rooms and serves until ctx ends.
func run(ctx context.Context, env *unit.Env) error {
	flags := flag.NewFlagSet(env.Name, flag.ContinueOnError)
	path := flags.String("config", "/run/sallyport/bookingd.toml", "the configuration")
	if err := flags.Parse(env.Args); err != nil {
		return fault.New("bookingd", fault.Invalid, "The command line is not correct.").WithCode("config.flags").Because(err)
	}
	cfg := defaults()
	if err := unit.Config(*path, &cfg); err != nil {
		return err
	}
	h, err := build(ctx, env, cfg)
	if err != nil {
		return err
	}
	return h.serve(ctx, env)
}
