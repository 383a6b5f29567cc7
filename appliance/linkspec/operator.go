package linkspec

// More routes of sallyportctl (an operator's uid).
const (
	RouteBackup    = "/backup"     // POST Backup -> 204
	RouteMediaStop = "/media/stop" // POST MediaStop -> 204
	RouteRoster    = "/roster"     // POST ?full=true&source=seed, CSV -> RosterReport
	RouteBusy      = "/busy"       // GET ?within=30m -> Busy
)

// Backup asks for a copy of the database, sealed to age recipients.
type Backup struct {
	Path       string   `json:"path"` // absolute, on this machine
	Recipients []string `json:"recipients"`
}

// MediaStop stops or lifts media of a scope: all, unit:<id>, device:<id>.
type MediaStop struct {
	Scope  string `json:"scope"`
	Reason string `json:"reason,omitempty"` // a code of rules.md, section 7; not for lift
	Lift   bool   `json:"lift,omitempty"`
}

// RosterReport is the outcome of a roster import.
type RosterReport struct {
	State       string      `json:"state"`            // done, refused
	Reason      string      `json:"reason,omitempty"` // of a refusal
	Rows        int         `json:"rows"`
	New         int         `json:"new"`
	Changed     int         `json:"changed"`
	Same        int         `json:"same"`
	Gone        int         `json:"gone"`
	Quarantined []RosterRow `json:"quarantined,omitempty"`
}

// RosterRow is a line that was not taken.
type RosterRow struct {
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// Busy tells whether a box may start anew now.
type Busy struct {
	Visits int `json:"visits"` // under way, or beginning within the time that was asked for
}
