package doortest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/access"
	"sallyport/appliance/api"
	"sallyport/appliance/api/kiosk"
	"sallyport/appliance/api/setup"
	"sallyport/appliance/api/staff"
	"sallyport/appliance/api/visitor"
	"sallyport/appliance/calls/callstest"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/locale"
	"sallyport/appliance/moderation"
	"sallyport/appliance/notices"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/recordings"
	"sallyport/appliance/schedule"
	"sallyport/appliance/store"
	"sallyport/appliance/vault"
)

// House is a facility with one visit whose waiting room is open, behind its doors.
type House struct {
	*callstest.Site
	api.Rooms
	t        *testing.T
	Contract *api.Contract
	doors    map[string]Door
	check    *checker
	board    linkspec.Versions         // what the box tells of its versions
	asked    []linkspec.VersionRequest // what was asked of the box
	closing  []func() error
	client   *http.Client
}

// Doors are the names of the four.
func Doors() []string { return []string{"visitor", "kiosk", "staff", "setup"} }

// Open makes the house of [callstest.New] and opens its doors.
func Open(t *testing.T) *House {
	t.Helper()
	h := &House{
		Site: callstest.New(t, "social", access.Schema, moderation.Schema, recordings.Schema, notices.Schema), t: t,
		doors: map[string]Door{}, check: newChecker(t), client: &http.Client{Transport: &http.Transport{}},
	}
	h.furnish()
	var err error
	if h.Contract, err = api.Load(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	feed := outbox.NewFeed(h.Site.DB)
	fed := make(chan error, 1)
	go func() { fed <- feed.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-fed })
	t.Cleanup(func() { cancel(); h.close() })
	for _, name := range Doors() {
		h.open(ctx, name, feed)
	}
	return h
}

// furnish makes the rooms that the site does not have.
func (h *House) furnish() {
	h.t.Helper()
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	r := &h.Rooms
	r.DB, r.Clock, r.Visits, r.Calls, r.Facility, r.Policy = h.Site.DB, h.Site.Clock, h.Site.Visits, h.Site.Calls, facility.New(), policy.New()
	r.Schedule = schedule.New(schedule.Deps{Facility: r.Facility, Policy: r.Policy})
	r.Cases = moderation.New(moderation.Deps{
		May:   access.MayDecide,
		Lease: func(*store.Tx) (time.Duration, error) { return time.Hour, nil },
		Clock: func(*store.Tx, string) (time.Duration, error) { return time.Hour, nil },
	})
	blobs, err := vault.OpenBlobs(h.t.TempDir(), make([]byte, 32))
	must(err)
	r.People = people.New(people.Deps{
		DB: r.DB, Clock: r.Clock, Blobs: blobs, Facility: r.Facility, Policy: r.Policy,
		OpenCase: func(tx *store.Tx, i people.CaseItem) (ident.Case, error) {
			return r.Cases.Open(tx, moderation.Item{Kind: i.Kind, Item: i.Item, Hash: i.Hash, Submitter: i.Submitter, Due: i.Due})
		},
	})
	r.Cases.Register("identity", func(tx *store.Tx, c moderation.Case, v moderation.Verdict) error {
		_, err := r.People.VerifyIdentity(tx, v.By, ident.Visitor(c.Item), "")
		return err
	})
	r.Access, err = access.New(access.Deps{
		DB: r.DB, Clock: r.Clock, People: r.People, Policy: r.Policy, Facility: r.Facility, Hasher: vault.NewHasher([]byte("pepper")), Key: make([]byte, 32),
	})
	must(err)
	words, err := locale.Load()
	must(err)
	r.Notices = notices.New(notices.Deps{
		DB: r.DB, Clock: r.Clock, People: r.People, Facility: r.Facility, Policy: r.Policy, Words: words, Site: "http://visitor.test",
	})
	intake, err := age.GenerateX25519Identity()
	must(err)
	dir := h.t.TempDir()
	r.Recordings = recordings.New(recordings.Options{
		DB: r.DB, Clock: r.Clock, Log: slog.New(slog.DiscardHandler), Calls: r.Calls, Policy: r.Policy, Folder: filepath.Join(dir, "reels"),
		Keyring: filepath.Join(dir, "keyring"), RingKey: make([]byte, 32), Intake: []age.Identity{intake},
	})
	secret, err := vault.CreateCredentials(h.t.TempDir())
	must(err)
	key, err := secret.Key(vault.SiteSigningKey)
	must(err)
	party, err := vault.NewParty(key)
	must(err)
	r.Outbox, err = outbox.New(outbox.Options{Party: party, Guard: filepath.Join(dir, "guard"), Log: slog.New(slog.DiscardHandler)})
	must(err)
	must(r.Outbox.Begin(h.t.Context(), r.DB))
	r.RosterSample = []byte("number\n")
	h.board = linkspec.Versions{
		At: r.Clock.Now(), Running: "1.4.0", Built: "2026-01-01", Previous: "1.3.0", Source: "https", Install: "window",
		Window:  &linkspec.VersionWindow{Day: 0, From: "02:00", Till: "04:00"},
		Found:   []linkspec.VersionFound{{Version: "1.5.0", Built: "2026-02-01", Notes: map[string]string{"en": "Quieter calls."}}},
		Refused: []linkspec.VersionRefused{{Version: "1.4.5", At: r.Clock.Now(), Why: "health check doors"}},
	}
	r.Versions = func() (linkspec.Versions, error) { return h.board, nil }
	r.Ask = func(a linkspec.VersionRequest) error { h.asked = append(h.asked, a); return nil }
	r.Health = func(context.Context) (linkspec.Status, error) {
		return linkspec.Status{Version: "test", Since: r.Clock.Now(), Parts: []linkspec.Part{{Name: "database", State: "ok", At: r.Clock.Now()}}}, nil
	}
}

