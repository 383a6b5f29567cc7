package staff

import (
	"context"
	"strings"

	"sallyport/appliance/api"
	"sallyport/appliance/audit"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// ListAudit lists acts, newest first: everything for an administrator, the own ones for everybody else.
func (d *Door) ListAudit(ctx context.Context, r ListAuditRequestObject) (ListAuditResponseObject, error) {
	by := api.From(ctx).Actor()
	f := audit.Filter{Limit: pageSize + 1}
	if !by.Has("administrator") {
		f.Actor = by.ID
	}
	if r.Params.Before != nil {
		f.Before = *r.Params.Before
	}
	if r.Params.Subject != nil {
		f.Subject = *r.Params.Subject
	}
	f.Verb = words(r.Params.Verb)
	out := ListAudit200JSONResponse{Rows: []AuditRow{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		rows, err := audit.List(tx, f)
		if err != nil {
			return err
		}
		if out.More = len(rows) > pageSize; out.More {
			rows = rows[:pageSize]
		}
		for _, row := range rows {
			out.Rows = append(out.Rows, AuditRow{
				Seq: row.Seq, At: row.At, ActorKind: string(row.By.Kind), Actor: d.who(tx, row.By.Kind, row.By.ID), Door: row.By.Door,
				Verb: row.Verb, Subject: row.Subject, Reason: optional(row.Reason),
			})
		}
		report, err := audit.Verify(tx)
		if err != nil {
			return err
		}
		out.Chain = AuditChain{Whole: report.Whole, Rows: report.Rows, Checked: tx.Now(), Why: optional(report.Why)}
		if report.FirstBad != 0 {
			out.Chain.FirstBad = &report.FirstBad
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ListPolicy answers every rule with the facility's value and what its preset had.
func (d *Door) ListPolicy(ctx context.Context, _ ListPolicyRequestObject) (ListPolicyResponseObject, error) {
	out := ListPolicy200JSONResponse{Rules: []PolicyRule{}}
	err := d.DB.View(ctx, func(tx *store.Tx) (err error) {
		if out.Preset, err = d.Policy.Loaded(tx); err != nil {
			return err
		}
		for _, row := range d.Policy.Table() {
			history, err := d.Policy.History(tx, row.Rule)
			if err != nil {
				return err
			}
			rule := PolicyRule{
				Name: row.Rule, Kind: row.Type, PresetValue: row.Preset(out.Preset), Value: row.Preset(out.Preset),
				Safety: row.Second == policy.SecondAlways, Group: groupOf(row.Rule),
			}
			for _, h := range history { // newest first
				if h.Scope == policy.ForFacility && !h.From.After(tx.Now()) && (h.To.IsZero() || h.To.After(tx.Now())) {
					rule.Value = h.Value
					break
				}
			}
			rule.Changed = rule.Value != rule.PresetValue
			out.Rules = append(out.Rules, rule)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func groupOf(rule string) string {
	group, _, _ := strings.Cut(rule, ".")
	return group
}

// GetSyncState answers how replication stands, in codes that the screens put in words.
func (d *Door) GetSyncState(ctx context.Context, _ GetSyncStateRequestObject) (GetSyncStateResponseObject, error) {
	var out GetSyncState200JSONResponse
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		s, err := d.Outbox.Status(tx)
		if err != nil {
			return err
		}
		out = GetSyncState200JSONResponse{
			State: s.State, Cause: optional(s.Cause), Waiting: int(s.Waiting), Parked: s.ParkedIn + s.ParkedOut, Enabled: d.Outbox.Joined(),
		}
		if !s.Since.IsZero() {
			out.Since = &s.Since
		}
		if !s.LastFull.IsZero() {
			out.LastFull = &s.LastFull
		}
		if s.Waiting > 0 && !s.Oldest.IsZero() {
			out.Oldest = &s.Oldest
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
