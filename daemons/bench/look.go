package main

// period is the first date of the entitlement's month.
const period = "2027-03-01"

// look runs the queries of a booking's checks; their rows are scanned and not looked at, but for what the writes need.
func (b *booking) look() error {
	for _, q := range b.before() {
		if err := b.read(q.text, q.args...); err != nil {
			return err
		}
	}
	var free bool
	err := b.tx.QueryRow(`SELECT taken, taken < capacity + extra, template, ends, date FROM slots WHERE starts = ?`, b.starts).
		Scan(&b.taken, &free, new(any), new(any), new(any))
	if err != nil {
		return err
	}
	b.kiosk = string(b.site.kiosks[b.taken%int64(len(b.site.kiosks))])
	for _, q := range b.after() {
		if err := b.read(q.text, q.args...); err != nil {
			return err
		}
	}
	if !free {
		return errFull
	}
	return nil
}

type query struct {
	text string
	args []any
}

// before are the queries about people and limits.
func (b *booking) before() []query {
	const restriction = `SELECT id, code, coalesce(visitor, ''), coalesce(inmate, ''), starts, coalesce(ends, ''), step, comment FROM restriction WHERE lifted_at IS NULL AND `
	return []query{
		{`SELECT id, ref, inmate, contact, visitor, party, class, template, starts, ends, date, minutes, slots, pitch, turnaround, state, waiting_on,
			asked_by, holder, reason, review, taken, coalesce(station, ''), coalesce(lobby, ''), funding, credited, credit_cutoff, policy_version, version,
			coalesce(due, 0), created_at, changed_at FROM visits WHERE holder = ? AND state = 'held'`, []any{b.visitor}},
		{`SELECT id, name, zone, country, currency, support_phone, support_hours, support_email, booking_open, version FROM facility WHERE one = 1`, nil},
		{`SELECT id, visitor, inmate, relationship, state, privilege, asked_by, met, reason, coalesce(until, 0), created_at, version
			FROM contact WHERE id = ?`, []any{b.contact}},
		{`SELECT id, number, booking, first, last, born, language, level, category, legal, coalesce(unit, ''), state, version
			FROM inmate WHERE id = ?`, []any{b.inmate}},
		{`SELECT id, first, last, born, phone, email, zone, language, state, coalesce(state_until, 0), identity, coalesce(identity_until, 0),
			coalesce(identity_due, 0), identity_reason, refusals, version, created_at FROM visitor WHERE id = ?`, []any{b.visitor}},
		{restriction + `visitor = ?1 AND (inmate IS NULL OR inmate = ?2) UNION ALL ` + restriction + `inmate = ?2 AND visitor IS NULL`, []any{b.visitor, b.inmate}},
		{`SELECT version, stamp FROM policy_head WHERE one = 1`, nil},
		{
			`SELECT coalesce(sum(visitor = ? AND date = ?), 0), coalesce(sum(date = ?), 0), count(*) FROM visits
			WHERE inmate = ? AND date BETWEEN ? AND ? AND id <> ? AND class NOT IN ('official', 'privileged')
				AND state <> 'declined' AND state <> 'expired' AND state <> 'withdrawn' AND state <> 'rejected'
			AND state <> 'auto_rejected' AND state <> 'cancelled'`,
			[]any{b.visitor, b.date, b.date, b.inmate, b.monday, b.sunday, ""},
		},
		{`SELECT coalesce(sum(calls), 0), coalesce(sum(minutes), 0) FROM entitlement WHERE inmate = ? AND period = ?`, []any{b.inmate, period}},
	}
}

// after are the queries about the session, its closures, who is busy and the stations.
func (b *booking) after() []query {
	const busy = `SELECT subject = ?1 AND ends > ?3 FROM visit_spans WHERE (subject, starts) < (?1, ?2) ORDER BY subject DESC, starts DESC LIMIT 1`
	const closures = `SELECT id, starts, ends, scope, key, reason FROM closures WHERE lifted IS NULL AND ends > ? AND starts < ? ORDER BY starts`
	return []query{
		{`SELECT id, name, class, weekdays, starts, ends, pitch, lengths, capacity, every_weeks, valid_from, valid_to,
			initiators, units, levels, categories, legal, excluded, private, unfolded FROM session_templates WHERE id = ?`, []any{b.template}},
		{
			`SELECT count(*), coalesce(sum(taken < capacity + extra), 0) FROM slots WHERE template = ? AND starts >= ? AND starts < ? AND date = ?`,
			[]any{b.template, b.starts, b.ends, b.date},
		},
		{closures, []any{b.starts, b.ends}},
		{busy, []any{b.inmate, b.ends, b.starts}},
		{busy, []any{b.visitor, b.ends, b.starts}},
		{
			`SELECT id, name, kind, coalesce(unit, ''), state, private FROM stations WHERE unit IS nullif(?, '') AND state = 'ready' ORDER BY kind, name`,
			[]any{string(b.site.unit)},
		},
		{closures, []any{b.starts, b.ends}},
		{busy, []any{b.kiosk, b.ends, b.starts}},
	}
}

// read runs one query to its end.
func (b *booking) read(text string, args ...any) error {
	rows, err := b.tx.Query(text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	into := make([]any, len(names))
	for i := range into {
		into[i] = new(any)
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
	}
	return rows.Err()
}
