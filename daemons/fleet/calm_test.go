package fleet

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/appliance/api/doortest"
	"sallyport/appliance/reel/reeltest"
	"sallyport/appliance/sfu/sfutest"
	"sallyport/appliance/signaling/signaltest"
	"sallyport/appliance/store"
)

// calm is the house of the whole visit, with what its tests hand on to each other.
type calm struct {
	*house
	start   time.Time
	ann     *browser // the first seeded visitor
	self    *browser // the newcomer
	link    string   // of the newcomer's mail, expired
	contact string
	visit   string

	recording string
}

// TestCalmHouse is one whole visit, from the form to the recording and the centre, and what is refused on the way.
func TestCalmHouse(t *testing.T) {
	t.Parallel()
	c := &calm{house: open(t)}
	c.ann = c.visitor(t, c.People.Visitors[0])
	c.self, c.link = c.register(t)
	before := c.ann.Do(t, 200, "GET", "visits", nil)
	c.stop(t)
	c.start = c.startIn(t, 45*time.Second)
	c.edit(t, func(ctx context.Context, db *store.DB) error {
		return db.Update(ctx, func(tx *store.Tx) error { return tx.Exec(`UPDATE activation SET expires_at = ?`, store.Ms(tx.Now())-1) })
	})
	c.house.start(t)
	c.ann, c.self = c.moved(c.ann), c.moved(c.self)
	after := c.ann.Do(t, 200, "GET", "visits", nil)
	if a, b := doortest.List(before, "visits"), doortest.List(after, "visits"); len(a) == 0 || len(a) != len(b) || a[0]["id"] != b[0]["id"] {
		t.Fatalf("a restart changed the visits from %d to %d", len(a), len(b))
	}
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"expired link", c.expiredLink},
		{"to the first contact", c.toContact},
		{"to the confirmed visit", c.toVisit},
		{"refusals", c.refusals},
		{"roster", c.roster},
		{"order of the centre", c.centreCancels},
		{"call", c.holdCall},
		{"centre", c.centreHolds},
		{"operator", c.operator},
	} {
		if !t.Run(step.name, step.do) {
			t.FailNow() // the later steps need this one
		}
	}
}

func (c *calm) expiredLink(t *testing.T) {
	c.self.Refused(t, 422, "auth.linkOld", "POST", "accounts/activation", map[string]any{"token": c.link})
	c.self.Refused(t, 422, "auth.linkOld", "POST", "accounts/activation", map[string]any{"token": strings.Repeat("0", 52)})
	c.self.Refused(t, 403, "auth.notActive", "POST", "session", map[string]any{"phone": newcomer.Phone, "pin": newcomer.PIN})
	c.self.Do(t, 202, "POST", "accounts/activation/resend", map[string]any{"email": newcomer.Email})
	c.link = c.mailTo(t, newcomer.Email, 0, `/activate#([0-9a-z]+)`) // demo forgets mails when it ends
	c.self.Do(t, 204, "POST", "accounts/activation", map[string]any{"token": c.link})
	c.self.Refused(t, 422, "auth.linkOld", "POST", "accounts/activation", map[string]any{"token": c.link})
}

func (c *calm) toContact(t *testing.T) {
	c.self.Agree(t, c.self.Do(t, 200, "POST", "session", map[string]any{"phone": newcomer.Phone, "pin": newcomer.PIN}))
	c.verified(t, c.self)
	edwin := c.People.Inmates[4]
	ask := func(born string) map[string]any {
		return map[string]any{"first_name": edwin.First, "last_name": edwin.Last, "number": edwin.Number, "date_of_birth": born, "relationship": "sibling"}
	}
	c.self.Refused(t, 404, "contact.cannotAdd", "POST", "contacts", ask("1901-01-01"))
	made := c.self.Do(t, 201, "POST", "contacts", ask(edwin.Born))
	c.contact = doortest.Str(made, "id")
	if made["state"] != "awaiting_inmate" || made["may_book"] != false {
		t.Errorf("the new contact is %v", made)
	}
	k := c.inmate(t, edwin)
	k.Do(t, 204, "POST", "contacts/"+c.contact+"/answer", map[string]any{"answer": "accept"})
	for _, one := range doortest.List(c.self.Do(t, 200, "GET", "contacts", nil), "contacts") {
		if one["state"] != "approved" || one["may_book"] != true {
			t.Fatalf("the accepted contact is %v", one)
		}
	}
}

