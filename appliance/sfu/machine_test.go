package sfu

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

var update = flag.Bool("update", false, "rewrite the transcripts")

func testSpec(seats ...string) linkspec.Spec {
	s := linkspec.Spec{Class: linkspec.Social, Admit: "auto", WarnMinutes: []int{10, 5, 1}, GraceS: 120, PauseRemindS: 180, Notice: "en-1"}
	for _, id := range seats {
		role := map[byte]string{'v': "visitor", 'i': "inmate", 's': "support"}[id[0]]
		s.Seats = append(s.Seats, linkspec.SeatSpec{Seat: ident.Seat(id), Role: role})
	}
	return s
}

// play runs the commands of a transcript and writes down what the machine did.
func play(t *testing.T, script string) string {
	t.Helper()
	m := newMachine(testSpec("v1", "i1"), -10*time.Minute, 0, 30*time.Minute)
	now := -10 * time.Minute
	var out bytes.Buffer
	for line := range strings.Lines(script) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		es, err := do(m, f, &now)
		_, _ = fmt.Fprintf(&out, "> %s\n", strings.Join(f, " "))
		if err != nil {
			_, _ = fmt.Fprintf(&out, "  refused %s\n", fault.CodeOf(err))
		}
		for _, e := range es {
			_, _ = fmt.Fprintf(&out, "  %s\n", show(m, e))
		}
		_, _ = fmt.Fprintf(&out, "  = %s, %d hops\n", m.phase, len(m.hops()))
	}
	return out.String()
}

func do(m *machine, f []string, now *time.Duration) ([]effect, error) {
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	id := ident.Seat(arg(1))
	switch f[0] {
	case "at":
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			return nil, err
		}
		*now = d
		return m.tick(d), nil
	case "sit":
		var es []effect
		es = append(es, m.join(id, false, 1, *now)...)
		es = append(es, m.carry(id, true, *now)...)
		return append(es, m.acknowledge(id, *now)...), nil
	case "join":
		return m.join(id, arg(2) == "moved", 2, *now), nil
	case "media":
		return m.carry(id, arg(2) == "up", *now), nil
	case "ready":
		return m.acknowledge(id, *now), nil
	case "gone":
		return m.gone(id, false, *now), nil
	case "leave":
		return m.gone(id, true, *now), nil
	case "hold":
		return m.hold(arg(1), arg(2) == "on", *now), nil
	case "recorder":
		return m.recorderFailed(*now), nil
	case "pause":
		return m.doPause(order{Reason: arg(1), By: "sf_1", ByRole: "monitor"}, *now)
	case "resume":
		return m.doResume(order{By: "sf_1", ByRole: "monitor"}, *now)
	case "mute":
		return m.doMute(mute{Seat: id, Audio: arg(2) == "audio", Video: arg(2) == "video", On: arg(3) == "on"}, order{ByRole: "monitor"})
	case "remove":
		return m.doRemove(id, order{Reason: "banned"}, linkspec.SeatLeft, *now)
	case "end":
		return m.doEnd(arg(1), order{By: "sf_1"}, *now), nil
	case "amend":
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			return nil, err
		}
		return m.amend(m.spec, d, *now)
	case "pulse":
		return m.pulse(arg(1) == "both", *now), nil
	}
	return nil, fault.New("play", fault.Invalid, "unknown: "+f[0])
}

func show(m *machine, e effect) string {
	switch {
	case e.fact != nil:
		raw, _ := json.Marshal(e.data)
		return strings.TrimSpace(fmt.Sprintf("fact %s %s %s", e.fact.Kind, e.fact.Seat, raw))
	case e.mark != nil:
		return strings.TrimSpace(fmt.Sprintf("mark %s %s %s", e.mark.Kind, e.mark.Seat, e.mark.Reason))
	case e.drop != "":
		return fmt.Sprintf("drop %s %s", e.drop, e.code)
	}
	to := "all"
	if e.to != nil {
		var names []string
		for _, s := range m.seats {
			if e.to(s) {
				names = append(names, string(s.spec.Seat))
			}
		}
		if e.to(nil) {
			names = append(names, "monitors")
		}
		to = strings.Join(names, "+")
	}
	w := e.word
	switch w.T {
	case WordState:
		return strings.TrimSpace(fmt.Sprintf("tell %s: %s %v %s %s", to, w.Phase, w.WaitingFor, w.Says, w.Why))
	case WordTime:
		return fmt.Sprintf("tell %s: %d s left, warn %v", to, w.LeftS, w.Warn)
	case WordEnded:
		return fmt.Sprintf("tell %s: ended %s after %d s together", to, w.Code, w.TogetherS)
	case WordMuted:
		return fmt.Sprintf("tell %s: %s muted %v %v", to, w.Seat, w.Audio, w.Video)
	}
	return fmt.Sprintf("tell %s: %s", to, w.T)
}

