package setup

import (
	"context"
	"time"

	"sallyport/appliance/api"
	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
	"sallyport/appliance/store"
)

// GetVersions answers how the versions of this box stand and what is being done about them.
func (d *Door) GetVersions(context.Context, GetVersionsRequestObject) (GetVersionsResponseObject, error) {
	out, err := d.versions()
	return GetVersions200JSONResponse{out}, err
}

// LookForVersions has the box look for updates: on a stick, and at the address of its site file.
func (d *Door) LookForVersions(ctx context.Context, _ LookForVersionsRequestObject) (LookForVersionsResponseObject, error) {
	out, err := d.request(ctx, linkspec.VersionRequest{Do: linkspec.DoLook}, "version.look", func(linkspec.Versions) error { return nil })
	return LookForVersions200JSONResponse{out}, err
}

// InstallVersion has exactly this version installed, and started when that cuts no visit off. What is refused, older or not
// there is refused here; the box itself looks at signature and order once more.
func (d *Door) InstallVersion(ctx context.Context, r InstallVersionRequestObject) (InstallVersionResponseObject, error) {
	out, err := d.request(ctx, linkspec.VersionRequest{Do: linkspec.DoInstall, Version: r.Version}, "version.install", func(v linkspec.Versions) error {
		if t := v.Trial; t != nil && t.Version == r.Version && t.Version != v.Running && t.Ready {
			return nil // it is installed, and only waits for its start
		}
		var says error = fault.New("setup.InstallVersion", fault.NotFound, "This version is not there any more.").WithCode("update.gone")
		for _, f := range v.Found {
			switch {
			case f.Version != r.Version:
			case f.Code == "":
				return nil
			default:
				says = refusal(f)
			}
		}
		return says
	})
	return InstallVersion200JSONResponse{out}, err
}

// ClearVersion lets a refused version be tried once more.
func (d *Door) ClearVersion(ctx context.Context, r ClearVersionRequestObject) (ClearVersionResponseObject, error) {
	out, err := d.request(ctx, linkspec.VersionRequest{Do: linkspec.DoClear, Version: r.Version}, "version.clear", func(v linkspec.Versions) error {
		for _, refused := range v.Refused {
			if refused.Version == r.Version {
				return nil
			}
		}
		return fault.New("setup.ClearVersion", fault.NotFound, "This version is not refused.").WithCode("update.notRefused")
	})
	return ClearVersion200JSONResponse{out}, err
}

// request notes who asks for what and leaves it for the unit that has the rights, unless may or work under way forbids it.
func (d *Door) request(ctx context.Context, r linkspec.VersionRequest, verb string, may func(linkspec.Versions) error) (out VersionsJSONResponse, err error) {
	v, err := d.Versions()
	if err != nil {
		return out, err
	}
	switch {
	case v.Running == "":
		return out, fault.New("setup.request", fault.Unavailable, "The appliance does not run in an image here.").WithCode("update.noImage")
	case !v.Work.Over():
		return out, fault.New("setup.request", fault.Conflict, "Something is being done already. Wait until it is done.").WithCode("update.busy")
	}
	if err := may(v); err != nil {
		return out, err
	}
	by := api.From(ctx).Actor()
	subject := r.Version
	if subject == "" {
		subject = v.Running
	}
	if err := d.DB.Update(ctx, func(tx *store.Tx) error { return audit.Record(tx, by, verb, subject) }); err != nil {
		return out, err
	}
	if err := d.Ask(r); err != nil {
		return out, err
	}
	return d.versions()
}

func refusal(f linkspec.VersionFound) error {
	e := fault.New("setup.InstallVersion", fault.Conflict, f.Says).WithCode(f.Code)
	for name, value := range f.Params {
		e = e.WithParam(name, value)
	}
	return e
}

func (d *Door) versions() (out VersionsJSONResponse, err error) {
	v, err := d.Versions()
	if err != nil {
		return out, err
	}
	out = VersionsJSONResponse{Now: d.Clock.Now(), Found: []VersionFound{}, Refused: []VersionRefused{}, Previous: optional(v.Previous)}
	if v.Running == "" {
		return out, nil
	}
	out.Running = &VersionRunning{Version: v.Running, Built: v.Built}
	if t := v.Trial; t != nil {
		out.Trial = &VersionTrial{Version: t.Version, From: t.From, At: t.At, Ready: t.Ready, Failed: optional(t.Failed)}
	}
	for i := range v.Refused { // the newest first
		r := v.Refused[len(v.Refused)-1-i]
		out.Refused = append(out.Refused, VersionRefused{Version: r.Version, At: r.At, Why: r.Why})
	}
	for _, f := range v.Found {
		out.Found = append(out.Found, VersionFound{
			Version: optional(f.Version), Built: optional(f.Built), Notes: optional(f.Notes["en"]), Problem: problem(f.Code, f.Says, f.Params),
		})
	}
	if v.Install != "" {
		out.Rules = &VersionRules{Fetched: v.Source == "https", ByItself: v.Install == "window"}
		if w := v.Window; w != nil {
			out.Rules.Window = &VersionWindow{Day: w.Day, From: w.From, Till: w.Till}
		}
	}
	if w := v.Work; w != nil {
		out.Work = &VersionWork{
			Version: optional(w.Version), Step: VersionWorkStep(w.Step), Percent: w.Percent, At: w.At, Visits: w.Visits, Problem: problem(w.Code, w.Says, w.Params),
		}
		if w.Step == linkspec.WorkWait {
			out.Work.Until = instant(w.Until)
		}
	}
	return out, nil
}

func problem(code, says string, params map[string]any) *VersionProblem {
	if code == "" {
		return nil
	}
	minimum, _ := params["minimum"].(string)
	return &VersionProblem{Code: code, Detail: optional(says), Minimum: optional(minimum)}
}

// optional is a text that may be missing.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func instant(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	return &at
}