func (c *calm) toVisit(t *testing.T) {
	zone, err := time.LoadLocation(doortest.Str(c.self.Do(t, 200, "GET", "config", nil)["facility"].(map[string]any), "zone"))
	if err != nil {
		t.Fatal(err)
	}
	day := c.start.In(zone).Format(time.DateOnly)
	days := doortest.List(c.self.Do(t, 200, "GET", "contacts/"+c.contact+"/starts?from="+day+"&to="+day+"&minutes=5", nil), "days")
	if len(days) != 1 || days[0]["bookable"] != true {
		t.Errorf("the starts of today are %v", days)
	}
	c.start = upcoming(c.start)
	v := c.self.book(t, c.contact, c.start, 5, "suggest")
	c.visit = doortest.Str(v, "id")
	if v["label"] != "invited" || v["may_join"] != false {
		t.Errorf("the suggested visit is %v", v)
	}
	k := c.inmate(t, c.People.Inmates[4])
	k.accept(t, c.visit)
	if s := c.self.state(t, c.visit); s != "confirmed" && s != "checking_in" {
		t.Fatalf("the accepted visit is %s", s)
	}
	c.mailTo(t, newcomer.Email, 0, `(`+doortest.Str(v, "ref")+`)`)
	if s := c.worker(t, "clerk").Do(t, 200, "GET", "visits/"+c.visit, nil); !strings.Contains(doortest.Str(s, "visitor"), newcomer.Last) {
		t.Errorf("staff see the visit %v", s)
	}
	if a := c.self.Ask(t, "GET", "visits/"+c.visit+"/calendar", nil); a.Status != 200 || !strings.HasPrefix(string(a.Raw), "BEGIN:VCALENDAR") {
		t.Errorf("the calendar file: %d %.60s", a.Status, a.Raw)
	}
}

// holdCall is the call itself, until its recording plays.
func (c *calm) holdCall(t *testing.T) {
	film := reeltest.Sample(t, 4)
	v := c.self.take(t, c.visit, film)
	i := c.inmate(t, c.People.Inmates[4]).take(t, c.visit, film)
	if time.Now().Before(c.start) {
		v.Wait(t, "the waiting room", func() bool {
			s := v.Last("state")
			return s["phase"] == "live" || s["phase"] == "open" && s["says"] == "call.waitStart"
		})
	}
	// Only a recorder that is at work can mark that the seat moves.
	desk := c.worker(t, "monitor")
	doortest.Eventually(t, 20*time.Second, "the recorder", func() bool { return recorderOf(desk.Do(t, 200, "GET", "live", nil), v.Call) == "recording" })
	older := v.Client
	v.Join(t) // the same person on another device
	older.Wait(t, "to be told that it is elsewhere", func() bool { return older.Last("problem")["code"] == "elsewhere" })
	<-older.Done()
	v.Live(t)
	i.Live(t)
	if early := time.Until(c.start); early > 250*time.Millisecond {
		t.Errorf("live %v before its start", early)
	}
	v.Flows(t)
	i.Flows(t)
	t.Run("monitor", func(t *testing.T) { c.watch(t, v) })
	t.Run("pause and check", func(t *testing.T) { c.pauseAndCheck(t, v, i) })
	want := "time_up"
	if !all() {
		want = "staff_error"
		c.worker(t, "monitor").Do(t, 200, "POST", "calls/"+v.Call+"/end", map[string]any{"reason": want})
	}
	for _, s := range []*seat{v, i} {
		s.WaitFor(t, 6*time.Minute, "the end", func() bool { return s.Last("ended") != nil })
		if got := s.Last("ended")["code"]; got != want {
			t.Errorf("%s is told that it ended by %v, want %s", s.who.Name, got, want)
		}
	}
	if late := time.Since(c.start.Add(5 * time.Minute)); all() && (late < -time.Second || late > 2*time.Second) {
		t.Errorf("it ended %v after its fixed end", late)
	}
	state := map[string]string{"time_up": "completed", "staff_error": "terminated"}[want]
	doortest.Eventually(t, 20*time.Second, "the outcome", func() bool { return c.self.state(t, c.visit) == state })
	c.self.Refused(t, 409, "call_over", "POST", "visits/"+c.visit+"/join", map[string]any{"fingerprint": v.Print})
	facts := c.plays(t, c.visit, "whole")
	summary, _ := facts["summary"].(map[string]any)
	c.recording = doortest.Str(summary, "id")
	if n := marks(facts); n["live"] != 1 || n["pause"] != 1 || n["resume"] != 1 || n["moved"] != 1 {
		t.Errorf("the recording has the marks %v", n)
	}
}

