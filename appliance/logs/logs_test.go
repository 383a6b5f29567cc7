package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"
)

func TestSecretIsNeverShown(t *testing.T) {
	const secret = "Ann Example"
	s := Secret(secret)
	type body struct {
		Name Secret
		All  []Secret
	}
	j, err := json.Marshal(body{s, []Secret{s}})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	New(&log).Info("signed in", "name", s, "body", body{s, []Secret{s}}, "err", fmt.Errorf("no %s: %w", s, errors.New(s.String())))
	for _, shown := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %v %+v %#v %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%+v", body{s, []Secret{s}}),
		fmt.Sprintf("%#v", body{s, []Secret{s}}), string(j), log.String(),
	} {
		if strings.Contains(shown, "Ann") || strings.Contains(shown, "416e6e") || !strings.Contains(shown, "[redacted]") {
			t.Errorf("shown as %s", shown)
		}
	}
	if s.Reveal() != secret {
		t.Error("Reveal does not reveal")
	}
}

func TestJournalFields(t *testing.T) {
	var message string
	var prio journal.Priority
	var vars map[string]string
	h := &toJournal{send: func(m string, p journal.Priority, v map[string]string) error {
		message, prio, vars = m, p, v
		return nil
	}}
	log := slog.New(h).With("op", "visits.Confirm").WithGroup("link").With("peer", "sync")
	log.Warn("visit confirmed", "visit", "v_1", slog.Group("seat", "id", "v1"), "_hidden", Secret("x"))
	want := map[string]string{
		"SALLYPORT_OP": "visits.Confirm", "SALLYPORT_LINK_PEER": "sync", "SALLYPORT_LINK_VISIT": "v_1", "SALLYPORT_LINK_SEAT_ID": "v1",
		"SALLYPORT_LINK__HIDDEN": "[redacted]",
	}
	if diff := cmp.Diff(want, vars); diff != "" {
		t.Errorf("fields mismatch (-want +got):\n%s", diff)
	}
	if message != "visit confirmed" || prio != journal.PriWarning {
		t.Errorf("sent %q with priority %v", message, prio)
	}
	message = ""
	log.Debug("packet")
	if message != "" {
		t.Error("debugging went to the journal")
	}
	log.Error("broken")
	if prio != journal.PriErr {
		t.Errorf("an error has priority %v", prio)
	}
}
