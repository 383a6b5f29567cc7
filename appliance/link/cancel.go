package link

import (
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/record"
	"sallyport/appliance/store"
	"sallyport/appliance/visits"
)

// CancelVisit executes visit.cancel: the centre's order runs against the visit as it is now, under the rules that any
// cancellation has. Register it with [Replication.OnCommand].
func CancelVisit(room *visits.Visits) func(*store.Tx, record.Command) (record.Result, error) {
	return func(tx *store.Tx, c record.Command) (record.Result, error) {
		id, err := ident.Parse[ident.Visit](c.Subject)
		if err != nil {
			return record.Result{}, err
		}
		body := &record.VisitCancel{}
		if err := record.Decode(c.Body, body); err != nil {
			return record.Result{}, err
		}
		by := ident.Actor{Kind: ident.ByCentral, ID: c.Issuer, Door: "link"}
		err = tx.Try(func() error {
			_, err := room.Cancel(tx, by, id, body.GetReason())
			return err
		})
		switch {
		case err == nil:
			return record.Result{Outcome: record.Cancelled}, nil
		case fault.Is(err, fault.Conflict):
			return record.Result{Outcome: record.TooLate, Reason: fault.CodeOf(err)}, nil
		}
		return record.Result{}, err
	}
}
