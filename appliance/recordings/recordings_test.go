package recordings_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"
	"go.uber.org/goleak"

	"sallyport/appliance/audit"
	"sallyport/appliance/calls/callstest"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/logs"
	"sallyport/appliance/outbox"
	"sallyport/appliance/recordings"
	"sallyport/appliance/reel"
	"sallyport/appliance/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// archive is a facility whose call was recorded and sealed by the gateway, and the room that takes it over.
type archive struct {
	*callstest.Site
	t       *testing.T
	room    *recordings.Recordings
	id      ident.Recording
	folder  string // on disk
	keyring string
	data    linkspec.RecordingData
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{Site: callstest.New(t, "social", recordings.Schema), t: t, id: ident.New[ident.Recording]()}
	root := t.TempDir()
	intake, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer := filepath.Join(t.TempDir(), "recorder.pub")
	if err := os.WriteFile(signer, []byte(base64.StdEncoding.EncodeToString(public)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.keyring = filepath.Join(t.TempDir(), "keyring")
	a.room = recordings.New(recordings.Options{
		DB: a.DB, Clock: a.Clock, Log: logs.New(os.Stderr), Calls: a.Calls, Policy: a.Calls.Policy, Folder: root, Keyring: a.keyring,
		RingKey: bytes.Repeat([]byte{7}, 32), Intake: []age.Identity{intake}, Signer: signer,
	})
	at := a.Clock.Now()
	a.data = linkspec.RecordingData{Recording: a.id, Folder: filepath.ToSlash(reel.Folder(at, a.id))}
	a.folder = filepath.Join(root, a.data.Folder)
	a.write(at, intake.Recipient(), private)
	return a
}

// write records one second of sound of the visitor's seat and seals it.
func (a *archive) write(at time.Time, to age.Recipient, key ed25519.PrivateKey) {
	a.t.Helper()
	must := func(err error) {
		a.t.Helper()
		if err != nil {
			a.t.Fatal(err)
		}
	}
	instant := func(d time.Duration) linkspec.Instant {
		return linkspec.Instant{BootID: "b", Boot: int64(time.Hour + d), Wall: at.Add(d)}
	}
	h := reel.Header{
		Facility: ident.New[ident.Facility](), Recording: a.id, Call: a.Call().ID, Segment: 1, Start: instant(0), Opened: instant(0),
	}
	w, err := reel.Create(a.folder, h, []age.Recipient{to})
	must(err)
	track, err := json.Marshal(reel.TrackInfo{Seat: "v1", Codec: reel.Opus, Rate: 48000})
	must(err)
	must(w.Append(instant(0), 0, []reel.Record{{Kind: reel.Track, Track: 1, Payload: track}, reel.Mark{Kind: reel.MarkLive}.Record(0)}))
	var sound []reel.Record
	for i := range 50 {
		sound = append(sound, reel.Record{Kind: reel.Audio, Track: 1, Flags: reel.Key, At: time.Duration(i) * 20 * time.Millisecond, RTP: uint32(i * 960), Payload: []byte{0xf8, 0xff, 0xfe}})
	}
	must(w.Append(instant(time.Second), 0, sound))
	must(w.Append(instant(2*time.Second), reel.Final, []reel.Record{reel.Mark{Kind: reel.MarkEnd, Reason: "time_up"}.Record(2 * time.Second)}))
	must(w.Close())
	a.data.Manifest, err = reel.Seal(a.folder, reel.Manifest{
		Facility: h.Facility, Recording: a.id, Call: h.Call, Start: at, End: at.Add(2 * time.Second), LengthMS: 2000, Code: "time_up",
	}, reel.Signer{KID: "r1", Key: key})
	must(err)
}

// hand lets the gateway report the whole recording and the room work until the catalogue says so.
func (a *archive) hand() {
	a.t.Helper()
	a.Take(a.Fact(linkspec.RecordingArmed, "", a.data), a.Fact(linkspec.RecordingSealed, "", a.data))
	a.serve(func() bool { return !a.get().Sealed.IsZero() })
}

// serve runs the room until something is true.
func (a *archive) serve(until func() bool) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.Ctx, 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.room.Serve(ctx) }()
	for ctx.Err() == nil {
		changed := a.DB.Changed()
		if until() {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			a.t.Error("the room does not get there")
		}
	}
	cancel()
	if err := <-done; err != nil {
		a.t.Error(err)
	}
}

func (a *archive) get() recordings.Recording {
	a.t.Helper()
	var r recordings.Recording
	a.See(func(tx *store.Tx) (err error) { r, err = a.room.Get(tx, a.id); return err })
	return r
}

