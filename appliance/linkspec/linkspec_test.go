package linkspec_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"sallyport/appliance/linkspec"
)

// A body whose field has no name of its own on the wire changes when somebody renames it in Go.
func TestEveryFieldIsNamedOnTheWire(t *testing.T) {
	for _, v := range []any{
		linkspec.Keys{},
		linkspec.Spec{},
		linkspec.Command{},
		linkspec.Event{},
		linkspec.Events{},
		linkspec.Ack{},
		linkspec.EndedData{},
		linkspec.PausedData{},
		linkspec.RecordingData{},
		linkspec.Status{},
		linkspec.SyncState{},
		linkspec.SyncBatch{},
		linkspec.SyncApply{},
		linkspec.SyncRelist{},
		linkspec.SyncReport{},
		linkspec.Versions{},
		linkspec.VersionTrial{},
		linkspec.VersionRefused{},
		linkspec.VersionFound{},
		linkspec.VersionWindow{},
		linkspec.VersionWork{},
		linkspec.VersionRequest{},
	} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if name == "" || name != strings.ToLower(name) {
				t.Errorf("%s.%s is %q on the wire", typ.Name(), typ.Field(i).Name, name)
			}
		}
	}
}

func TestCommandRoundTrip(t *testing.T) {
	in := linkspec.Command{Seq: 7, Cmd: linkspec.CmdPause, Call: "c_1", Version: 3, Reason: "conduct"}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out linkspec.Command
	if err := json.Unmarshal(raw, &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Fatalf("%s became %+v, %v", raw, out, err)
	}
	if strings.Contains(string(raw), "spec") {
		t.Errorf("an empty field travels: %s", raw)
	}
}
