package replica_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"sallyport/appliance/linkspec"
	"sallyport/appliance/record"
	"sallyport/appliance/replica"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "rewrite the golden transcripts")

// Each file of a transcript is one story: lines are what happens to the machine, "> " lines are what it does next and, in
// brackets, the state that it shows.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, path := range files {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range a.Files {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar")+"/"+f.Name, func(t *testing.T) {
				got := play(t, string(f.Data))
				if *update {
					a.Files[i].Data = []byte(got)
					return
				}
				if diff := cmp.Diff(string(f.Data), got); diff != "" {
					t.Errorf("transcript mismatch (-want +got):\n%s", diff)
				}
			})
		}
		if *update {
			if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func play(t *testing.T, script string) string {
	m := &replica.Machine{}
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, ">") || strings.TrimSpace(line) == "" {
			continue
		}
		out.WriteString(line + "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		a := m.Step(event(t, line))
		state, cause := m.State()
		if cause != "" {
			cause = " " + cause
		}
		fmt.Fprintf(&out, "> %s [%s%s]\n", show(a), state, cause)
	}
	return out.String()
}

// event reads a line: the kind of event, then name=value.
func event(t *testing.T, line string) replica.Event {
	t.Helper()
	words := strings.Fields(line)
	e := replica.Event{Kind: replica.EventKind(words[0])}
	v := map[string]string{}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		v[name] = value
	}
	num := func(name string) int64 {
		if v[name] == "" {
			return 0
		}
		n, err := strconv.ParseInt(v[name], 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return n
	}
	switch e.Kind {
	case replica.StateRead:
		e.State = linkspec.SyncState{
			Mode: "normal", Epoch: uint64(num("epoch")), Incarnation: incarnation(v["inc"]), Head: num("head"), Acked: num("acked"), Generation: v["gen"], Cluster: 1,
		}
		if v["mode"] != "" {
			e.State.Mode = v["mode"]
		}
		if v["gen"] == "" {
			e.State.Cluster = 0
		}
	case replica.CentreRead:
		e.View = replica.View{Cluster: 1, Generation: v["gen"], Mod: num("mod")}
		if f := v["fence"]; f != "none" {
			epoch, inc, _ := strings.Cut(f, "/")
			n, err := strconv.ParseUint(epoch, 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			e.View.Fence = &record.Fence{Epoch: n, Incarnation: [16]byte(incarnation(inc))}
		}
		if v["cursor"] != "none" {
			e.View.Cursor = &record.Cursor{Seq: num("cursor"), Chain: []byte(v["chain"])}
			if v["to"] != "" || v["until"] != "" {
				e.View.Cursor.Resync = &record.Resync{To: num("to"), Next: v["next"], Until: num("until")}
			}
		}
	case replica.ChainRead:
		e.Chain = linkspec.SyncChain{Seq: num("seq")}
		if v["hash"] != "" {
			e.Chain.Chain = []byte(v["hash"])
		}
	case replica.BatchRead:
		e.Batch = linkspec.SyncBatch{To: num("to"), Epoch: 1, Chain: []byte("c" + v["to"]), Records: values(v["keys"])}
	case replica.RecordsRead:
		e.Records = linkspec.SyncRecords{Records: values(v["keys"]), Next: v["next"]}
	case replica.Pushed:
		e.Outcome, e.Mod, e.Why = replica.Outcome(words[1]), num("mod"), v["why"]
	case replica.CentreLost:
		e.Why = v["why"]
	}
	return e
}

func incarnation(name string) []byte { return []byte((name + strings.Repeat(".", 16))[:16]) }

func values(keys string) []linkspec.SyncRecord {
	var out []linkspec.SyncRecord
	for k := range strings.SplitSeq(keys, ",") {
		if k != "" {
			out = append(out, linkspec.SyncRecord{Key: k, Ver: 1})
		}
	}
	return out
}

func show(a replica.Action) string {
	switch a.Kind {
	case replica.Push:
		var keys []string
		for _, r := range a.Txn.Records {
			keys = append(keys, r.Key)
		}
		s := fmt.Sprintf("push guard=%d/%d keys=%s", a.Txn.Fence.Epoch, a.Txn.Mod, strings.Join(keys, ","))
		if c := a.Txn.Cursor; c != nil {
			s += fmt.Sprintf(" cursor=%d", c.GetSeq())
			if r := c.GetResync(); r != nil {
				s += fmt.Sprintf(" resync=to:%d,next:%s,until:%d", r.GetTo(), r.GetNext(), r.GetUntil())
			}
		}
		return s + [...]string{"", " canary=drop", " canary=put"}[a.Txn.Canary]
	case replica.Wait, replica.Back:
		s := string(a.Kind) + " " + a.For.Round(time.Millisecond).String()
		if a.Wake {
			s += " or news"
		}
		return s
	case replica.AskChain, replica.AskBatch, replica.TellAcked:
		return fmt.Sprintf("%s %d", a.Kind, a.Seq)
	case replica.AskRecords:
		return fmt.Sprintf("%s after=%s to=%d", a.Kind, a.After, a.Seq)
	case replica.TellPark:
		return string(a.Kind) + " " + a.Park.Key
	case replica.TellRecovery:
		return string(a.Kind) + " " + a.Cause
	}
	return string(a.Kind)
}