// close shuts all doors at once, because each waits for its connections.
func (h *House) close() {
	h.client.CloseIdleConnections()
	var all sync.WaitGroup
	for _, one := range h.closing {
		all.Go(func() {
			if err := one(); err != nil {
				h.t.Error(err)
			}
		})
	}
	all.Wait()
}

func (h *House) open(ctx context.Context, name string, feed *outbox.Feed) {
	h.t.Helper()
	origin := "http://" + name + ".test"
	var door *api.Door
	events := func(c fiber.Ctx) error { return door.Events(c) }
	o := api.Options{
		Name: name, Contract: h.Contract, Access: h.Access, Feed: feed, Origins: []string{origin}, Clock: h.Site.Clock,
		Log: slog.New(slog.NewTextHandler(h.t.Output(), nil)),
	}
	switch name {
	case "visitor":
		o.Handlers = func(r fiber.Router) {
			visitor.RegisterHandlers(r, visitor.NewStrictHandler(visitor.New(&h.Rooms), nil))
		}
		o.Streams = map[string]fiber.Handler{"streamVisitorEvents": events}
	case "kiosk":
		o.Handlers = func(r fiber.Router) { kiosk.RegisterHandlers(r, kiosk.NewStrictHandler(kiosk.New(&h.Rooms), nil)) }
		o.Streams = map[string]fiber.Handler{"streamKioskEvents": events}
	case "staff":
		d := staff.New(&h.Rooms)
		o.Handlers = func(r fiber.Router) { staff.RegisterHandlers(r, staff.NewStrictHandler(d, nil)) }
		o.Streams = map[string]fiber.Handler{"streamStaffEvents": events, "streamRecordingSeat": d.StreamRecordingSeat}
	case "setup":
		o.Handlers = func(r fiber.Router) { setup.RegisterHandlers(r, setup.NewStrictHandler(setup.New(&h.Rooms), nil)) }
	}
	door, err := api.New(ctx, o)
	if err != nil {
		h.t.Fatal(err)
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.doors[name] = Door{Name: name, Origin: origin, At: "http://" + ln.Addr().String(), Client: h.client, Check: h.check.answer}
	served := make(chan error, 1)
	go func() { served <- door.Serve(ctx, ln) }()
	h.closing = append(h.closing, func() error { return <-served })
}

// Browse opens a page at a door; nobody is signed in.
func (h *House) Browse(door string) *Browser { return h.doors[door].Browse() }

// Enter signs somebody in at a door without asking for secrets, at any stage.
func (h *House) Enter(door string, kind ident.ActorKind, who, stage string) *Browser {
	h.t.Helper()
	b := h.Browse(door)
	secret, csrf, now := ident.Secret(), ident.Secret(), h.Site.Clock.Now()
	b.Resume(secret, csrf)
	sum := sha256.Sum256([]byte(secret))
	station := ident.Station("")
	if door == "kiosk" {
		station = h.Site.Station
		b.Hold("device", h.enrolled())
	}
	h.Update(func(tx *store.Tx) error {
		return tx.Exec(`INSERT INTO session (id, hash, door, kind, who, stage, csrf, station, idle_ms, factor_at, created_at, seen_at, expires_at)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`, ident.New[ident.Session](), hex.EncodeToString(sum[:]), door, string(kind), who, stage, csrf, station,
			(15 * time.Minute).Milliseconds(), store.Ms(now), store.Ms(now), store.Ms(now), store.Ms(now.Add(12*time.Hour)))
	})
	return b
}

// enrolled makes the site's station a device and returns its secret.
func (h *House) enrolled() string {
	h.t.Helper()
	var code string
	h.Update(func(tx *store.Tx) (err error) {
		code, _, err = h.Access.NewEnrolment(tx, ident.System(), h.Site.Station)
		return err
	})
	secret, _, err := h.Access.Enrol(h.t.Context(), code)
	if err != nil {
		h.t.Fatal(err)
	}
	return secret
}

// EnterStaff makes a member of staff with roles and signs them in at a door.
func (h *House) EnterStaff(door, stage string, roles ...string) *Browser {
	h.t.Helper()
	id := string(ident.New[ident.Staff]())
	h.Update(func(tx *store.Tx) error {
		return tx.Exec(`INSERT INTO staff (id, username, name, roles, password, totp, created_at) VALUES (?,?,'Jo Smith',?,'',?,?)`,
			id, id, strings.Join(roles, " "), factor(h.t, id), store.Ms(tx.Now()))
	})
	return h.Enter(door, ident.ByStaff, id, stage)
}

// factor is the second factor of a member of staff as access keeps it, made without the cost of a password.
func factor(t *testing.T, id string) []byte {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, seal.NonceSize())
	return seal.Seal(nonce, nonce, []byte("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"), []byte(id))
}
