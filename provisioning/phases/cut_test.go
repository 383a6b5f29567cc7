package phases

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/provisioning/durable"
)

var errPower = errors.New("the power is gone")

// power cuts the power before the n-th step of a boot. Every step after it fails as well: nothing runs any more that could
// tidy up. What was not flushed by then is lost, as on a disk that had no time.
type power struct {
	left   int
	gone   bool
	loses  bool   // what was not flushed
	loose  string // the file that was written and not flushed
	moved  string // the file that was renamed and whose folder was not flushed
	from   string // where it was
	before []byte // what was at its place; nil: nothing
	at     string // where it was cut, for the report
}

func (p *power) step(step, path string) error {
	if p.gone {
		return errPower
	}
	if p.left--; p.left < 0 {
		p.gone, p.at = true, step+" "+filepath.Base(path)
		p.lose()
		return errPower
	}
	switch step {
	case durable.Write, durable.Flush:
		p.loose = path // until the next step is asked for, which comes after the flush
	case durable.Rename:
		p.loose, p.moved, p.from, p.before = "", path, durable.Beside(path), nil
		if _, err := os.Stat(p.from); err != nil {
			p.from = filepath.Join(filepath.Dir(path), proposed)
		}
		if old, err := os.ReadFile(path); err == nil {
			p.before = old
		}
	default:
		p.moved = ""
	}
	return nil
}

// lose undoes what a disk need not have done yet.
func (p *power) lose() {
	if !p.loses {
		return
	}
	if p.loose != "" {
		_ = os.Chmod(p.loose, 0o600)
		_ = os.Truncate(p.loose, 0)
	}
	if p.moved != "" {
		_ = os.Rename(p.moved, p.from)
		if p.before != nil {
			_ = os.WriteFile(p.moved, p.before, 0o400)
		}
	}
}

// kept is what a boot leaves that must not change afterwards: the secrets and the key of the authority.
func kept(t *testing.T, b *board) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	for _, name := range append(SecretNames(), authorityKey) {
		text, err := os.ReadFile(b.path("var/secrets/" + name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all[name] = sha256.Sum256(text)
	}
	return all
}

// A box whose power goes at any step of its first boot, twice, comes up at the third: with each secret made once, no half
// file at a place where one is looked for, and nothing left beside.
func TestPowerCutAtEveryStep(t *testing.T) {
	text := sample(t)
	prepared := func(t *testing.T) *board {
		b := newBoard(t)
		b.disks()
		b.plug(map[string]string{"site.toml": text, "roster.csv": "number,last_name\n", "certificates/staff.pem": "not one"})
		return b
	}
	steps := 0
	b := prepared(t)
	b.cut = func(string, string) error { steps++; return nil }
	ran(t, b.boot(), List())
	if steps < 100 {
		t.Fatalf("only %d steps: files are written past the disk", steps)
	}
	// Every step once while all that was done reached the disk, and once while it had not.
	for _, loses := range []bool{false, true} {
		for n := range steps {
			t.Run(fmt.Sprintf("step %d, loses %v", n, loses), func(t *testing.T) {
				t.Parallel()
				cutAt(t, prepared(t), n, loses)
			})
		}
	}
}

func cutAt(t *testing.T, b *board, n int, loses bool) {
	t.Helper()
	p := &power{left: n, loses: loses}
	b.cut = p.step
	if _, err := Run(t.Context(), b.boot(), List(), nil); err != nil {
		t.Fatal(err)
	}
	if !p.gone {
		t.Fatalf("the power was not cut at step %d", n)
	}
	first := kept(t, b)
	// Again, a few steps later: what the first cut left is found by a boot that is cut itself.
	second := &power{left: n % 7, loses: loses}
	b.cut = second.step
	if _, err := Run(t.Context(), b.boot(), List(), nil); err != nil {
		t.Fatal(err)
	}
	b.cut = nil
	m := b.boot()
	all := ran(t, m, List())
	if diff := cmp.Diff(allDone, states(all)); diff != "" {
		t.Errorf("cut at %q: phases mismatch (-want +got):\n%s\n%+v", p.at, diff, all)
	}
	last := kept(t, b)
	for name, hash := range first {
		if last[name] != hash {
			t.Errorf("cut at %q: %s was made twice", p.at, name)
		}
	}
	if len(last) != len(SecretNames())+1 {
		t.Errorf("cut at %q: %d secrets", p.at, len(last))
	}
	if len(b.slots) != 1 || b.slots[0] != m.RecoveryKey() {
		t.Errorf("cut at %q: the disk opens by %d recovery keys, the console shows another", p.at, len(b.slots))
	}
	if err := filepath.WalkDir(b.path("var"), func(path string, d fs.DirEntry, err error) error {
		if strings.HasPrefix(d.Name(), ".") {
			t.Errorf("cut at %q: %s was left behind", p.at, path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	// And it stays so: nothing is made again by one more boot.
	ran(t, b.boot(), List())
	if diff := cmp.Diff(last, kept(t, b)); diff != "" {
		t.Errorf("cut at %q: a further boot changed secrets:\n%s", p.at, diff)
	}
}
