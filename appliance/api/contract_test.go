package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"sallyport/appliance/api"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// The doors read JSON; people write YAML. Nobody may edit one without the other.
func TestContractIsFresh(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(openapi3.NewLoader().Context); err != nil {
		t.Fatal(err)
	}
	want, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("openapi.json is not what openapi.yaml says: run make gen")
	}
}

func TestEveryOperationIsBounded(t *testing.T) {
	c, err := api.Load()
	if err != nil {
		t.Fatal(err)
	}
	doors := map[string]int{}
	for _, o := range c.Operations {
		if o.ID == "" {
			t.Errorf("%s %s has no name", o.Method, o.Path)
		}
		if o.Door == "staff" && o.Stage == "full" && o.Can == "" && o.ID != "streamStaffEvents" {
			t.Errorf("%s is open to every member of staff: name the capability", o.ID)
		}
		doors[o.Door]++
	}
	if len(doors) != 4 {
		t.Errorf("doors %v, want visitor, kiosk, staff, setup", doors)
	}
}
