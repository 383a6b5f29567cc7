package people

import (
	"context"
	"io"
	"slices"
	"time"

	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/outbox"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// rosterChunk is how many rows one transaction applies; each replicates.
const rosterChunk = 100

// Import is what one roster file did.
type Import struct {
	ID        ident.Import
	Source    string
	Full      bool   // who is missing from the file has left
	State     string // running, done, refused
	Reason    string // of a refusal: full_file_drop, nothing_good
	InCustody int    // before the file
	Leaving   int    // how many the file takes out of custody
	Rows      int
	Handled   int // progress
	Added     int
	Changed   int
	Unchanged int
	Released  int
	Bad       []BadRow
	By        string
	Started   time.Time
	Finished  time.Time
}

// ImportRoster applies a roster file: bad lines wait in quarantine, the same line twice changes nothing, and who is missing
// from a full file is released. A full file that would take too many out of custody is refused whole and changes nothing
// but the list of imports.
func (p *People) ImportRoster(ctx context.Context, by ident.Actor, source string, full bool, file io.Reader) (Import, error) {
	rows, bad, raw, err := readRoster(file)
	if err != nil {
		return Import{}, err
	}
	m := Import{ID: ident.New[ident.Import](), Source: source, Full: full, State: "running", Rows: len(rows) + len(bad), By: by.ID}
	var leaving []ident.Inmate
	err = p.DB.View(ctx, func(tx *store.Tx) error {
		rows, bad, err = p.placeInUnits(tx, rows, bad)
		if err != nil {
			return err
		}
		leaving, err = p.measure(tx, &m, rows, bad)
		return err
	})
	if err != nil {
		return Import{}, err
	}
	m.Bad = bad
	if err := p.beginImport(ctx, by, &m, hashOf(string(raw))); err != nil || m.State == "refused" {
		return m, err
	}
	for chunk := range slices.Chunk(rows, rosterChunk) {
		if err := p.DB.Update(ctx, func(tx *store.Tx) error { return p.applyRows(tx, by, m.ID, chunk) }); err != nil {
			return m, err
		}
	}
	for chunk := range slices.Chunk(leaving, rosterChunk) {
		if err := p.DB.Update(ctx, func(tx *store.Tx) error { return p.releaseAll(tx, by, m.ID, chunk) }); err != nil {
			return m, err
		}
	}
	err = p.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Exec(`UPDATE roster_import SET state = 'done', handled = rows, finished_at = ? WHERE id = ?`, store.Ms(tx.Now()), m.ID); err != nil {
			return err
		}
		if err := audit.Record(tx, by, "roster.import", m.ID); err != nil {
			return err
		}
		return outbox.Tell(tx, outbox.ToStaff(), "roster", m.ID)
	})
	if err != nil {
		return m, err
	}
	return view(ctx, p.DB, func(tx *store.Tx) (Import, error) { return p.Import(tx, m.ID) })
}

// placeInUnits turns names of units into ids; a line with a unit that the facility does not have is bad.
func (p *People) placeInUnits(tx *store.Tx, rows []rosterRow, bad []BadRow) ([]rosterRow, []BadRow, error) {
	units, err := p.Facility.Units(tx)
	if err != nil {
		return nil, nil, err
	}
	byName := map[string]ident.Unit{}
	for _, u := range units {
		byName[fold(u.Name)] = u.ID
	}
	var good []rosterRow
	for _, r := range rows {
		id, ok := byName[fold(r.unit)]
		if !ok && (r.unit != "" || r.inmate.State == InCustody) {
			bad = append(bad, BadRow{Line: r.line, Column: "unit", Cause: "unit_unknown", raw: r.inmate.Number + "," + r.unit, number: r.inmate.Number})
			continue
		}
		r.inmate.Unit = id
		good = append(good, r)
	}
	return good, bad, nil
}

// measure counts what a file would take out of custody, and refuses a full file that takes too many. It returns who is
// missing from a full file. Somebody whose line is bad is not missing.
func (p *People) measure(tx *store.Tx, m *Import, rows []rosterRow, bad []BadRow) ([]ident.Inmate, error) {
	type held struct {
		id     ident.Inmate
		number string
	}
	here, err := store.All(tx, func(r *store.Rows) (h held, err error) { err = r.Scan(&h.id, &h.number); return h, err },
		`SELECT id, number FROM inmate WHERE state IN ('in_custody','temp_out') ORDER BY id`)
	if err != nil {
		return nil, err
	}
	m.InCustody = len(here)
	if !m.Full {
		return nil, nil
	}
	stays, leaves := map[string]bool{}, map[string]bool{}
	for _, r := range rows {
		stays[r.inmate.Number] = true
		leaves[r.inmate.Number] = r.inmate.State == Released || r.inmate.State == TransferredOut
	}
	for _, b := range bad {
		stays[b.number] = true
	}
	var missing []ident.Inmate
	for _, h := range here {
		switch {
		case !stays[h.number]:
			missing = append(missing, h.id)
			m.Leaving++
		case leaves[h.number]:
			m.Leaving++
		}
	}
	rules, err := p.Policy.At(tx, policy.Scope{})
	if err != nil {
		return nil, err
	}
	switch {
	case len(rows) == 0:
		m.State, m.Reason = "refused", "nothing_good"
	case m.Leaving*100 > m.InCustody*policy.RosterFullFileDropMax.Of(rules):
		m.State, m.Reason = "refused", "full_file_drop"
	}
	return missing, nil
}

