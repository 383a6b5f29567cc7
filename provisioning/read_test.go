package provisioning_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"sallyport/appliance/fault"
	"sallyport/provisioning"
)

// keysOfSchema are all keys that the types have, those of a port and a lease once.
func keysOfSchema(t reflect.Type, path string) (keys []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map:
		return keysOfSchema(t.Elem(), path)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return keysOfSchema(t.Elem(), path)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			at := strings.TrimPrefix(path+"."+f.Tag.Get("toml"), ".")
			if f.Anonymous {
				at = path
			}
			keys = append(keys, keysOfSchema(f.Type, at)...)
		}
		return keys
	}
	return []string{path}
}

func TestSampleIsTheSchema(t *testing.T) {
	var tree map[string]any
	meta, err := toml.Decode(string(provisioning.Sample), &tree)
	if err != nil {
		t.Fatal(err)
	}
	var sample []string
	for _, k := range meta.Keys() {
		typ := meta.Type(k...)
		key := regexp.MustCompile(`\.lan\d\b`).ReplaceAllString(k.String(), "")
		if typ != "Hash" && typ != "ArrayHash" && !slices.Contains(sample, key) {
			sample = append(sample, key)
		}
	}
	schema := keysOfSchema(reflect.TypeFor[provisioning.Site](), "")
	slices.Sort(sample)
	slices.Sort(schema)
	if diff := cmp.Diff(schema, sample); diff != "" {
		t.Errorf("the sample differs from the schema (-schema +sample):\n%s", diff)
	}
	if _, problems := provisioning.Read(provisioning.Sample); len(problems) > 0 {
		t.Errorf("the sample is refused: %v", problems)
	}
}

// change returns the sample with one line replaced, and the number of that line.
func change(t *testing.T, old, new string) (text string, line int) {
	t.Helper()
	sample := string(provisioning.Sample)
	if strings.Count(sample, old) < 1 {
		t.Fatalf("the sample has no %q", old)
	}
	before, _, _ := strings.Cut(sample, old)
	return strings.Replace(sample, old, new, 1), strings.Count(before, "\n") + 1
}