func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(a.Files[0].Data))
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "out", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(a.Files) != 2 {
				t.Fatal("the transcript has no outcome; run with -update and read it")
			}
			if diff := cmp.Diff(string(a.Files[1].Data), got); diff != "" {
				t.Errorf("transcript mismatch (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever happens in whatever order: nothing is forwarded outside live or without the recorder, nobody hears a seat that is
// not there, an ended call stays ended, and the end never moves later.
func TestNothingLeaksWhateverHappens(t *testing.T) {
	words := []string{
		"sit v1", "sit i1", "sit v2", "join v1 moved", "media v1 down", "media v1 up", "media i1 down", "media i1 up", "ready v1", "gone v1", "gone i1",
		"leave v2", "hold recorder on", "hold recorder off", "hold staff on", "hold staff off", "recorder", "pause conduct", "resume", "mute v1 audio on",
		"mute i1 video on", "remove v2", "end terminated", "amend 20m", "amend 40m", "pulse both",
	}
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(testSpec("v1", "v2", "i1"), -10*time.Minute, 0, 30*time.Minute)
		now := -10 * time.Minute
		ends, ended := m.ends, false
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			line := rapid.SampledFrom(words).Draw(t, "word")
			if rapid.IntRange(0, 3).Draw(t, "time") == 0 {
				now += time.Duration(rapid.IntRange(1, 300).Draw(t, "seconds")) * time.Second
				line = "at " + strconv.Itoa(int(now.Seconds())) + "s"
			}
			_, _ = do(m, strings.Fields(line), &now)
			hops := m.hops()
			if (m.phase != Live || m.holds[holdRecorder]) && len(hops) > 0 {
				t.Fatalf("after %q: %d hops in %s", line, len(hops), m.phase)
			}
			for _, h := range hops {
				from, to := m.seat(h.from), m.seat(h.to)
				if h.from == h.to || !from.linked() || !to.linked() || h.media == Audio && from.noAudio || h.media == Video && from.noVideo {
					t.Fatalf("after %q: hop %+v", line, h)
				}
			}
			if ended && m.phase != Ended {
				t.Fatalf("after %q: an ended call is %s", line, m.phase)
			}
			ended = m.phase == Ended
			if m.ends > ends+endSlack {
				t.Fatalf("after %q: the end moved from %v to %v", line, ends, m.ends)
			}
			if now >= m.ends && strings.HasPrefix(line, "at") && !ended {
				t.Fatalf("at %v: still %s", now, m.phase)
			}
		}
	})
}

// A privileged call must have no place where a recorder, a tap or a monitor could be put.
func TestPrivilegedHasNoTaps(t *testing.T) {
	forbidden := []reflect.Type{
		reflect.TypeFor[Recorder](), reflect.TypeFor[Recorders](), reflect.TypeFor[Tap](), reflect.TypeFor[TapRow](), reflect.TypeFor[*Watching](), reflect.TypeFor[*Social](),
	}
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type, path string) []string
	walk = func(typ reflect.Type, path string) (found []string) {
		for _, f := range forbidden {
			if typ == f {
				return []string{path}
			}
		}
		if seen[typ] {
			return nil
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
			return walk(typ.Elem(), path)
		case reflect.Map:
			return append(walk(typ.Key(), path), walk(typ.Elem(), path)...)
		case reflect.Struct:
			for i := range typ.NumField() {
				found = append(found, walk(typ.Field(i).Type, path+"."+typ.Field(i).Name)...)
			}
		}
		return found
	}
	if found := walk(reflect.TypeFor[Privileged](), "Privileged"); len(found) > 0 {
		t.Errorf("a privileged call reaches a tap by %v", found)
	}
	if found := walk(reflect.TypeFor[Social](), "Social"); len(found) == 0 {
		t.Error("the walk does not find the recorder of a social call: it proves nothing")
	}
	if _, err := OpenPrivileged(Outside{Clock: fixed{}}, linkspec.Spec{Class: linkspec.Privileged, Record: true}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a recorded privileged call opens: %v", err)
	}
}

type fixed struct{}

func (fixed) Now() time.Time                       { return time.Unix(0, 0) }
func (fixed) Boot() time.Duration                  { return 0 }
func (fixed) BootID() string                       { return "x" }
func (fixed) After(time.Duration) <-chan time.Time { return nil }

// Whatever is switched, paused and lost at the source, a subscriber's numbers only go forward and never repeat.
func TestRewriterNeverRepeats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rewriter{rate: 90000}
		used := map[uint16]bool{}
		seq, ts := rapid.Uint16().Draw(t, "seq"), rapid.Uint32().Draw(t, "ts")
		last, began := uint16(0), false
		now := time.Duration(0)
		for range rapid.IntRange(1, 200).Draw(t, "packets") {
			now += 20 * time.Millisecond
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				r.renew()
				seq, ts = rapid.Uint16().Draw(t, "jump"), rapid.Uint32().Draw(t, "jumpts")
			case 1:
				seq++
				r.skip(seq)
				continue
			}
			seq++
			ts += 1800
			out, _, ok := r.next(seq, ts, now)
			if !ok {
				t.Fatalf("a newer packet was dropped")
			}
			if used[out] {
				t.Fatalf("number %d repeats", out)
			}
			used[out] = true
			if began && out != last+1 {
				t.Fatalf("number %d follows %d", out, last)
			}
			last, began = out, true
		}
	})
}