func (p *People) beginImport(ctx context.Context, by ident.Actor, m *Import, hash string) error {
	return p.DB.Update(ctx, func(tx *store.Tx) error {
		m.Started = tx.Now()
		var finished any
		if m.State == "refused" {
			m.Finished, finished = m.Started, store.Ms(m.Started)
		}
		if err := tx.Exec(`INSERT INTO roster_import (id, source, file_hash, whole, state, reason, in_custody, leaving, rows, bad, made_by, started_at, finished_at)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`, m.ID, m.Source, hash, m.Full, m.State, m.Reason, m.InCustody, m.Leaving, m.Rows, len(m.Bad),
			m.By, store.Ms(m.Started), finished); err != nil {
			return err
		}
		for _, b := range m.Bad {
			if err := tx.Exec(`INSERT INTO roster_bad (import, line, field, cause, raw) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING`,
				m.ID, b.Line, b.Column, b.Cause, b.raw); err != nil {
				return err
			}
		}
		if m.State != "refused" {
			return outbox.Tell(tx, outbox.ToStaff(), "roster", m.ID)
		}
		if err := outbox.Tell(tx, outbox.ToStaff(), "roster", m.ID); err != nil {
			return err
		}
		return audit.Record(tx, by, "roster.refuse", m.ID, audit.Reason(m.Reason))
	})
}

func (p *People) applyRows(tx *store.Tx, by ident.Actor, id ident.Import, rows []rosterRow) error {
	var added, changed, unchanged, released int
	for _, r := range rows {
		did, left, err := p.applyRow(tx, by, r.inmate)
		if err != nil {
			return err
		}
		switch did {
		case "added":
			added++
		case "changed":
			changed++
		default:
			unchanged++
		}
		if left {
			released++
		}
	}
	if err := tx.Exec(`UPDATE roster_import SET handled = handled + ?, added = added + ?, changed = changed + ?, unchanged = unchanged + ?,
		released = released + ? WHERE id = ?`, len(rows), added, changed, unchanged, released, id); err != nil {
		return err
	}
	return outbox.Tell(tx, outbox.ToStaff(), "roster", id)
}

// applyRow brings one inmate to what the roster says, with the events that follow.
func (p *People) applyRow(tx *store.Tx, by ident.Actor, n Inmate) (did string, left bool, err error) {
	old, err := p.InmateByNumber(tx, n.Number)
	if fault.Is(err, fault.NotFound) {
		if n.Language == "" {
			n.Language = "en"
		}
		n.ID, n.Version = ident.New[ident.Inmate](), 1
		if err := tx.Exec(`INSERT INTO inmate (id, number, booking, first, last, folded, born, language, level, category, legal, unit, state, created_at, changed_at)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,nullif(?, ''),?,?,?)`, n.ID, n.Number, n.Booking, n.First, n.Last, fold(n.Name()), n.Born, n.Language,
			n.Level, n.Category, n.Legal, n.Unit, n.State, store.Ms(tx.Now()), store.Ms(tx.Now())); err != nil {
			return "", false, err
		}
		if err := audit.Record(tx, by, "inmate.admit", n.ID); err != nil {
			return "", false, err
		}
		return "added", false, p.replicate(tx, n)
	}
	if err != nil {
		return "", false, err
	}
	n.ID, n.Version, n.Language = old.ID, old.Version, old.Language // the inmate chooses the language at the kiosk
	if n.Unit == "" {
		n.Unit = old.Unit
	}
	if n == old {
		return "", false, nil
	}
	n.Version++
	if err := p.saveInmate(tx, by, old, n); err != nil {
		return "", false, err
	}
	return "changed", gone(n.State) && !gone(old.State), nil
}

func gone(state string) bool {
	return state == Released || state == Deceased || state == TransferredOut
}