func (a *archive) custody() (what []string) {
	a.t.Helper()
	a.See(func(tx *store.Tx) error {
		rows, err := a.room.Custody(tx, a.id)
		for _, r := range rows {
			what = append(what, r.What)
		}
		return err
	})
	return what
}

func TestSealedRecordingIsTakenIntoCustody(t *testing.T) {
	a := newArchive(t)
	a.hand()
	r := a.get()
	if r.State != "available" || r.Verdict != "whole" || r.Manifest != a.data.Manifest || r.Length != 2*time.Second {
		t.Errorf("catalogue: %+v", r)
	}
	if want := r.Ended.Add(90 * 24 * time.Hour); !r.Expires.Equal(want) {
		t.Errorf("expires %s, want %s", r.Expires, want)
	}
	if left, err := filepath.Glob(filepath.Join(a.folder, "*.key")); err != nil || len(left) != 0 {
		t.Errorf("the gateway's keys lie about: %v, %v", left, err)
	}
	a.See(func(tx *store.Tx) error {
		rows, err := audit.List(tx, audit.Filter{Verb: "recording.seal"})
		if err == nil && (len(rows) != 1 || !bytes.Contains(rows[0].After, []byte(a.data.Manifest))) {
			t.Errorf("the hash is not anchored: %+v", rows)
		}
		return err
	})
	// The gateway's word again, and the work again, change nothing.
	a.Take(a.Fact(linkspec.RecordingSealed, "", a.data))
	if again := a.get(); again.State != "available" || !again.Sealed.Equal(r.Sealed) {
		t.Errorf("after a repetition: %+v", again)
	}
}

func TestFinalizingGoesOnAfterACrash(t *testing.T) {
	a := newArchive(t)
	a.Take(a.Fact(linkspec.RecordingArmed, "", a.data), a.Fact(linkspec.RecordingSealed, "", a.data))
	gone := a.folder + ".away" // the disk is away at the first try
	if err := os.Rename(a.folder, gone); err != nil {
		t.Fatal(err)
	}
	tries := func() (n int) {
		a.See(func(tx *store.Tx) error {
			return tx.Row(`SELECT tries FROM recording WHERE id = ?`, string(a.id)).Scan(&n)
		})
		return n
	}
	a.serve(func() bool { return tries() == 1 })
	if err := os.Rename(gone, a.folder); err != nil {
		t.Fatal(err)
	}
	a.Clock.Advance(time.Minute)
	a.serve(func() bool { return !a.get().Sealed.IsZero() })
}

func TestAlteredRecordingIsNeverHidden(t *testing.T) {
	a := newArchive(t)
	name := filepath.Join(a.folder, reel.SegmentName(1))
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-50] ^= 1
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	a.hand()
	if r := a.get(); r.State != "partial" || r.Verdict != "altered" {
		t.Errorf("catalogue: %+v", r)
	}
}

func TestForeignSignatureIsAltered(t *testing.T) {
	a := newArchive(t)
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.room.Signer, []byte(base64.StdEncoding.EncodeToString(other)), 0o600); err != nil {
		t.Fatal(err)
	}
	a.hand()
	if r := a.get(); r.Verdict != "altered" {
		t.Errorf("a manifest of somebody else's key: %+v", r)
	}
}

func TestPlaybackNeedsAPurposeAndStandsInCustody(t *testing.T) {
	a := newArchive(t)
	a.hand()
	someone, other := callstest.Staff("investigator"), callstest.Staff("investigator")
	if _, err := a.room.View(a.Ctx, callstest.Staff("monitor", "administrator"), a.id, "case 2027-114"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("monitor and administrator: %v", err)
	}
	if _, err := a.room.View(a.Ctx, someone, a.id, " "); !fault.Is(err, fault.Invalid) {
		t.Errorf("no purpose: %v", err)
	}
	v, err := a.room.View(a.Ctx, someone, a.id, "case 2027-114")
	if err != nil || len(v.Seats) != 1 || v.Seats[0] != "v1" {
		t.Fatalf("view: %+v, %v", v, err)
	}
	if _, err := a.room.Play(a.Ctx, other, a.id, v.ID, "v1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("somebody else's view: %v", err)
	}
	for range 2 {
		m, err := a.room.Play(a.Ctx, someone, a.id, v.ID, "v1")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(m)
		if err != nil || !bytes.HasPrefix(body, []byte{0x1a, 0x45, 0xdf, 0xa3}) {
			t.Errorf("no WebM: %d bytes, %v", len(body), err)
		}
	}
	if got := a.custody(); len(got) != 4 || got[2] != "opened" || got[3] != "played" {
		t.Errorf("custody: %v", got)
	}
	a.Clock.Advance(3 * time.Hour)
	if _, err := a.room.Play(a.Ctx, someone, a.id, v.ID, "v1"); !fault.Is(err, fault.NotFound) {
		t.Errorf("after the view has run out: %v", err)
	}
	a.serve(func() bool { return true }) // closes what is open
}

