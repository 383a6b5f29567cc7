// Command sallyportctl is the operator's command line on the machine.
//
// It speaks the link, where it has the routes of an operator, and opens nothing of the running appliance by itself; it
// reads only recordings and updates that are given to it as files. What needs root on the box, such as first boot, the
// network and new versions, are commands that units start. Exit codes: 0 well, 1 failed or altered, 2 whole with declared
// gaps, 64 a wrong command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkclient"
)

const (
	exitFailed = 1
	exitGaps   = 2
	exitUsage  = 64
)

// errGaps ends a verification of something whole from which something is declared missing.
var errGaps = errors.New("whole, with declared gaps")

// cli is the whole command line.
type cli struct {
	Link string `help:"The appliance's link socket." default:"/run/sallyport/link.sock" env:"SALLYPORT_LINK" type:"path"`

	Status    statusCmd    `cmd:"" help:"Show every part of the appliance in words."`
	Metrics   metricsCmd   `cmd:"" help:"Print the metrics of all daemons."`
	Audit     auditCmd     `cmd:"" help:"Check the audit log."`
	Recording recordingCmd `cmd:"" help:"Check recordings as files, without the appliance."`
	Backup    backupCmd    `cmd:"" help:"Write a sealed copy of the database."`
	Media     mediaCmd     `cmd:"" help:"Stop calls, or lift a stop."`
	Roster    rosterCmd    `cmd:"" help:"Hand in a roster file."`
	Site      siteCmd      `cmd:"" help:"Check, render and apply the site file."`
	Provision provisionCmd `cmd:"" help:"Make this machine the box of its facility; done by units at each start."`
	Console   consoleCmd   `cmd:"" help:"Show the page of the box on this terminal."`
	Health    healthCmd    `cmd:"" help:"Ask the whole box whether it does what it is for."`
	Disk      diskCmd      `cmd:"" help:"Make the partitions that are missing."`
	Host      hostCmd      `cmd:"" hidden:"" help:"Serve as the small root daemon of the box; started by systemd."`
	Central   centralCmd   `cmd:"" help:"At the central site: what it holds, orders to sites, fences."`
	Update    updateCmd    `cmd:"" help:"Take a new version, see which ones are there, and make updates."`
}

// tool is what commands work with.
type tool struct {
	ctx  context.Context
	link *linkclient.Client
	out  io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, out, complaints io.Writer) int {
	var c cli
	leave := -1 // help ends the parser with a code of its own
	parser, err := kong.New(&c, kong.Name("sallyportctl"), kong.Description("Operate the Sallyport appliance on this machine."),
		kong.UsageOnError(), kong.Writers(out, complaints), kong.Exit(func(code int) { leave = code }))
	if err != nil {
		fmt.Fprintln(complaints, "sallyportctl:", err)
		return exitFailed
	}
	call, err := parser.Parse(args)
	if leave >= 0 {
		return leave
	}
	if err != nil {
		fmt.Fprintln(complaints, "sallyportctl:", err)
		return exitUsage
	}
	client := linkclient.Dial(c.Link)
	defer client.Close()
	err = call.Run(&tool{ctx: ctx, link: client, out: out}, &c)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errGaps):
		return exitGaps
	}
	fmt.Fprintln(complaints, "sallyportctl:", words(err))
	return exitFailed
}

// words is an error for somebody at a terminal.
func words(err error) string {
	if f, ok := fault.Of(err); ok && f.Msg != "" {
		if f.Code != "" {
			return f.Msg + " (" + f.Code + ")"
		}
		return f.Msg
	}
	return err.Error()
}