func TestProblemsNameLineKeyAndWhatToWrite(t *testing.T) {
	for _, tt := range []struct {
		name, old, new, key, say string
		more                     int // lines that the problem is further down
	}{
		{"unknown key", `mtu = 1500`, `mtuu = 1500`, "zone.internet.mtuu", "there is no such key; write mtu", 0},
		{"unknown key without a neighbour", `schema = 1`, "schema = 1\nwlan = 2", "wlan", "there is no such key; take it out, or write one of", 1},
		{"unknown table", `[logs]`, "[logs.fast]\na = 1\n[logs]", "logs.fast", "there is no such key", 0},
		{"number in quotes", `vlan = 21`, `vlan = "21"`, "zone.tablet.vlan", `write a whole number without quotes instead of "21"`, 0},
		{"text without quotes", `serve = true `, `serve = "yes" `, "time.serve", "write true or false", 0},
		{"one for a list", `servers = ["10.1.0.53"]`, `servers = "10.1.0.53"`, "dns.servers", `write a list such as ["a", "b"]`, 0},
		{"number in a list", `languages = ["en", "es"]`, `languages = ["en", 5]`, "facility.languages[2]", "write a text in double quotes", 0},
		{"dotted key", "schema = 1", "schema = 1\nlogs.forward = 1\n[x]", "logs.forward", "", 1},
		{"bad address", `address = "10.20.0.1/24"`, `address = "10.20.0.1/33"`, "zone.kiosk.address", "write an address with its prefix", 0},
		{"address without prefix", `address = "10.20.0.1/24"`, `address = "10.20.0.1"`, "zone.kiosk.address", "such as 10.20.0.1/24", 0},
		{"address of the network", `address = "10.20.0.1/24"`, `address = "10.20.0.0/24"`, "zone.kiosk.address", "such as 10.20.0.1/24", 0},
		{"public inmates", `address = "10.20.0.1/24"`, `address = "203.0.113.1/24"`, "zone.kiosk.address", "private IPv4", 0},
		{"overlapping networks", `address = ["10.1.30.5/24"]`, `address = ["10.20.0.5/16"]`, "zone.staff.address[1]", "overlaps with 10.20.0.0/24 of zone.kiosk.address", 0},
		{"pool outside", `pool = "10.20.0.50-10.20.0.199"`, `pool = "10.20.1.50-10.20.1.99"`, "zone.kiosk.pool", "outside of the network 10.20.0.0/24", 0},
		{"pool upside down", `pool = "10.20.0.50-10.20.0.199"`, `pool = "10.20.0.199-10.20.0.50"`, "zone.kiosk.pool", `"10.20.0.50-10.20.0.199"`, 0},
		{"pool with the box", `pool = "10.20.0.50-10.20.0.199"`, `pool = "10.20.0.1-10.20.0.19"`, "zone.kiosk.pool", "own address", 0},
		{"pool with broadcast", `pool = "10.20.0.50-10.20.0.199"`, `pool = "10.20.0.50-10.20.0.255"`, "zone.kiosk.pool", "broadcast", 0},
		{"lease in the pool", `address = "10.20.0.20"`, `address = "10.20.0.60"`, "lease[1].address", "in the pool", 0},
		{"lease elsewhere", `address = "10.20.0.20"`, `address = "10.21.0.20"`, "lease[1].address", "not free for a station in 10.20.0.0/24", 0},
		{"lease of a zone that is not", `zone = "kiosk"`, `zone = "yard"`, "lease[1].zone", `"kiosk" or "tablet"`, 0},
		{"port missing", `port = "lan2"`, `port = "lan3"`, "zone.kiosk.port", "write one of lan1, lan2", 0},
		{"same place on the wire", `vlan = 21`, `vlan = 0`, "zone.tablet.vlan", "zone.kiosk is on the same port with the same vlan", 0},
		{"one card twice", "mac = \"\"\npath = \"pci-0000:18:00.1\"", `mac = "3c:ec:ef:00:00:01"`, "port.lan2", "same port as [port.lan1]", -1},
		{"two answers for one port", "path = \"\"", "path = \"pci-1\"", "port.lan1", "write either mac or path", -2},
		{"no answer for a port", `mac = "3c:ec:ef:00:00:01"`, `mac = ""`, "port.lan1", "write either mac or path", -1},
		{"port called like a zone", "[port.lan1]", "[port.wan0]", "port.wan0", "write another name", 0},
		{"mac in capitals", `mac = "3c:ec:ef:00:00:01"`, `mac = "3C:EC:EF:00:00:01"`, "port.lan1.mac", "small letters", 0},
		{"vlan too high", `vlan = 21`, `vlan = 4095`, "zone.tablet.vlan", "from 1 to 4094", 0},
		{"mtu over its port's", "vlan = 21\nmtu = 1500", "vlan = 21\nmtu = 9000", "zone.tablet.mtu", "at most 1500", 1},
		{"no host name", `name = "kiosk.harbour.internal"`, `name = "kiosk_1"`, "zone.kiosk.name", "whole host name", 0},
		{"name of another door", `name = "kiosk.harbour.internal"`, `name = "visit.harbour.example"`, "zone.kiosk.name", "name of zone.internet.site_name", 0},
		{"name of other calls", `name = "tablet.harbour.internal"`, `name = "media.kiosk.harbour.internal"`, "zone.tablet.name", "the calls of zone.kiosk.name", 0},
		{"gateway elsewhere", `gateway = ["10.1.30.1"]`, `gateway = ["10.1.31.1"]`, "zone.staff.gateway[1]", "not a neighbour", 0},
		{"gateway that is the box", `gateway = ["10.1.30.1"]`, `gateway = ["10.1.30.5"]`, "zone.staff.gateway[1]", "not a neighbour", 0},
		{"gateway beside dhcp", "address = [\"dhcp\"]                 # or addresses such as \"203.0.113.10/28\"\ngateway = []", "address = [\"dhcp\"]\ngateway = [\"10.0.0.1\"]", "zone.internet.gateway", "the gateway comes from there", 1},
		{"staff by dhcp", `address = ["10.1.30.5/24"]`, `address = ["dhcp"]`, "zone.staff.address[1]", "write an address with its prefix", 0},
		{"staff from an address", `from = ["10.1.0.0/16"]`, `from = ["10.1.0.5/16"]`, "zone.staff.from[1]", "write the network itself, 10.1.0.0/16", 0},
		{"setup from everywhere", `from = ["10.1.99.0/24"]`, `from = ["0.0.0.0/0"]`, "zone.management.from[1]", "not for the internet", 0},
		{"staff from everywhere", `from = ["10.1.0.0/16"]`, `from = ["0.0.0.0/0"]`, "zone.staff.from[1]", "half the world", 0},
		{"nobody may come", `from = ["10.1.0.0/16"]`, `from = []`, "zone.staff.from", "at least one network", 0},
		{"time server by name", `servers = ["10.1.0.123"]`, `servers = ["ntp.example.org"]`, "time.servers[1]", "address by number", 0},
		{"name server among kiosks", `servers = ["10.1.0.53"]`, `servers = ["10.1.0.53", "10.20.0.60"]`, "dns.servers[2]", "where inmates' devices are", 0},
		{"mail relay among tablets", `host = "mail.harbour.example"`, `host = "10.21.0.60"`, "mail.host", "where inmates' devices are", 0},
		{"secret half of a key", `recipient = "" `, `recipient = "AGE-SECRET-KEY-1" `, "recovery.recipient", "begins with \"age1\"", 0},
		{"roster by itself", `mode = "none"`, `mode = "pull"`, "roster.mode", `write "none"`, 0},
		{"zone of time", `time_zone = "America/Chicago"`, `time_zone = "Central"`, "facility.time_zone", "America/Chicago", 0},
		{"currency", `currency = "USD"`, `currency = "DOLLAR"`, "facility.currency", `"USD"`, 0},
		{"language", `languages = ["en", "es"]`, `languages = ["en", "de"]`, "facility.languages[2]", `"en", "es" or "cy"`, 0},
		{"kind", `kind = "jail"`, `kind = "camp"`, "facility.kind", `"jail" or "prison"`, 0},
		{"preset", `preset = "county-jail"`, `preset = "strict"`, "policy.preset", `"county-jail" or "prison"`, 0},
		{"id", `id = "harbour"`, `id = "Harbour Jail"`, "facility.id", "a short word", 0},
		{"required key", "kind = \"jail\"", "# kind", "facility.kind", "is missing; write a line kind = ...", -3},
		{"acme", `certificate = "local"`, `certificate = "acme"`, "zone.internet.certificate", `not available yet: write "file" or "local"`, 0},
		{"claim code itself", "[claim]\nsha256 = \"\"", "[claim]\nsha256 = \"7K2M-Q4XV-5TCB-R6NE\"", "claim.sha256", "as 64 hex digits", 1},
		{"no recipient", "[recovery]\nrecipient = \"\"", "[recovery]\nrecipient = \"jo@harbour.example\"", "recovery.recipient", "begins with \"age1\"", 1},
		{"later", `enabled = false`, `enabled = true`, "central.enabled", "is not available yet; write false", 0},
		{"mail in the clear", `tls = "starttls"`, `tls = "none"`, "mail.tls", `write "starttls"`, 0},
		{"mail without a sender", `from = "visits@harbour.example"`, `from = "visits"`, "mail.from", "write the address that mails come from", 0},
		{"schema of tomorrow", `schema = 1`, `schema = 2`, "schema", "write 1", 0},
		{"window", `window = "Sun 02:00-04:00"`, `window = "at night"`, "updates.window", "Sun 02:00-04:00", 0},
		{"no TOML", `vlan = 21`, `vlan = `, "zone.tablet.vlan", "this is not TOML", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, line := change(t, tt.old, tt.new)
			site, problems := provisioning.Read([]byte(text))
			if site != nil || len(problems) == 0 {
				t.Fatal("the file is taken")
			}
			if tt.key == "" {
				return
			}
			for _, p := range problems {
				if p.Key == tt.key && strings.Contains(p.Say, tt.say) {
					if tt.say != "" && p.Line != line+tt.more {
						t.Errorf("line %d, want %d: %s", p.Line, line+tt.more, p)
					}
					return
				}
			}
			t.Errorf("no problem of %s with %q among:\n%v", tt.key, tt.say, problems)
		})
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	text := strings.NewReplacer(
		`kind = "jail"`, `kind = "camp"`, `vlan = 21`, `vlan = "x"`, `name = "kiosk.harbour.internal"`, `name = "k"`, `keep = 14`, `keeep = 14`,
	).Replace(string(provisioning.Sample))
	_, problems := provisioning.Read([]byte(text))
	var keys []string
	last := 0
	for _, p := range problems {
		if p.Line < last {
			t.Errorf("%s comes after line %d", p, last)
		}
		last = p.Line
		keys = append(keys, p.Key)
	}
	if diff := cmp.Diff([]string{"facility.kind", "backup.keeep", "zone.kiosk.name", "zone.tablet.vlan"}, keys); diff != "" {
		t.Errorf("keys mismatch (-want +got):\n%s", diff)
	}
	if err := problems.Fault(); fault.KindOf(err) != fault.Invalid || fault.CodeOf(err) != "site.file" {
		t.Errorf("the fault is %v", err)
	}
	if provisioning.Problems(nil).Fault() != nil {
		t.Error("no problems are a fault")
	}
}

