package seed_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/vault"
	"sallyport/daemons/demo/seed"
)

func TestSeedAndComeBack(t *testing.T) {
	for _, preset := range []string{"county-jail", "prison"} {
		t.Run(preset, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			centre, err := vault.NewParty(make([]byte, 32))
			if err != nil {
				t.Fatal(err)
			}
			o := seed.Options{
				Dir: dir, Booking: filepath.Join(dir, "booking"), Credentials: filepath.Join(dir, "credentials"),
				Preset: preset, Centre: centre.Peer().String(),
			}
			first, err := seed.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if len(first.Visitors) != 5 || len(first.Inmates) != 6 || len(first.Staff) != 5 || len(first.Stations) != 6 || first.Soon == "" {
				t.Errorf("seeded %d visitors, %d inmates, %d staff, %d stations, soon %q", len(first.Visitors), len(first.Inmates), len(first.Staff), len(first.Stations), first.Soon)
			}
			second, err := seed.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(first.Visitors, second.Visitors); diff != "" {
				t.Errorf("a second run has other visitors (-first +second):\n%s", diff)
			}
			if first.Stations[0].Code == second.Stations[0].Code {
				t.Error("a second run shows the old station code")
			}
		})
	}
}
