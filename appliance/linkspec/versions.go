package linkspec

import "time"

// The files by which sallyportctl and the setup door speak about versions: the door has no rights, and what has them takes
// no word from the network but one of these.
const (
	VersionsFile = "versions.json" // Versions, left by sallyportctl for everybody on the box
	WorkFile     = "update.json"   // VersionWork, as long as there is something to tell
	RequestFile  = "request.json"  // VersionRequest, left by bookingd and taken by the unit that waits for it
)

// Versions is what there is to choose from. Nothing in it is secret.
type Versions struct {
	At       time.Time        `json:"at"`
	Running  string           `json:"running"` // 1.4.0
	Built    string           `json:"built"`   // its date
	Previous string           `json:"previous,omitempty"`
	Trial    *VersionTrial    `json:"trial,omitempty"`
	Refused  []VersionRefused `json:"refused,omitempty"` // the newest last
	Found    []VersionFound   `json:"found,omitempty"`   // the newest first
	Source   string           `json:"source,omitempty"`  // manual, https; "" before there is a site file
	Install  string           `json:"install,omitempty"` // ask, window
	Window   *VersionWindow   `json:"window,omitempty"`
	Work     *VersionWork     `json:"work,omitempty"` // added by who reads both files
}

// VersionTrial is a version that was installed and has no verdict yet.
type VersionTrial struct {
	Version string    `json:"version"`
	From    string    `json:"from"`
	At      time.Time `json:"at"`
	Ready   bool      `json:"ready"`            // written whole: it starts with the next start of the box
	Failed  string    `json:"failed,omitempty"` // the health check that failed last
}

// VersionRefused is a version that is not tried again.
type VersionRefused struct {
	Version string    `json:"version"`
	At      time.Time `json:"at"`
	Why     string    `json:"why"`
}

// VersionFound is an update that lies on the box; with a code it is not for this box.
type VersionFound struct {
	Version string            `json:"version,omitempty"` // "" where nothing in the file can be believed
	Built   string            `json:"built,omitempty"`
	Notes   map[string]string `json:"notes,omitempty"` // by language
	Code    string            `json:"code,omitempty"`
	Says    string            `json:"says,omitempty"`
	Params  map[string]any    `json:"params,omitempty"`
}

// VersionWindow is when the box installs by itself: a stretch of each week, by the facility's clock.
type VersionWindow struct {
	Day  int    `json:"day"`  // 0 is Sunday
	From string `json:"from"` // 02:00
	Till string `json:"till"` // 04:00; not after From means on the next day
}

// The steps of work on versions, in order; the last two are its ends.
const (
	WorkAsked    = "asked"
	WorkLook     = "look"
	WorkUnpack   = "unpack"
	WorkSnapshot = "snapshot"
	WorkInstall  = "install"
	WorkWait     = "wait"
	WorkRestart  = "restart"
	WorkStopped  = "stopped" // the version is installed, and nobody waits any more for a moment to start it
	WorkFailed   = "failed"
)

// VersionWork is what is being done about a version, or how that ended.
type VersionWork struct {
	Version string         `json:"version,omitempty"` // "" while somebody looks what there is
	Step    string         `json:"step"`
	Percent int            `json:"percent"`
	At      time.Time      `json:"at"`             // when this step began
	Visits  int            `json:"visits"`         // that a restart waits for
	Until   time.Time      `json:"until,omitzero"` // how long it waits
	Code    string         `json:"code,omitempty"` // of a failure
	Says    string         `json:"says,omitempty"` // the same in words
	Params  map[string]any `json:"params,omitempty"`
	By      string         `json:"by,omitempty"` // systemd's id of the run of the unit that does it
}

// Over tells whether nothing is being done any more.
func (w *VersionWork) Over() bool {
	return w == nil || w.Step == WorkFailed || w.Step == WorkStopped
}

// VersionRequest is what an administrator asks for.
type VersionRequest struct {
	Do      string `json:"do"`                // look, install, clear
	Version string `json:"version,omitempty"` // exactly this one
}

// What a VersionRequest may ask for.
const (
	DoLook    = "look"
	DoInstall = "install"
	DoClear   = "clear" // let a refused version be tried once more
)
