package update

import (
	"time"

	"sallyport/appliance/fault"
	"sallyport/provisioning/bundle"
)

// Judge says whether a version may follow the one that runs. It returns Conflict with the reason in words.
func Judge(next, running bundle.Release, s State) error {
	no := func(code, format string, args ...any) error {
		return fault.Newf("update.Judge", fault.Conflict, format, args...).WithCode(code).
			WithParam("version", next.Version.String()).WithParam("running", running.Version.String()).WithParam("minimum", next.Minimum.String())
	}
	refusal, refused := s.Refusal(next.Version)
	switch {
	case refused:
		return no("update.refused", "Version %v was refused on %s: %s. To try it once more: sallyportctl update clear %v.",
			next.Version, refusal.At.Format(time.DateOnly), refusal.Why, next.Version)
	case next.Version == running.Version:
		return no("update.same", "Version %v runs already.", next.Version)
	case next.Version.Older(running.Version):
		return no("update.older", "Version %v is older than %v, which runs. Only newer versions are installed.", next.Version, running.Version)
	case running.Version.Older(next.Minimum):
		return no("update.minimum", "Version %v needs %v or newer, and %v runs. Install %v first.", next.Version, next.Minimum, running.Version, next.Minimum)
	case next.Floor < running.Floor:
		return no("update.floor", "Version %v has security floor %d; this box is at %d and does not go below it.", next.Version, next.Floor, running.Floor)
	case next.Schema < running.Schema:
		return no("update.schema", "Version %v knows databases up to level %d; this box has level %d.", next.Version, next.Schema, running.Schema)
	case next.Reads[0] > running.Schema:
		return no("update.schema", "There would be no way back from version %v: what it leaves of the database is read from level %d on, and %v has level %d. Install a version between the two first.",
			next.Version, next.Reads[0], running.Version, running.Schema)
	}
	return nil
}
