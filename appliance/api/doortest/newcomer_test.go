package doortest

import (
	"strings"
	"testing"

	"github.com/pquerna/otp/totp"

	"sallyport/appliance/access"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/store"
)

// roll is the site's own inmate and one more, as the facility's list has them.
const roll = "number,booking,first,last,dob,unit\nA0177,B1,Sam,Reed,1990-01-01,A\nA1001,B7,Sam,Jones,1990-02-03,A\n"

// activation is the secret of the link that was mailed last.
func (h *House) activation() (token string) {
	h.t.Helper()
	h.See(func(tx *store.Tx) error {
		list, err := outbox.Notices(tx, 0, 100)
		for _, n := range list {
			if secret, ok := n.Params["token"].(string); ok {
				token = secret
			}
		}
		return err
	})
	if token == "" {
		h.t.Fatal("no link was mailed")
	}
	return token
}

// TestFromFormToContact is the beginning of every visitor's story, through the door.
func TestFromFormToContact(t *testing.T) {
	h := Open(t)
	clerk := ident.Actor{Kind: ident.ByStaff, ID: "sf_c"}
	if _, err := h.Rooms.People.ImportRoster(t.Context(), clerk, "test", true, strings.NewReader(roll)); err != nil {
		t.Fatal(err)
	}
	b := h.Browse("visitor")
	b.Do(t, 202, "POST", "accounts", map[string]any{
		"first_name": "Ann", "last_name": "Jones", "date_of_birth": "1980-05-05", "phone": "020 7946 0001", "email": "ann@example.org",
		"pin": "740913", "language": "en", "zone": "Europe/London", "terms": Ticks(b.Do(t, 200, "GET", "config", nil), "terms"),
	})
	b.Refused(t, 422, "auth.linkOld", "POST", "accounts/activation", map[string]any{"token": strings.Repeat("0", 52)})
	b.Do(t, 204, "POST", "accounts/activation", map[string]any{"token": h.activation()})
	if a := b.Refused(t, 401, "auth.wrong", "POST", "session", map[string]any{"phone": "020 7946 0001", "pin": "555123"}); dig(t, a.Body, "params", "left") != 4.0 {
		t.Errorf("a wrong PIN: %s", a.Raw)
	}
	s := b.Do(t, 200, "POST", "session", map[string]any{"phone": "+44 20 7946 0001", "pin": "740913"})
	if s["stage"] != "agreement" {
		t.Fatalf("session %v", s)
	}
	b.Do(t, 401, "GET", "contacts", nil) // not wholly signed in
	b.Agree(t, s)
	b.Refused(t, 422, "file.type", "PUT", "identity/documents/selfie", []byte("not a picture"))
	for _, kind := range []string{"id_front", "id_back", "selfie"} {
		b.Do(t, 200, "PUT", "identity/documents/"+kind, Photo())
	}
	if i := b.Do(t, 200, "POST", "identity/submit", nil); i["state"] != "submitted" || i["due"] == nil {
		t.Errorf("identity %v", i)
	}
	sam := map[string]any{"first_name": "Sam", "last_name": "Jones", "number": "A1001", "date_of_birth": "1990-02-03", "relationship": "sibling"}
	b.Refused(t, 404, "contact.cannotAdd", "POST", "contacts", with(sam, "date_of_birth", "1990-02-04"))
	if c := b.Do(t, 201, "POST", "contacts", sam); c["state"] != "awaiting_inmate" || c["may_book"] != false {
		t.Errorf("contact %v", c)
	}
	if l := b.Do(t, 200, "GET", "contacts", nil); len(List(l, "contacts")) != 1 {
		t.Errorf("contacts %v", l)
	}
	if p := b.Do(t, 200, "PUT", "profile", map[string]any{"zone": "America/New_York"}); p["zone"] != "America/New_York" || p["language"] != "en" {
		t.Errorf("profile %v", p)
	}
	b.Do(t, 200, "GET", "news", nil)
	b.Do(t, 204, "DELETE", "session", nil)
	b.Do(t, 401, "GET", "contacts", nil)
}

// employ makes a member of staff with a password, and signs them in at the staff door with it and the authenticator's code.
func (h *House) employ(username, role string) *Browser {
	h.t.Helper()
	const password = "correct horse battery"
	_, factor, err := h.Access.AddStaff(h.t.Context(), ident.System(), access.Staff{Username: username, Name: "Mo Clark", Roles: []string{role}}, password)
	if err != nil {
		h.t.Fatal(err)
	}
	b := h.Browse("staff")
	if s := b.Do(h.t, 200, "POST", "session", map[string]any{"username": username, "password": password}); s["stage"] != "totp" || s["name"] != nil {
		h.t.Fatalf("session %v", s)
	}
	b.Do(h.t, 401, "GET", "cases", nil)
	code, err := totp.GenerateCode(factor.Secret, h.Site.Clock.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	if s := b.Do(h.t, 200, "POST", "session/totp", map[string]any{"code": code}); s["stage"] != "full" || s["name"] != "Mo Clark" {
		h.t.Fatalf("session %v", s)
	}
	return b
}

// TestFromPasswordToVerdict is a moderator's first case, and what a clerk may not see of it, through the door.
func TestFromPasswordToVerdict(t *testing.T) {
	h := Open(t)
	h.someoneElse()

	clerk := h.employ("clerk", access.Clerk)
	if l := clerk.Do(t, 200, "GET", "cases", nil); len(List(l, "cases")) != 0 {
		t.Errorf("a clerk sees %v", l)
	}
	m := clerk.Do(t, 200, "POST", "roster?full=true", []byte(roll+"A1002,B8,Lee,Bowen,soon,A\n"), "Content-Type", "text/csv")
	if m["added"] != 1.0 || len(List(m, "quarantined")) != 1 || m["by"] != "Mo Clark" {
		t.Errorf("roster %v", m)
	}
	if l := clerk.Do(t, 200, "GET", "inmates?q=jones", nil); l["total"] != 1.0 {
		t.Errorf("inmates %v", l)
	}

	b := h.employ("moderator", access.Moderator)
	list := List(b.Do(t, 200, "GET", "cases?kind=identity", nil), "cases")
	if len(list) != 1 {
		t.Fatalf("cases %v", list)
	}
	path := "cases/" + Str(list[0], "id")
	b.Do(t, 403, "GET", path+"/documents/selfie", nil)
	if c := b.Do(t, 200, "POST", path+"/claim", nil); c["claimed_by_me"] != true || len(c["documents"].([]any)) != 3 || c["title"] != "Bob Jones" {
		t.Errorf("case %v", c)
	}
	b.Do(t, 200, "GET", path+"/documents/selfie", nil)
	if c := b.Do(t, 200, "POST", path+"/verdict", map[string]any{"verdict": "approve"}); c["state"] != "decided" || c["verdict"] != "approve" {
		t.Errorf("case %v", c)
	}
	if l := b.Do(t, 200, "GET", "visitors?q=bob", nil); dig(t, l, "visitors", 0, "identity") != "verified" {
		t.Errorf("visitors %v", l)
	}
}
