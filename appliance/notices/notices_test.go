package notices_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/appliance/audit"
	"sallyport/appliance/clock"
	"sallyport/appliance/facility"
	"sallyport/appliance/ident"
	"sallyport/appliance/locale"
	"sallyport/appliance/notices"
	"sallyport/appliance/outbox"
	"sallyport/appliance/people"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
	"sallyport/appliance/store/storetest"
	"sallyport/daemons/demo/mailbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	start = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	admin = ident.Actor{Kind: ident.ByStaff, ID: "sf_a", Door: "staff", Roles: []string{"administrator"}}
)

// post is a facility with its notices, a visitor, and the mail server of the evaluation.
type post struct {
	*notices.Notices
	t      *testing.T
	db     *store.DB
	clock  *clock.Fake
	people *people.People
	box    *mailbox.Mailbox
	ann    people.Visitor
	addr   net.Listener
}

func open(t *testing.T) *post {
	t.Helper()
	p := &post{t: t, clock: clock.NewFake(start), box: mailbox.New()}
	p.db = storetest.OpenAt(t, p.clock, audit.Schema, outbox.Schema, facility.Schema, policy.Schema, people.Schema, notices.Schema)
	fs, rules := facility.New(), policy.New()
	p.people = people.New(people.Deps{DB: p.db, Clock: p.clock, Facility: fs, Policy: rules})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l
	words, err := locale.Load()
	if err != nil {
		t.Fatal(err)
	}
	p.Notices = notices.New(notices.Deps{
		DB: p.db, Clock: p.clock, People: p.people, Facility: fs, Policy: rules, Words: words, Site: "https://visits.example.org",
		Calendar: func(*store.Tx, ident.Visit) ([]byte, string, error) {
			return []byte("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), "REQUEST", nil
		},
		Mail: &notices.Post{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: "none", From: "visits@north.example", Name: "North"},
	})
	p.write(func(tx *store.Tx) error {
		if err := rules.Load(tx, "county-jail", admin); err != nil {
			return err
		}
		if _, err := fs.Put(tx, admin, facility.Facility{
			Name: "North", Zone: "Europe/London", Country: "GB", Currency: "GBP", BookingOpen: true,
			Support: facility.Support{Phone: "+441632960000", Hours: "9 to 5", Email: "help@north.example"},
		}); err != nil {
			return err
		}
		p.ann, err = p.people.AddVisitor(tx, ident.System(), people.Visitor{
			First: "Ann", Last: "Jones", Born: "1980-05-05", Phone: "+441632960001", Email: "ann@example.org", Zone: "America/New_York", Language: "en",
		})
		return err
	})
	return p
}

func (p *post) write(fn func(tx *store.Tx) error) {
	p.t.Helper()
	if err := p.db.Update(context.Background(), fn); err != nil {
		p.t.Fatal(err)
	}
}

// serve runs a server until the end of the test.
func (p *post) serve(what string, run func(ctx context.Context) error) {
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	p.t.Cleanup(func() {
		end()
		if err := <-done; err != nil {
			p.t.Errorf("%s: %v", what, err)
		}
	})
}

func (p *post) receive() {
	p.serve("mailbox", func(ctx context.Context) error { return p.box.ServeSMTP(ctx, p.addr) })
}

// mails waits until n mails have come.
func (p *post) mails(n int) []mailbox.Mail {
	p.t.Helper()
	late := time.After(10 * time.Second)
	for {
		list, more := p.box.Mails()
		if len(list) >= n {
			return list
		}
		select {
		case <-more:
		case <-late:
			p.t.Fatalf("%d mails came, want %d", len(list), n)
		}
	}
}

// until waits until a question of SQL has the answer 1.
func (p *post) until(query string) {
	p.t.Helper()
	late := time.After(10 * time.Second)
	for {
		changed := p.db.Changed()
		var n int
		if err := p.db.View(context.Background(), func(tx *store.Tx) error { return tx.Row(query).Scan(&n) }); err != nil {
			p.t.Fatal(err)
		}
		if n == 1 {
			return
		}
		select {
		case <-changed:
		case <-late:
			p.t.Fatalf("never true: %s", query)
		}
	}
}

func TestVisitMailHasBothTimesAndACalendar(t *testing.T) {
	p := open(t)
	p.receive()
	p.serve("notices", p.Serve)
	visit := ident.New[ident.Visit]()
	p.write(func(tx *store.Tx) error {
		return outbox.Notify(tx, outbox.Notice{Template: "visit.confirmed", To: string(p.ann.ID), Subject: string(visit), Params: map[string]any{
			"ref": "KX4-92Q", "starts": "2027-03-04T14:00:00Z", "ends": "2027-03-04T14:30:00Z", "minutes": 30,
		}})
	})
	m := p.mails(1)[0]
	for _, want := range []string{"Thursday 4 March, 2:00pm facility time, 9:00am your time", "30 minutes", "https://visits.example.org/visits", "Hello Ann"} {
		if !strings.Contains(m.Body, want) {
			t.Errorf("the body lacks %q:\n%s", want, m.Body)
		}
	}
	if m.Subject != "Visit KX4-92Q is confirmed" || m.To[0] != "ann@example.org" {
		t.Errorf("subject %q to %v", m.Subject, m.To)
	}
	if len(m.Files) != 1 || m.Files[0].Kind != "text/calendar" || !strings.HasPrefix(string(m.Files[0].Body), "BEGIN:VCALENDAR") {
		t.Errorf("files %+v", m.Files)
	}
	p.until(`SELECT count(*) FROM mail WHERE state = 'sent' AND body = '' AND calendar IS NULL`)
	p.write(func(tx *store.Tx) error {
		news, unread, err := p.News(tx, string(p.ann.ID))
		if len(news) != 1 || unread != 1 || news[0].Params["ref"] != "KX4-92Q" || news[0].About != string(visit) {
			t.Errorf("news %+v, %d unread", news, unread)
		}
		if err != nil {
			return err
		}
		return p.Read(tx, string(p.ann.ID))
	})
	p.until(`SELECT count(*) = 0 FROM news WHERE read_at IS NULL`)
}

func TestMailWaitsForItsServer(t *testing.T) {
	p := open(t)
	addr := p.addr.Addr().String()
	p.addr.Close() // the mail server is away
	p.serve("notices", p.Serve)
	p.write(func(tx *store.Tx) error {
		return outbox.Notify(tx, outbox.Notice{Template: "account.active", To: string(p.ann.ID), Subject: string(p.ann.ID)})
	})
	p.until(`SELECT count(*) FROM mail WHERE state = 'queued' AND tries = 1 AND cause = 'unreachable'`)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l
	p.receive()
	came := func() bool { list, _ := p.box.Mails(); return len(list) > 0 }
	for range 200 { // the clock goes on until the sender has set its timer and it has fired
		if came() {
			break
		}
		p.clock.Advance(15 * time.Second)
		_, more := p.box.Mails()
		select {
		case <-more:
		case <-time.After(50 * time.Millisecond):
		}
	}
	if m := p.mails(1)[0]; m.Subject != "Your account is ready" {
		t.Errorf("subject %q", m.Subject)
	}
	p.until(`SELECT count(*) FROM mail WHERE state = 'sent' AND tries >= 2`)
}

func TestSecretsAreGoneWhenTheMailIs(t *testing.T) {
	p := open(t)
	p.receive()
	p.serve("notices", p.Serve)
	const token = "tokentokentokentoken"
	p.write(func(tx *store.Tx) error {
		return outbox.Notify(tx, outbox.Notice{
			Template: "account.activate", To: string(p.ann.ID), Subject: string(p.ann.ID), Params: map[string]any{"token": token, "hours": 48},
		})
	})
	m := p.mails(1)[0]
	if !strings.Contains(m.Body, "https://visits.example.org/activate#"+token) {
		t.Errorf("no link in:\n%s", m.Body)
	}
	p.until(`SELECT count(*) FROM mail WHERE state = 'sent' AND title || body || cause NOT LIKE '%` + token + `%'`)
	p.until(`SELECT count(*) = 0 FROM outbox_notice`)
	p.until(`SELECT count(*) = 0 FROM news`)
}

func TestLateMailIsDropped(t *testing.T) {
	p := open(t)
	p.clock.Advance(10 * 24 * time.Hour)
	p.receive()
	p.write(func(tx *store.Tx) error {
		return outbox.Notify(tx, outbox.Notice{Template: "visit.confirmed", To: string(p.ann.ID), Subject: "v_1", Params: map[string]any{
			"ref": "KX4-92Q", "starts": "2027-03-04T14:00:00Z", "ends": "2027-03-04T14:30:00Z", "minutes": 30,
		}})
	})
	p.serve("notices", p.Serve)
	p.until(`SELECT count(*) FROM mail WHERE state = 'dropped' AND cause = 'late'`)
}

func TestEveryTemplateIsWrittenInEveryLanguage(t *testing.T) {
	p := open(t)
	p.receive()
	p.serve("notices", p.Serve)
	params := map[string]any{
		"ref": "KX4-92Q", "starts": "2027-03-04T14:00:00Z", "ends": "2027-03-04T14:30:00Z", "minutes": 30, "code": "123456",
		"token": "tokentokentokentoken", "hours": 48, "until": 1804510000000, "reason": "blurred", "name": "Sam",
	}
	templates := []string{
		"account.activate", "account.exists", "account.active", "account.locked", "account.new_device", "account.suspended",
		"identity.received", "identity.verified", "identity.more_info", "identity.rejected", "identity.blocked", "identity.expiring",
		"contact.asked", "contact.approved", "contact.not_approved", "contact.ended", "visit.invited", "visit.confirmed", "visit.declined",
		"visit.expired", "visit.rejected", "visit.withdrawn", "visit.changed", "visit.cancelled", "visit.no_show", "visit.outcome",
	}
	for _, language := range []string{"en", "cy", "es"} {
		p.write(func(tx *store.Tx) error {
			if _, err := p.people.SetProfile(tx, admin, p.ann.ID, language, "Europe/Madrid"); err != nil {
				return err
			}
			for _, template := range templates {
				if err := outbox.Notify(tx, outbox.Notice{Template: template, To: string(p.ann.ID), Subject: string(p.ann.ID), Params: params}); err != nil {
					return err
				}
			}
			return nil
		})
		p.until(`SELECT count(*) = 0 FROM outbox_notice`)
	}
	if list := p.mails(3 * len(templates)); len(list) != 3*len(templates) {
		t.Errorf("%d mails of %d", len(list), 3*len(templates))
	}
}

// A relay that wants TLS from the first byte gets nothing in the clear, also when the way to it is opened by somebody else.
func TestImplicitTLSSaysNothingInTheClear(t *testing.T) {
	for _, dial := range []string{"the system's", "through a firewall"} {
		t.Run(dial, func(t *testing.T) {
			p := open(t)
			p.Mail.TLS = "implicit"
			if dial != "the system's" {
				p.Mail.Dial = new(net.Dialer).DialContext
			}
			first := make(chan byte, 1)
			go func() {
				c, err := p.addr.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				io.WriteString(c, "220 relay\r\n") // would make a client in the clear speak
				b := make([]byte, 1)
				if _, err := io.ReadFull(c, b); err == nil {
					first <- b[0]
				}
			}()
			t.Cleanup(func() { p.addr.Close() })
			p.serve("notices", p.Serve)
			p.write(func(tx *store.Tx) error {
				return outbox.Notify(tx, outbox.Notice{Template: "account.active", To: string(p.ann.ID), Subject: string(p.ann.ID)})
			})
			const handshake = 22 // the type of a TLS record
			if got := <-first; got != handshake {
				t.Errorf("the first byte is %q, want the beginning of TLS", got)
			}
		})
	}
}
