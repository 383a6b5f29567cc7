package visits

// SetReference says where references for people come from.
func (vs *Visits) SetReference(fresh func() string) { vs.reference = fresh }
