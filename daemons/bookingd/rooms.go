package main

import (
	"fmt"
	"path/filepath"
	"time"

	"sallyport/appliance/access"
	"sallyport/appliance/calls"
	"sallyport/appliance/facility"
	"sallyport/appliance/grant"
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
	"sallyport/appliance/unit"
	"sallyport/appliance/vault"
	"sallyport/appliance/visits"

	"filippo.io/age"
)

// furnish makes the rooms, the lower floors first, and tells each who else must act when something happens in it.
func (h *house) furnish(env *unit.Env) error {
	if err := h.openOutbox(env); err != nil {
		return err
	}
	if err := h.facts(env); err != nil {
		return err
	}
	h.visits = visits.New(visits.Deps{
		Facility: h.facility, Policy: h.policy, People: h.people, Schedule: h.schedule, Put: h.outbox.Put,
	})
	if err := h.media(env); err != nil {
		return err
	}
	words, err := locale.Load()
	if err != nil {
		return err
	}
	post, err := h.post(env)
	if err != nil {
		return err
	}
	h.notices = notices.New(notices.Deps{
		DB: h.db, Clock: h.clock, People: h.people, Facility: h.facility, Policy: h.policy, Words: words, Calendar: h.calendar,
		Site: h.cfg.Visitor.Origin, Log: env.Log, Mail: post,
	})
	h.introduce()
	return nil
}

// openOutbox readies the capture of facts for the centre; until commissioning it captures for later.
func (h *house) openOutbox(env *unit.Env) error {
	secret, err := h.vault.Key(vault.SiteSigningKey)
	if err != nil {
		return err
	}
	party, err := vault.NewParty(secret)
	if err != nil {
		return err
	}
	o := outbox.Options{Site: ident.Facility(h.cfg.Central.Site), Party: party, Guard: filepath.Join(h.cfg.State, "incarnation"), Log: env.Log}
	if h.cfg.Central.Peer != "" {
		if o.Centre, err = vault.ParsePeer(h.cfg.Central.Peer); err != nil {
			return unit.BadSetting("central.peer", "is not what the centre printed").Because(err)
		}
	}
	h.outbox, err = outbox.New(o)
	return err
}

// facts makes the rooms of floor 2.
func (h *house) facts(env *unit.Env) error {
	pepper, err := h.vault.Key(vault.PINPepper)
	if err != nil {
		return err
	}
	blobKey, err := h.vault.Key(vault.BlobKey)
	if err != nil {
		return err
	}
	sessionKey, err := h.vault.Key(vault.SessionKey)
	if err != nil {
		return err
	}
	blobs, err := vault.OpenBlobs(filepath.Join(h.cfg.State, "blobs"), blobKey)
	if err != nil {
		return err
	}
	h.facility = facility.Replicated(h.outbox.Put)
	h.policy = policy.New()
	h.cases = moderation.New(moderation.Deps{May: access.MayDecide, Lease: h.lease, Clock: h.caseClock})
	h.people = people.New(people.Deps{
		DB: h.db, Clock: h.clock, Blobs: blobs, Facility: h.facility, Policy: h.policy, Put: h.outbox.Put, Drop: h.outbox.Drop,
		OpenCase: func(tx *store.Tx, i people.CaseItem) (ident.Case, error) {
			return h.cases.Open(tx, moderation.Item{Kind: i.Kind, Item: i.Item, Hash: i.Hash, Submitter: i.Submitter, Due: i.Due})
		},
	})
	h.access, err = access.New(access.Deps{
		DB: h.db, Clock: h.clock, People: h.people, Policy: h.policy, Facility: h.facility, Hasher: vault.NewHasher(pepper),
		Key: sessionKey, Issuer: "Sallyport", ShowClaim: h.showClaim,
	})
	h.schedule = schedule.New(schedule.Deps{Facility: h.facility, Policy: h.policy, Put: h.outbox.Put})
	return err
}

