package main

import (
	"os"

	"sallyport/provisioning/console"
	"sallyport/provisioning/phases"
)

// consoleCmd shows the page of the box on one terminal; a unit runs it on each.
type consoleCmd struct {
	Screen bool `help:"The terminal can be drawn anew; without it, only what has changed is printed."`
}

// Run shows the page until it is told to end.
func (c consoleCmd) Run(t *tool) error {
	page := console.Console{Machine: phases.Here(logger()), Screen: c.Screen, In: os.Stdin, Out: t.out}
	return page.Serve(t.ctx)
}
