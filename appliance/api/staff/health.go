package staff

import (
	"context"

	"sallyport/appliance/fault"
)

// ListAudit is not open yet.
func (d *Door) ListAudit(context.Context, ListAuditRequestObject) (ListAuditResponseObject, error) {
	return nil, fault.New("staff.ListAudit", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// ListPolicy is not open yet.
func (d *Door) ListPolicy(context.Context, ListPolicyRequestObject) (ListPolicyResponseObject, error) {
	return nil, fault.New("staff.ListPolicy", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}

// GetSyncState is not open yet.
func (d *Door) GetSyncState(context.Context, GetSyncStateRequestObject) (GetSyncStateResponseObject, error) {
	return nil, fault.New("staff.GetSyncState", fault.Unavailable, "This part is not ready. Try again later.").WithCode("not_ready")
}