// recorderOf is the state of a call's recorder on the wall.
func recorderOf(wall map[string]any, call string) string {
	all, _ := wall["calls"].([]any)
	for _, one := range all {
		if c, _ := one.(map[string]any); doortest.Str(c, "call") == call {
			return doortest.Str(c, "recorder")
		}
	}
	return ""
}

// watch has staff see and hear both sides without being seen.
func (c *calm) watch(t *testing.T, v *seat) {
	m := c.worker(t, "monitor")
	cert, print := sfutest.Certificate(t)
	ticket := m.Do(t, 200, "POST", "calls/"+v.Call+"/monitor", map[string]any{"fingerprint": print, "purpose": "duty"})
	eye := signaltest.Dial(t, doortest.Str(ticket, "signaling"), m.Origin)
	w := eye.Ask(t, map[string]any{"t": "join", "grant": ticket["grant"], "app": "staff", "version": "fleet"})
	if w["kind"] != "monitor" || w["down"] != 2.0 {
		t.Fatalf("the monitor joins: %v", w)
	}
	peer := sfutest.NewPeer(t, cert, false, 2, 'm')
	a := eye.Ask(t, map[string]any{"t": "offer", "sdp": peer.Offer()})
	peer.Take(doortest.Str(a, "sdp"))
	for _, mid := range []string{"0", "1", "2", "3"} {
		doortest.Eventually(t, 20*time.Second, "media line "+mid+" of the monitor", func() bool { return len(peer.Seen(mid)) > 20 })
	}
	if seats, _ := v.Last("roster")["seats"].([]any); len(seats) != 1 {
		t.Errorf("the visitor sees %v, which is more than the inmate", seats)
	}
}

func (c *calm) pauseAndCheck(t *testing.T, v, i *seat) {
	m := c.worker(t, "monitor")
	m.Do(t, 200, "POST", "calls/"+v.Call+"/pause", map[string]any{"reason": "conduct"})
	for _, s := range []*seat{v, i} {
		s.Wait(t, "the pause", func() bool { return s.Phase() == "paused" })
		if says := s.Last("state")["says"]; says != "call.paused" {
			t.Errorf("%s is told %v", s.who.Name, says)
		}
	}
	v.Still(t)
	i.Still(t)
	doortest.Eventually(t, 10*time.Second, "the wall to show the pause", func() bool { return c.liveCall(t, c.visit)["phase"] == "paused" })
	check := m.Do(t, 200, "POST", "calls/"+v.Call+"/check", nil)
	var steps []map[string]any
	for _, s := range doortest.List(check, "steps") {
		steps = append(steps, map[string]any{"key": s["key"], "done": true})
	}
	half := map[string]any{"check": check["id"], "steps": steps[:1]}
	m.Refused(t, 409, "check.incomplete", "POST", "calls/"+v.Call+"/resume", half)
	m.Do(t, 200, "POST", "calls/"+v.Call+"/resume", map[string]any{"check": check["id"], "steps": steps})
	v.Live(t)
	i.Live(t)
	v.Flows(t)
	i.Flows(t)
}