// saveInmate writes a changed inmate and says what happened.
func (p *People) saveInmate(tx *store.Tx, by ident.Actor, old, n Inmate) error {
	if err := tx.Exec(`UPDATE inmate SET booking = ?, first = ?, last = ?, folded = ?, born = ?, level = ?, category = ?, legal = ?,
		unit = nullif(?, ''), state = ?, version = ?, changed_at = ? WHERE id = ?`, n.Booking, n.First, n.Last, fold(n.Name()), n.Born, n.Level,
		n.Category, n.Legal, n.Unit, n.State, n.Version, store.Ms(tx.Now()), n.ID); err != nil {
		return err
	}
	kind := inmateEvent(old, n)
	if err := audit.Record(tx, by, "inmate."+kind, n.ID, audit.Before(map[string]string{"state": old.State, "unit": string(old.Unit)}),
		audit.After(map[string]string{"state": n.State, "unit": string(n.Unit)})); err != nil {
		return err
	}
	if err := outbox.Tell(tx, outbox.ToStaff(), "inmate", n.ID); err != nil {
		return err
	}
	if err := p.replicate(tx, n); err != nil {
		return err
	}
	if kind == "changed" {
		return nil
	}
	reason := map[string]string{"transferred_out": "transferred", "temp_out": "temporary_absence", "housing_moved": "housing_move"}[kind]
	if reason == "" {
		reason = kind
	}
	// Whoever cancels visits hears of the release before the contacts end, so that the visits carry the true reason.
	if err := p.happened(tx, by, Event{Kind: kind, Inmate: n.ID, Reason: reason}); err != nil {
		return err
	}
	if n.State != Released && n.State != Deceased {
		return nil
	}
	contacts, err := p.ContactsOfInmate(tx, n.ID)
	if err != nil {
		return err
	}
	for _, c := range contacts {
		if !MayMove("contact.end", c.State, Ended) {
			continue
		}
		if _, err := p.EndContact(tx, by, c.ID, reason); err != nil {
			return err
		}
	}
	return nil
}

// inmateEvent names what changed, the gravest first.
func inmateEvent(old, n Inmate) string {
	switch {
	case n.State != old.State && n.State == InCustody && old.State == TempOut:
		return "returned"
	case n.State != old.State && n.State == InCustody:
		return "admitted"
	case n.State != old.State:
		return n.State
	case n.Unit != old.Unit:
		return "housing_moved"
	case n.Level != old.Level:
		return "level_changed"
	}
	return "changed"
}

func (p *People) releaseAll(tx *store.Tx, by ident.Actor, id ident.Import, missing []ident.Inmate) error {
	for _, i := range missing {
		old, err := p.Inmate(tx, i)
		if err != nil {
			return err
		}
		if gone(old.State) {
			continue
		}
		n := old
		n.State, n.Version = Released, old.Version+1
		if err := p.saveInmate(tx, by, old, n); err != nil {
			return err
		}
		if err := tx.Exec(`UPDATE roster_import SET released = released + 1 WHERE id = ?`, id); err != nil {
			return err
		}
	}
	return outbox.Tell(tx, outbox.ToStaff(), "roster", id)
}

const importColumns = `id, source, whole, state, reason, in_custody, leaving, rows, handled, added, changed, unchanged, released, made_by, started_at, coalesce(finished_at, 0)`

func scanImport(r scanner) (m Import, err error) {
	var started, finished int64
	err = r.Scan(&m.ID, &m.Source, &m.Full, &m.State, &m.Reason, &m.InCustody, &m.Leaving, &m.Rows, &m.Handled, &m.Added, &m.Changed,
		&m.Unchanged, &m.Released, &m.By, &started, &finished)
	m.Started, m.Finished = store.Time(started), instant(finished)
	return m, err
}

// Import returns one import with its bad lines, NotFound when there is none.
func (p *People) Import(tx *store.Tx, id ident.Import) (Import, error) {
	m, err := scanImport(tx.Row(`SELECT `+importColumns+` FROM roster_import WHERE id = ?`, id))
	if err != nil {
		return m, missing(err, "people.Import", "There is no such import.")
	}
	m.Bad, err = store.All(tx, func(r *store.Rows) (b BadRow, err error) {
		err = r.Scan(&b.Line, &b.Column, &b.Cause, &b.raw)
		return b, err
	}, `SELECT line, field, cause, raw FROM roster_bad WHERE import = ? ORDER BY line LIMIT 1000`, id)
	return m, err
}

// Imports lists imports, newest first, with their bad lines.
func (p *People) Imports(tx *store.Tx, limit int) ([]Import, error) {
	list, err := store.All(tx, func(r *store.Rows) (Import, error) { return scanImport(r) },
		`SELECT `+importColumns+` FROM roster_import ORDER BY started_at DESC, id LIMIT ?`, limit)
	for i := range list {
		if list[i], err = p.Import(tx, list[i].ID); err != nil {
			return nil, err
		}
	}
	return list, err
}
