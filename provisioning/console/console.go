package console

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/provisioning/authority"
	"sallyport/provisioning/phases"
	"sallyport/provisioning/update"
)

// Console shows the page of a machine on one terminal.
type Console struct {
	Machine *phases.Machine
	Screen  bool // it can be drawn anew; a serial line is told what has changed
	In      io.Reader
	Out     io.Writer
	// Addresses are those of the box; nil asks the machine.
	Addresses func() []string
}

// every is how often the page is made anew.
const every = 2 * time.Second

// Serve shows the page until ctx ends. It returns nil as well when nobody is at the other end of the line any more.
func (c *Console) Serve(ctx context.Context) error {
	typed := make(chan string)
	go c.listen(ctx, typed)
	var before []string
	said := ""
	for {
		page := c.page()
		page.Said = said
		lines := page.Lines()
		for i := range lines {
			lines[i] = Printable(lines[i])
		}
		if !slices.Equal(lines, before) {
			if err := c.show(before, lines); err != nil {
				return nil //nolint:nilerr // a line without anybody at its end is no failure of the box
			}
			before = lines
		}
		select {
		case <-ctx.Done():
			return nil
		case line, open := <-typed:
			if !open {
				typed = nil // no keyboard; the page goes on
				continue
			}
			if said = c.answer(ctx, line); strings.TrimSpace(line) == "" {
				before = nil // whoever has just come to the line wants to see all of it
			}
		case <-c.Machine.Clock.After(every):
		}
	}
}

// listen reads lines until the terminal ends or ctx does.
func (c *Console) listen(ctx context.Context, typed chan<- string) {
	defer close(typed)
	in := bufio.NewScanner(c.In)
	in.Buffer(nil, 4096)
	for in.Scan() {
		select {
		case typed <- in.Text():
		case <-ctx.Done():
			return
		}
	}
}

func (c *Console) show(before, lines []string) error {
	if c.Screen {
		// Home, each line to its end, then what the longer page before has left.
		_, err := io.WriteString(c.Out, "\x1b[H"+strings.Join(lines, "\x1b[K\r\n")+"\x1b[K\r\n\x1b[J")
		return err
	}
	_, err := io.WriteString(c.Out, strings.Join(Changed(before, lines), "\r\n")+"\r\n")
	return err
}

// answer takes what somebody has typed: groups of the recovery key.
func (c *Console) answer(ctx context.Context, line string) string {
	line = strings.TrimSpace(line)
	key, seal := strings.CutPrefix(line, "seal ")
	var err error
	switch {
	case line == "":
		return ""
	case seal:
		if err = c.Machine.Reseal(ctx, key); err == nil {
			return "This machine opens its disk again by itself."
		}
	default:
		if err = c.Machine.Confirm(ctx, line); err == nil {
			return "Thank you. The recovery key is not shown again."
		}
	}
	return phases.Words(err)
}

// page looks at everything that is shown.
func (c *Console) page() Page {
	m := c.Machine
	p := Page{Version: m.Version(), Slot: m.Slot(), Claimed: m.Claimed(), Recovery: m.RecoveryKey()}
	if host, err := m.HostName(); err == nil {
		p.Host = host
	}
	site, err := m.Ruling()
	if err == nil && site != nil {
		p.Facility, p.Blank = site.Facility.Name, site.Console.Show == "blank"
		p.Door = "https://" + site.Zones.Management.Name + ", or https:// and the address of mgmt0."
	}
	p.Addresses = c.addresses()
	p.Authority = fingerprint(filepath.Join(m.State, "site/authority.crt"))
	if results, err := phases.Read(m.Run); err == nil {
		for _, r := range results {
			// These two change while the box runs; the lines of the page tell how they are now.
			if r.Phase != phases.Administrator && r.Phase != phases.Database {
				p.Phases = append(p.Phases, r)
			}
		}
	}
	waits := func(r phases.Result) bool { return r.Phase == phases.Recovery && r.State == phases.Waiting }
	p.Ask = p.Recovery == "" && slices.ContainsFunc(p.Phases, waits) && !m.Confirmed()
	p.Phases = slices.DeleteFunc(p.Phases, waits) // the page has words of its own for it
	if !p.Claimed {
		p.Claim = firstLine(filepath.Join(m.State, phases.ClaimFile))
	}
	p.Verdict = firstLine(filepath.Join(m.Run, phases.VerdictFile))
	if s, err := (&update.Box{State: filepath.Join(m.State, "update")}).Load(); err == nil {
		p.Versions = s.Lines()
	} else {
		p.Versions = []string{phases.Words(err)}
	}
	return p
}

func firstLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}

func fingerprint(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return ""
	}
	return authority.Fingerprint(cert)
}

func (c *Console) addresses() []string {
	if c.Addresses != nil {
		return c.Addresses()
	}
	all, err := hosts()
	if err != nil {
		return []string{"cannot be read"}
	}
	return all
}

// hosts are the addresses of each network card that has one.
func hosts() ([]string, error) {
	cards, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []string
	var errs []error
	for _, card := range cards {
		if card.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := card.Addrs()
		errs = append(errs, err)
		var list []string
		for _, a := range addresses {
			list = append(list, a.String())
		}
		if list != nil {
			all = append(all, fmt.Sprintf("%s %s", card.Name, strings.Join(list, " ")))
		}
	}
	return all, errors.Join(errs...)
}