// refusals are what a door must not do for whoever asks.
func (c *calm) refusals(t *testing.T) {
	print := strings.Repeat("AB:", 31) + "AB"
	own := doortest.List(c.ann.Do(t, 200, "GET", "visits", nil), "visits")
	later := own[slices.IndexFunc(own, func(v map[string]any) bool {
		at, _ := time.Parse(time.RFC3339, doortest.Str(v, "start"))
		return v["state"] == "confirmed" && time.Until(at) > time.Hour
	})]
	early := c.ann.Refused(t, 425, "call.early", "POST", "visits/"+doortest.Str(later, "id")+"/join", map[string]any{"fingerprint": print})
	if params, _ := early.Body["params"].(map[string]any); params["opens"] == nil {
		t.Errorf("who is early is not told when it opens: %s", early.Raw)
	}
	hers := c.ann.contact(t, c.People.Inmates[0])
	for _, path := range []string{
		"GET visits/" + c.visit, "POST visits/" + c.visit + "/cancel", "GET visits/" + c.visit + "/calendar", "GET visits/" + c.visit + "/waiting",
		"GET contacts/" + c.contact + "/starts?from=2026-01-01&to=2026-01-02&minutes=15", "DELETE holds/" + c.visit,
		"GET visits/not-an-id", "GET visits/v_00000000000000000000000000",
	} {
		method, path, _ := strings.Cut(path, " ")
		if a := c.ann.Ask(t, method, path, nil); a.Status != 404 {
			t.Errorf("somebody else's: %s %s: %d %s", method, path, a.Status, a.Raw)
		}
	}
	if a := c.ann.Ask(t, "POST", "visits/"+c.visit+"/join", map[string]any{"fingerprint": print}); a.Status != 404 {
		t.Errorf("join of somebody else's visit: %d %s", a.Status, a.Raw)
	}
	if a := c.self.Ask(t, "POST", "holds", map[string]any{"contact": hers, "start": c.start.Format(time.RFC3339), "minutes": 5}); a.Status != 404 {
		t.Errorf("hold with somebody else's contact: %d %s", a.Status, a.Raw)
	}
	k := c.inmate(t, c.People.Inmates[2])
	for _, path := range []string{"visits/" + c.visit + "/answer", "contacts/" + hers + "/answer"} {
		if a := k.Ask(t, "POST", path, map[string]any{"answer": "decline"}); a.Status != 404 {
			t.Errorf("an answer for another inmate: %s: %d %s", path, a.Status, a.Raw)
		}
	}
	clerk := c.worker(t, "clerk")
	for _, path := range []string{"/api/visitor/config", "/api/kiosk/config", "audit/none", "recordings"} {
		if a := clerk.Ask(t, "GET", path, nil); a.Status != 404 {
			t.Errorf("a clerk at the staff door: GET %s: %d %s", path, a.Status, a.Raw)
		}
	}
	// Other sites, old pages, big and wrong bodies.
	if a := c.self.Ask(t, "POST", "news/read", nil, "Origin", "http://elsewhere.example"); a.Status != 403 || a.Code() != "auth.origin" {
		t.Errorf("another origin: %d %s", a.Status, a.Raw)
	}
	if a := c.self.Ask(t, "POST", "news/read", nil, "X-CSRF-Token", "old"); a.Status != 403 || a.Code() != "auth.csrf" {
		t.Errorf("an old page: %d %s", a.Status, a.Raw)
	}
	c.self.Refused(t, 422, "file.tooBig", "PUT", "profile", map[string]any{"zone": strings.Repeat("x", 70<<10)})
	if a := c.self.Ask(t, "PUT", "profile", map[string]any{"zone": 5}); a.Status != 422 && a.Status != 400 {
		t.Errorf("a wrong type: %d %s", a.Status, a.Raw)
	}
	if live := c.worker(t, "monitor").Do(t, 200, "GET", "live", nil); live["gateway"] != "ok" {
		t.Errorf("in a quiet moment the wall says that the gateway is %v", live["gateway"])
	}
	c.door("visitor").Browse().Refused(t, 401, "auth.needed", "GET", "visits", nil)
}

// roster files with bad rows are taken in part; one that would empty the house is refused whole.
func (c *calm) roster(t *testing.T) {
	clerk := c.worker(t, "clerk")
	file := []byte("number,booking,first_name,last_name,date_of_birth,unit,state\n" +
		"A9901,B26-9901,Nye,Talbot,1990-02-03,A Wing,in_custody\n" +
		"A9902,B26-9902,Lee,Marsh,soon,A Wing,in_custody\n" +
		"A9903,B26-9903,Kit,Marsh,1991-01-01,Z Wing,in_custody\n")
	got := clerk.Do(t, 200, "POST", "roster?full=false", file, "Content-Type", "text/csv")
	bad := doortest.List(got, "quarantined")
	if got["state"] != "done" || got["added"] != 1.0 || len(bad) != 2 {
		t.Fatalf("the file did %v", got)
	}
	for at, line := range []float64{3, 4} {
		if bad[at]["line"] != line || doortest.Str(bad[at], "cause") == "" {
			t.Errorf("bad row %d is %v, want line %v and a cause", at, bad[at], line)
		}
	}
	before := c.inCustody(t)
	got = clerk.Do(t, 200, "POST", "roster?full=true", file, "Content-Type", "text/csv")
	if got["state"] != "refused" || got["reason"] != "full_file_drop" || got["released"] != 0.0 {
		t.Errorf("a file without most inmates did %v", got)
	}
	if after := c.inCustody(t); after != before {
		t.Errorf("a refused file changed the inmates from %v to %v", before, after)
	}
	if l := doortest.List(clerk.Do(t, 200, "GET", "roster", nil), "imports"); len(l) < 2 || l[0]["state"] != "refused" {
		t.Errorf("the list of imports begins with %v", l)
	}
}

func (c *calm) inCustody(t *testing.T) any {
	t.Helper()
	return c.worker(t, "clerk").Do(t, 200, "GET", "inmates", nil)["total"]
}
