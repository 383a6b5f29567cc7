package visits_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// TestTranscripts plays whole lives of visits against a real database. Each line of a script is one act; the answer is
// how the visit, its slots and the inmate's allowance stand then.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := &player{site: open(t, strings.TrimSpace(string(a.Files[0].Data)), 2, 2, 2)}
			var got strings.Builder
			for line := range strings.Lines(string(a.Files[1].Data)) {
				line = strings.TrimSpace(line)
				if line == "" || strings.HasPrefix(line, "#") {
					continue
				}
				fmt.Fprintf(&got, "> %s\n%s\n", line, p.play(t, strings.Fields(line)))
			}
			if *update {
				a.Files = append(a.Files[:2], txtar.File{Name: "want", Data: []byte(got.String())})
				if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(a.Files[2].Data), got.String()); diff != "" {
				t.Errorf("transcript mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

type player struct {
	*site
	visit ident.Visit
	n     int // whose turn it is: the number of the pair
}

func (p *player) play(t *testing.T, w []string) string {
	t.Helper()
	var err error
	switch w[0] {
	case "set":
		p.set(t, w[1], w[2])
		return "ok"
	case "wait":
		d, perr := time.ParseDuration(w[1])
		if perr != nil {
			t.Fatal(perr)
		}
		p.clock.Advance(d)
		if _, err := p.Sweep(t.Context(), p.DB, p.log); err != nil {
			t.Fatal(err)
		}
	case "pair":
		p.n, err = strconv.Atoi(w[1])
	case "visitor":
		err = p.act(t, p.by(p.n), w[1:])
	case "inmate":
		err = p.act(t, ident.Actor{Kind: ident.ByInmate, ID: string(p.inmates[p.n])}, w[1:])
	case "staff":
		err = p.act(t, clerk, w[1:])
	case "gateway":
		err = p.act(t, ident.Actor{Kind: ident.ByGateway}, w[1:])
	case "happened":
		err = p.Update(t.Context(), func(tx *store.Tx) error { return p.Happened(tx, w[1], p.inmates[p.n], "", w[1]) })
	default:
		t.Fatalf("no act %q", w[0])
	}
	answer := "ok"
	if err != nil {
		f, ok := fault.Of(err)
		if !ok {
			t.Fatal(err)
		}
		answer = fmt.Sprintf("refused: %v %s", f.Kind, f.Code)
	}
	return answer + p.state(t)
}

func (p *player) act(t *testing.T, by ident.Actor, w []string) error {
	t.Helper()
	return p.Update(t.Context(), func(tx *store.Tx) (err error) {
		switch w[0] {
		case "hold":
			at, perr := time.Parse("2006-01-02T15:04", w[1])
			minutes, nerr := strconv.Atoi(w[2])
			if perr != nil || nerr != nil {
				t.Fatal(perr, nerr)
			}
			r := p.ask(p.n, at)
			r.Minutes = minutes
			var h visits.Hold
			if h, err = p.Hold(tx, by, r); err == nil {
				p.visit = h.ID
			}
		case "drop":
			err = p.Drop(tx, by, p.visit)
		case "suggest", "confirm":
			_, err = p.Ask(tx, by, p.visit, visits.Mode(w[0]), len(w) == 1, "")
		case "accept":
			_, err = p.Accept(tx, by, p.visit)
		case "decline":
			_, err = p.Decline(tx, by, p.visit, "not_wanted")
		case "approve":
			_, err = p.Approve(tx, by, p.visit)
		case "reject":
			_, err = p.Reject(tx, by, p.visit, w[1])
		case "withdraw":
			_, err = p.Withdraw(tx, by, p.visit)
		case "cancel":
			_, err = p.Cancel(tx, by, p.visit, strings.Join(w[1:], ""))
		case "start":
			_, err = p.Start(tx, by, p.visit)
		case "finish":
			delivered, perr := time.ParseDuration(w[3])
			if perr != nil {
				t.Fatal(perr)
			}
			_, err = p.Finish(tx, by, p.visit, visits.Outcome{State: visits.State(w[1]), Reason: w[2], Delivered: delivered})
		default:
			t.Fatalf("no act %q", w[0])
		}
		return err
	})
}

// state tells everything about the visit that a move may change.
func (p *player) state(t *testing.T) string {
	t.Helper()
	var out string
	err := p.View(t.Context(), func(tx *store.Tx) error {
		v, err := p.Get(tx, p.visit)
		if fault.Is(err, fault.NotFound) {
			var taken, spans int
			if err := tx.Row(`SELECT sum(taken), (SELECT count(*) FROM visit_spans) FROM slots`).Scan(&taken, &spans); err != nil {
				return err
			}
			out = fmt.Sprintf("\n  no visit, %d slots and %d spans taken", taken, spans)
			return nil
		}
		if err != nil {
			return err
		}
		var taken, spans int
		if err := tx.Row(`SELECT sum(taken), (SELECT count(*) FROM visit_spans WHERE visit = ?) FROM slots`, v.ID).Scan(&taken, &spans); err != nil {
			return err
		}
		left, err := p.Allowance(tx, v.Inmate, v.Date)
		if err != nil {
			return err
		}
		out = fmt.Sprintf("\n  %s v%d", v.State, v.Version)
		for _, part := range [][2]string{{"waiting on", v.WaitingOn}, {"because", v.Reason}, {"review", strings.Join(v.Review, ",")}} {
			if part[1] != "" {
				out += ", " + part[0] + " " + part[1]
			}
		}
		out += fmt.Sprintf("; %d slots, %d spans; %s", taken, spans, v.Funding)
		if v.Credited {
			out += " credited"
		}
		out += fmt.Sprintf("; left %d calls %d minutes", left.Calls, left.Minutes)
		if !v.Due.IsZero() {
			out += "; due " + v.Due.Format("01-02 15:04")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