func TestEmptyFileIsToldWhatIsMissing(t *testing.T) {
	_, problems := provisioning.Read(nil)
	var keys []string
	for _, p := range problems {
		keys = append(keys, p.Key)
	}
	want := []string{"schema", "facility", "policy", "port", "zone.internet", "zone.kiosk", "zone.staff", "zone.management"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys mismatch (-want +got):\n%s", diff)
	}
}

func TestTablesAreTables(t *testing.T) {
	_, problems := provisioning.Read([]byte("schema = 1\nport = 7\nlease = 5\nmail = \"a\"\n[port.x]\n")) // the last line makes it no TOML
	if len(problems) != 1 || problems[0].Line != 5 {
		t.Errorf("problems: %v", problems)
	}
	_, problems = provisioning.Read([]byte("schema = 1\nport = 7\nlease = 5\nmail = \"a\"\n"))
	want := map[string]string{"port": "write a table for each, [port.NAME]", "lease": "write a table [[lease]] for each", "mail": "write a table, [mail]"}
	for _, p := range problems {
		if say, ok := want[p.Key]; ok && strings.HasPrefix(p.Say, say) {
			delete(want, p.Key)
		}
	}
	if len(want) > 0 {
		t.Errorf("nothing said about %v among:\n%v", want, problems)
	}
}

// The three facilities of the golden files are taken as they are.
func TestSitesAreTaken(t *testing.T) {
	for _, name := range siteNames {
		site, problems := provisioning.Read(readFile(t, filepath.Join("testdata", name+".toml")))
		if len(problems) > 0 || site == nil {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever the text is: no panic, and what is taken renders.
func FuzzRead(f *testing.F) {
	f.Add(string(provisioning.Sample))
	f.Add("a = [1, {b = \"]\"}]\n[[lease]]\n[lease.x]\n'y.z' = '''\n[no]'''\n")
	f.Fuzz(func(t *testing.T, text string) {
		site, problems := provisioning.Read([]byte(text))
		if (site == nil) == (len(problems) == 0) {
			t.Fatalf("site %v, problems %v", site, problems)
		}
		for _, p := range problems {
			if p.Line < 0 || p.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("line %d of %q", p.Line, text)
			}
		}
		if site != nil {
			provisioning.Render(site, provisioning.Facts{Host: "sallyport-test"})
		}
	})
}