func TestExpiryDestroysTheKeysAndAHoldBeatsIt(t *testing.T) {
	a := newArchive(t)
	a.hand()
	first, second := callstest.Staff("investigator"), callstest.Staff("investigator")
	if err := a.room.Hold(a.Ctx, first, a.id, "case 2027-114", "2027-12-01"); err != nil {
		t.Fatal(err)
	}
	a.Clock.Advance(100 * 24 * time.Hour)
	a.serve(func() bool { return true })
	if r := a.get(); r.State != "available" || !r.Held {
		t.Fatalf("a hold did not hold: %+v", r)
	}
	if lifted, err := a.room.LiftHold(a.Ctx, first, a.id); err != nil || lifted {
		t.Fatalf("one person lifted it: %v, %v", lifted, err)
	}
	if _, err := a.room.LiftHold(a.Ctx, first, a.id); fault.CodeOf(err) != "staff.second" {
		t.Errorf("the same person twice: %v", err)
	}
	if lifted, err := a.room.LiftHold(a.Ctx, second, a.id); err != nil || !lifted {
		t.Fatalf("two people: %v, %v", lifted, err)
	}
	ring := filepath.Join(a.keyring, string(a.id)+".keys")
	if _, err := os.Stat(ring); err != nil {
		t.Fatalf("no key before: %v", err)
	}
	a.serve(func() bool { return a.get().State == "deleted" })
	for _, name := range []string{ring, a.folder} {
		if _, err := os.Stat(name); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if r := a.get(); r.Manifest != a.data.Manifest {
		t.Error("no tombstone")
	}
	if _, err := a.room.View(a.Ctx, first, a.id, "case 2027-114"); fault.CodeOf(err) != "recording.state" {
		t.Errorf("an erased recording opens: %v", err)
	}
}

func TestFolderOfAFactCannotLeadElsewhere(t *testing.T) {
	a := newArchive(t)
	for _, folder := range []string{"../../etc", "/etc", "2027-03-04/" + string(ident.New[ident.Recording]()), ""} {
		d := a.data
		d.Folder = folder
		a.Take(a.Fact(linkspec.RecordingArmed, "", d))
	}
	var n int
	a.See(func(tx *store.Tx) error { return tx.Row(`SELECT count(*) FROM recording`).Scan(&n) })
	if n != 0 {
		t.Errorf("%d recordings were catalogued", n)
	}
}

// TestStaffLearnOfARecorderThatNeverBegan: there is nothing to catalogue, but somebody must mend it.
func TestStaffLearnOfARecorderThatNeverBegan(t *testing.T) {
	a := newArchive(t)
	a.Take(a.Fact(linkspec.RecordingFailed, "", linkspec.RecordingData{Cause: "arm"}))
	var rows, parked int
	var told []outbox.Queued
	a.See(func(tx *store.Tx) (err error) {
		if err := tx.Row(`SELECT count(*) FROM recording`).Scan(&rows); err != nil {
			return err
		}
		if err := tx.Row(`SELECT count(*) FROM call WHERE recorder <> 'failed'`).Scan(&parked); err != nil {
			return err
		}
		told, err = outbox.Notices(tx, 0, 100)
		return err
	})
	if rows != 0 || parked != 0 || !slices.ContainsFunc(told, func(q outbox.Queued) bool { return q.Template == "staff.recorder" }) {
		t.Errorf("%d recordings, %d calls whose recorder is not shown as failed, staff were told %v", rows, parked, told)
	}
}

func TestPrivilegedCallsHaveNoRow(t *testing.T) {
	s := callstest.New(t, "privileged", recordings.Schema)
	err := s.DB.Update(s.Ctx, func(tx *store.Tx) error {
		c, err := s.Calls.ByVisit(tx, s.Visit)
		if err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO recording (id, call, visit, folder, state, armed) VALUES ('r_1', ?, ?, 'x', 'recording', 0)`, string(c.ID), string(c.Visit))
	})
	if err == nil {
		t.Error("the table took a recording of a privileged call")
	}
}