// media makes calls and recordings with their keys.
func (h *house) media(env *unit.Env) error {
	seed, err := h.vault.Signer(vault.GrantKey)
	if err != nil {
		return err
	}
	turn, err := h.vault.Key(vault.TURNSecret)
	if err != nil {
		return err
	}
	intake, err := h.vault.Identity(vault.IntakeIdentity)
	if err != nil {
		return err
	}
	ring, err := h.vault.Key(vault.KeyringKey)
	if err != nil {
		return err
	}
	h.calls = calls.New(calls.Options{
		DB: h.db, Clock: h.clock, Log: env.Log, Policy: h.policy, Facility: h.facility, People: h.people, Visits: h.visits,
		Signer: grant.NewSigner("g1", seed), TURN: []linkspec.TURNSecret{{KID: "t1", Secret: turn}},
		Recipients: []string{intake.Recipient().String()},
		Origins: linkspec.Origins{
			Visitor: h.cfg.Visitor.all(), Kiosk: h.cfg.Kiosk.all(), Staff: h.cfg.Staff.all(),
		},
		Signaling: map[string]string{"visitor": h.cfg.Media.Visitor, "kiosk": h.cfg.Media.Kiosk, "staff": h.cfg.Media.Staff},
		Relay:     h.cfg.Media.Relay,
	})
	h.recordings = recordings.New(recordings.Options{
		DB: h.db, Clock: h.clock, Log: env.Log, Calls: h.calls, Policy: h.policy, Folder: h.cfg.Recordings,
		Keyring: filepath.Join(h.cfg.State, "keyring"), RingKey: ring, Intake: []age.Identity{intake},
		Signer: h.cfg.recorderKey(),
	})
	return nil
}

// introduce lets rooms that must not know each other act on what happens in one another.
func (h *house) introduce() {
	h.people.OnEvent(func(tx *store.Tx, by ident.Actor, e people.Event) error {
		if err := h.visits.Happened(tx, e.Kind, e.Inmate, e.Visitor, e.Reason); err != nil {
			return fmt.Errorf("re-check visits: %w", err)
		}
		if err := h.calls.Happened(tx, e.Inmate, e.Visitor); err != nil {
			return fmt.Errorf("re-check calls: %w", err)
		}
		switch e.Kind {
		case "released", "deceased", "transferred_out":
			return h.access.End(tx, string(e.Inmate))
		case "visitor_lost":
			return h.access.End(tx, string(e.Visitor))
		}
		return nil
	})
	h.cases.Register("identity", func(tx *store.Tx, c moderation.Case, v moderation.Verdict) (err error) {
		who := ident.Visitor(c.Item)
		if v.Decision == moderation.Approve {
			_, err = h.people.VerifyIdentity(tx, v.By, who, "")
			return err
		}
		_, err = h.people.RejectIdentity(tx, v.By, who, v.Reason, v.Decision == moderation.Ask)
		return err
	})
	h.cases.OnClaim("identity", func(tx *store.Tx, c moderation.Case, by ident.Actor, taken bool) error {
		return h.people.ReviewIdentity(tx, by, ident.Visitor(c.Item), taken)
	})
	h.cases.Register("contact", func(tx *store.Tx, c moderation.Case, v moderation.Verdict) (err error) {
		if v.Decision == moderation.Approve {
			_, err = h.people.ApproveContact(tx, v.By, ident.Contact(c.Item))
			return err
		}
		_, err = h.people.RejectContact(tx, v.By, ident.Contact(c.Item), v.Reason)
		return err
	})
}

func (h *house) lease(tx *store.Tx) (time.Duration, error) {
	r, err := h.policy.At(tx, policy.Scope{})
	return policy.ModerationClaimLease.Of(r), err
}

// contactClock is how long a contact may wait for the facility (rules.md, 9.1); no rule changes it.
const contactClock = 72 * time.Hour

func (h *house) caseClock(tx *store.Tx, kind string) (time.Duration, error) {
	if kind != "identity" {
		return contactClock, nil
	}
	r, err := h.policy.At(tx, policy.Scope{})
	return policy.IDSLA.Of(r), err
}

// calendar is the file that goes with a visit's mails.
func (h *house) calendar(tx *store.Tx, id ident.Visit) ([]byte, string, error) {
	v, err := h.visits.Get(tx, id)
	if err != nil {
		return nil, "", err
	}
	f, err := h.facility.Get(tx)
	if err != nil {
		return nil, "", err
	}
	loc, err := f.Location()
	if err != nil {
		return nil, "", err
	}
	method := "REQUEST"
	if !v.Open() && !v.Planned() {
		method = "CANCEL"
	}
	link := h.cfg.Visitor.Origin + "/visits/" + string(id)
	return visits.Calendar(v, h.cfg.Visitor.host(), loc, tx.Now(), visits.CalendarWords{
		Summary: "Video visit", Description: link, Online: "Online", Link: link,
	}), method, nil
}
