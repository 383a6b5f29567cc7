package setup

import (
	"context"

	"sallyport/appliance/store"
)

// GetHealth answers the state of every part in words.
func (d *Door) GetHealth(ctx context.Context, _ GetHealthRequestObject) (GetHealthResponseObject, error) {
	s, err := d.Health(ctx)
	if err != nil {
		return nil, err
	}
	out := GetHealth200JSONResponse{Version: s.Version, Parts: []HealthPart{}}
	if err := d.DB.View(ctx, func(tx *store.Tx) error { out.Now = tx.Now(); return nil }); err != nil {
		return nil, err
	}
	for _, p := range s.Parts {
		part := HealthPart{Name: p.Name, State: HealthPartState(p.State), Code: p.Code, Detail: p.Detail, At: p.At}
		if len(p.Params) > 0 {
			part.Params = &p.Params
		}
		out.Parts = append(out.Parts, part)
	}
	return out, nil
}
