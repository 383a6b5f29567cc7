package phases

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/provisioning/authority"
)

// shownBy are the daemons that end TLS, with the certificates of which each got a copy when it started.
func shownBy() map[string][]string {
	return map[string][]string{
		"bookingd.service": {"tls-visitor", "tls-kiosk", "tls-staff", "tls-setup"},
		"gatewayd.service": {"tls-media", "tls-turn"},
	}
}

// renewNow is how much of a certificate's life may be left before calls are interrupted for a new one.
const renewNow = 3 * 24 * time.Hour

// Renew makes certificates again that are due, and starts those daemons anew that still show older ones: bookingd at once,
// because nobody notices, the gateway when nobody is in a call. Between a due certificate and its end lie 30 days.
func Renew(ctx context.Context, m *Machine) error {
	list := slices.DeleteFunc(List(), func(p Phase) bool { return p.Name != Authority })
	list[0].Needs = nil // what it needs, the start of the box has seen to
	results, err := Run(ctx, m, list, nil)
	if err != nil {
		return err
	}
	for _, r := range results {
		if r.Phase == Authority && r.State == Failed {
			return fault.New("phases.Renew", fault.Unavailable, r.Says)
		}
	}
	var errs []error
	for _, unit := range sortedNames(shownBy()) {
		stale, soon, err := m.stale(ctx, unit, shownBy()[unit])
		if err != nil || !stale {
			errs = append(errs, err)
			continue
		}
		if unit == "gatewayd.service" && !soon {
			busy, err := m.busy(ctx)
			if err != nil || busy {
				errs = append(errs, err)
				continue
			}
		}
		m.Log.Info("a daemon takes its new certificates", "op", "phases.Renew", "unit", unit)
		_, err = m.Tool(ctx, nil, "systemctl", "try-restart", unit)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func sortedNames(all map[string][]string) []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// stale tells whether a daemon started before its certificates were made, and whether those that it shows may end soon.
func (m *Machine) stale(ctx context.Context, unit string, names []string) (stale, soon bool, err error) {
	out, err := m.Tool(ctx, nil, "systemctl", "show", "--property=ActiveEnterTimestamp", "--value", "--timestamp=unix", unit)
	if err != nil {
		return false, false, err
	}
	seconds, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimSpace(string(out)), "@"), 10, 64)
	if err != nil || seconds == 0 {
		return false, false, nil // it does not run
	}
	since := time.Unix(seconds, 0)
	for _, name := range names {
		info, err := os.Stat(m.secret(name))
		if err != nil {
			return false, false, err
		}
		stale = stale || info.ModTime().After(since)
	}
	// What it shows was good for at least the time of renewing when it started.
	return stale, m.Clock.Now().After(since.Add(authority.RenewBefore - renewNow)), nil
}

// busy tells whether anybody is in a call.
func (m *Machine) busy(ctx context.Context) (bool, error) {
	var text []byte
	if err := m.Link.Get(ctx, linkspec.RouteAllMetrics, &text); err != nil {
		return false, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, linkspec.MetricSeats+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return err != nil || n > 0, nil
		}
	}
	return false, nil
}
