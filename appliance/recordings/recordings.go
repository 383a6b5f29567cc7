// Package recordings owns what becomes of a recorded call: catalogue, custody, playback, legal hold and erasure.
//
// It must not know how media is written (the gateway's recorder does) nor decide what is recorded (calls does). It reads
// the sealed chunk log through package reel and holds the only keys that open it, in a keyring that no ordinary backup
// contains. A recording of a privileged call cannot be catalogued: the table refuses the row.
//
// The life of a recording: recording (its first chunk is on disk), finalizing (the gateway has sealed it), available or,
// where something does not fit, partial; expiring, deleted. Deleted means that the data keys are gone.
package recordings

import (
	"crypto/ed25519"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"sallyport/appliance/audit"
	"sallyport/appliance/calls"
	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// Schema holds the room's migrations.
//
//go:embed schema/*.sql
var Schema embed.FS

// Options make the room.
type Options struct {
	DB     *store.DB
	Clock  clock.Clock
	Log    *slog.Logger
	Calls  *calls.Calls
	Policy *policy.Policy

	Folder  string         // where the gateway writes recordings
	Keyring string         // folder of wrapped data keys; in no ordinary backup
	RingKey []byte         // 32 bytes, wraps what lies in the keyring
	Intake  []age.Identity // opens what the gateway wrapped; the first is current
	Signer  string         // file with the recorder's public key; without it signatures are not checked
}

// Recordings is the room.
type Recordings struct {
	Options
	wake chan struct{}

	mu    sync.Mutex // guards shows; taken alone
	shows map[ident.View]*show
}

// New makes the room and registers for what the gateway reports about recordings. [Recordings.Serve] does the slow work.
func New(o Options) *Recordings {
	r := &Recordings{Options: o, wake: make(chan struct{}, 1), shows: map[ident.View]*show{}}
	for _, kind := range []string{linkspec.RecordingArmed, linkspec.RecordingGap, linkspec.RecordingFailed, linkspec.RecordingSealed} {
		o.Calls.On(kind, r.take)
	}
	return r
}

// Recording is one row of the catalogue.
type Recording struct {
	ID        ident.Recording
	Call      ident.Call
	Visit     ident.Visit
	Folder    string
	State     string
	Armed     time.Time
	Ended     time.Time // zero: running
	Length    time.Duration
	Manifest  string
	Head      string
	Bytes     int64
	Chunks    int64
	Segments  int
	Verdict   string
	Checked   time.Time
	Gaps      int
	Recovered bool
	Sealed    time.Time
	Expires   time.Time
	Erased    time.Time
	Held      bool
}

// folderShape is the only form of a folder that we follow: the gateway names it, and it must not lead elsewhere.
var folderShape = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}/r_[0-9a-hjkmnp-tv-z]{26}$`)

// path returns where a recording lies on disk.
func (r *Recordings) path(folder string) string {
	return filepath.Join(r.Options.Folder, filepath.FromSlash(folder))
}

// take catalogues what the gateway reports, in the transaction that takes the fact.
func (r *Recordings) take(tx *store.Tx, e linkspec.Event) error {
	if e.Kind == linkspec.RecordingFailed {
		if d, err := decode(e.Data); err == nil && d.Recording == "" {
			return r.neverBegan(tx, e.Call, d.Cause)
		}
	}
	d, err := dataOf(e)
	if err != nil {
		return err
	}
	call, err := r.Calls.Get(tx, e.Call)
	if err != nil {
		return err
	}
	system := ident.Actor{Kind: ident.ByGateway, Door: "link"}
	n, err := tx.ExecN(`INSERT INTO recording (id, call, visit, folder, state, armed) VALUES (?, ?, ?, ?, 'recording', ?)
		ON CONFLICT (id) DO NOTHING`, string(d.Recording), string(call.ID), string(call.Visit), d.Folder, store.Ms(e.At))
	if err != nil {
		return err
	}
	if n == 1 {
		if err := r.custody(tx, system, d.Recording, "armed", ""); err != nil {
			return err
		}
	}
	switch e.Kind {
	case linkspec.RecordingGap:
		if err := tx.Exec(`UPDATE recording SET gaps = gaps + 1 WHERE id = ?`, string(d.Recording)); err != nil {
			return err
		}
		err = r.custody(tx, system, d.Recording, "gap", d.Cause)
	case linkspec.RecordingFailed:
		err = r.failed(tx, system, call, d)
	case linkspec.RecordingSealed:
		err = r.sealed(tx, e, d)
	}
	if err != nil {
		return err
	}
	return outbox.Tell(tx, outbox.ToStaff(), "recording", string(d.Recording))
}

// neverBegan tells staff of a call that could not begin to be recorded: there is nothing to catalogue.
func (r *Recordings) neverBegan(tx *store.Tx, call ident.Call, cause string) error {
	system := ident.Actor{Kind: ident.ByGateway, Door: "link"}
	if err := audit.Record(tx, system, "recording.fail", string(call), audit.Reason(cause)); err != nil {
		return err
	}
	return outbox.Notify(tx, outbox.Notice{
		Template: "staff.recorder", To: "role:monitor", Subject: string(call), Params: map[string]any{"cause": cause},
	})
}

// failed notes that the recorder went away, and tells staff at once: it is never silent.
func (r *Recordings) failed(tx *store.Tx, by ident.Actor, call calls.Call, d linkspec.RecordingData) error {
	state := "failed"
	if !call.LiveAt.IsZero() {
		state = "partial"
	}
	if err := tx.Exec(`UPDATE recording SET state = ? WHERE id = ? AND state = 'recording'`, state, string(d.Recording)); err != nil {
		return err
	}
	if err := r.custody(tx, by, d.Recording, "failed", d.Cause); err != nil {
		return err
	}
	if err := audit.Record(tx, by, "recording.fail", string(d.Recording), audit.Reason(d.Cause)); err != nil {
		return err
	}
	return outbox.Notify(tx, outbox.Notice{
		Template: "staff.recorder", To: "role:monitor", Subject: string(call.ID), Params: map[string]any{"cause": d.Cause},
	})
}

// sealed hands the recording to [Recordings.Serve], which checks it and takes its keys.
func (r *Recordings) sealed(tx *store.Tx, e linkspec.Event, d linkspec.RecordingData) error {
	recovered := 0
	if d.Recovered {
		recovered = 1
	}
	return tx.Exec(`UPDATE recording SET state = 'finalizing', ended = ?, manifest = ?, recovered = ?, next_try = 0
		WHERE id = ? AND state IN ('recording', 'partial', 'failed') AND sealed IS NULL`,
		store.Ms(e.At), d.Manifest, recovered, string(d.Recording))
}

// signer reads the recorder's public key. The gateway writes it at its first start, after us, so it may not be there yet.
func (r *Recordings) signer() (ed25519.PublicKey, error) {
	raw, err := os.ReadFile(r.Signer)
	if r.Signer == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the recorder's key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fault.New("recordings.signer", fault.Internal, "The recorder's public key cannot be read.").Because(err)
	}
	return key, nil
}

// custody adds a row to the custody log.
func (r *Recordings) custody(tx *store.Tx, by ident.Actor, id ident.Recording, what, purpose string) error {
	return tx.Exec(`INSERT INTO custody (recording, at, who_kind, who, what, purpose) VALUES (?, ?, ?, ?, ?, ?)`,
		string(id), store.Ms(tx.Now()), string(by.Kind), by.ID, what, purpose)
}

const columns = `SELECT r.id, r.call, r.visit, r.folder, r.state, r.armed, coalesce(r.ended, 0), r.length_ms, r.manifest, r.head, r.bytes, r.chunks,
	r.segments, r.verdict, coalesce(r.checked, 0), r.gaps, r.recovered, coalesce(r.sealed, 0), coalesce(r.expires, 0), coalesce(r.erased, 0),
	EXISTS (SELECT 1 FROM legal_hold h WHERE h.recording = r.id AND h.lifted IS NULL) FROM recording r `

type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (Recording, error) {
	var v Recording
	var armed, ended, length, checked, sealed, expires, erased int64
	err := row.Scan(&v.ID, &v.Call, &v.Visit, &v.Folder, &v.State, &armed, &ended, &length, &v.Manifest, &v.Head, &v.Bytes, &v.Chunks,
		&v.Segments, &v.Verdict, &checked, &v.Gaps, &v.Recovered, &sealed, &expires, &erased, &v.Held)
	v.Armed, v.Ended, v.Checked = store.Time(armed), moment(ended), moment(checked)
	v.Sealed, v.Expires, v.Erased = moment(sealed), moment(expires), moment(erased)
	v.Length = time.Duration(length) * time.Millisecond
	return v, err
}

// moment is the time of a column in which 0 stands for never.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return store.Time(ms)
}

// Get returns a recording, NotFound when there is none.
func (r *Recordings) Get(tx *store.Tx, id ident.Recording) (Recording, error) {
	v, err := scan(tx.Row(columns+`WHERE r.id = ?`, string(id)))
	if fault.Is(err, fault.NotFound) {
		return v, fault.New("recordings.Get", fault.NotFound, "There is no such recording.").WithCode("not_found")
	}
	return v, err
}

func dataOf(e linkspec.Event) (linkspec.RecordingData, error) {
	d, err := decode(e.Data)
	if err != nil {
		return d, err
	}
	if _, err := ident.Parse[ident.Recording](string(d.Recording)); err != nil || !folderShape.MatchString(d.Folder) ||
		filepath.Base(d.Folder) != string(d.Recording) {
		return d, fault.New("recordings.take", fault.Invalid, "The fact names no recording of ours.").WithCode("events.data")
	}
	return d, nil
}
