package doortest

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// Worker is a member of staff with an authenticator.
type Worker struct {
	Username, Password string
	Secret             string        // of the authenticator, base 32
	Ahead              time.Duration // how far the clock of the appliance, and of the worker's telephone, is before this machine's

	counted int64 // the last period whose code was used: a code counts once
}

// Enter signs the worker in at the staff's or the set-up door, and holds that a password alone opens neither.
func (w *Worker) Enter(t testing.TB, d Door) *Browser {
	t.Helper()
	b := d.Browse()
	if s := b.Do(t, 200, "POST", "session", map[string]any{"username": w.Username, "password": w.Password}); s["stage"] != "totp" || s["name"] != nil {
		t.Fatalf("a password alone lets staff in: %v", s)
	}
	if s := b.Do(t, 200, "POST", "session/totp", map[string]any{"code": w.Code(t)}); s["stage"] != "full" {
		t.Fatalf("signed in as far as %v", s)
	}
	return b
}

// Code is one that has not been used. The next period's is taken early by the doors, as clocks of telephones go wrong; a
// later one is waited for.
func (w *Worker) Code(t testing.TB) string {
	t.Helper()
	const period = 30
	at := max(time.Now().Add(w.Ahead).Unix()/period, w.counted+1)
	if early := time.Until(time.Unix((at-1)*period, 0).Add(-w.Ahead)); early > 0 {
		select {
		case <-time.After(early):
		case <-t.Context().Done():
			t.Fatalf("ended while waiting for the next code: %v", t.Context().Err())
		}
	}
	w.counted = at
	code, err := totp.GenerateCode(w.Secret, time.Unix(at*period, 0))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// Agree ticks the agreement of a visitor's session that waits for it, and holds that the visitor is in then.
func (b *Browser) Agree(t testing.TB, session map[string]any) {
	t.Helper()
	if session["stage"] == "agreement" {
		session = b.Do(t, 200, "POST", "session/agreement", Ticks(session, "agreement"))
	}
	if session["stage"] != "full" {
		t.Fatalf("signed in as far as %v", session["stage"])
	}
}

// Ticks is the answer to statements in an answer: all of them ticked.
func Ticks(m map[string]any, key string) map[string]any {
	s, _ := m[key].(map[string]any)
	keys := []string{}
	for _, i := range List(s, "items") {
		keys = append(keys, Str(i, "key"))
	}
	return map[string]any{"version": s["version"], "ticked": keys}
}

// Photo is a picture that passes for a document.
func Photo() []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 80, 50)), nil); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return b.Bytes()
}
