package main

import (
	"os"
	"regexp"

	"sallyport/provisioning/console"
	"sallyport/provisioning/phases"
)

// consoleCmd shows the page of the box on one terminal; a unit runs it on each.
type consoleCmd struct {
	Terminal string `arg:"" optional:"" help:"Which one this is: a screen (tty1) is drawn anew, any other is told what has changed."`
}

// screens are the terminals that can be drawn anew.
var screens = regexp.MustCompile(`^tty[0-9]+$`)

// Run shows the page until it is told to end.
func (c consoleCmd) Run(t *tool) error {
	page := console.Console{Machine: phases.Here(logger()), Screen: screens.MatchString(c.Terminal), In: os.Stdin, Out: t.out}
	return page.Serve(t.ctx)
}
