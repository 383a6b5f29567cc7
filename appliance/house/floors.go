// Package house owns the rules of the house: which room is on which floor, and who may import whom. Its tests hold the
// whole tree to them.
//
// It must not be imported by anything.
package house

import (
	"fmt"
	"slices"
	"strings"
)

const module = "sallyport/"

// floors is where each room is. A room that is not built yet may stand here already.
var floors = plan()

func plan() map[string]int {
	all := map[string]int{}
	for floor, rooms := range []string{
		"fault ident clock money phone locale linkspec record",
		"store outbox audit vault reel grant linkclient unit logs meter entry",
		"facility policy people access schedule moderation wallet",
		"visits messages photos calls recordings notices",
		"sfu signaling relay recorder facewatch replica central split names",
		"api link",
	} {
		for _, room := range strings.Fields(rooms) {
			all[room] = floor
		}
	}
	return all
}

// neighbours are the imports inside one floor that are allowed.
var neighbours = map[string]string{
	"ident": "fault", "clock": "fault ident", "money": "fault ident", "phone": "fault ident", "locale": "fault ident",
	"linkspec": "fault ident", "record": "fault ident",

	"audit": "store", "outbox": "store vault", "store": "vault", "reel": "vault", "unit": "logs",

	"policy": "facility", "people": "facility policy", "access": "facility people policy", "schedule": "facility policy", "wallet": "people",

	"calls": "visits", "recordings": "calls",

	"signaling": "sfu", "recorder": "sfu", "facewatch": "sfu",
}

// crossings may use these of floor 1 and nothing of floors 2 and 3.
const forCrossings = "linkclient grant vault unit logs meter reel entry"

// owners of libraries that nobody else may touch directly.
var owners = map[string]string{
	"github.com/mattn/go-sqlite3":      "store",
	"database/sql":                     "store",
	"github.com/coreos/go-systemd/":    "unit logs",
	"github.com/nyaruka/phonenumbers":  "phone",
	"github.com/bojanz/currency":       "money",
	"golang.org/x/crypto/argon2":       "vault",
	"github.com/gofiber/fiber/":        "api link",
	"github.com/pion/":                 "sfu signaling relay recorder facewatch",
	"go.etcd.io/":                      "replica central",
	"github.com/pires/go-proxyproto":   "entry",
	"golang.org/x/net/dns/":            "names",
	"github.com/wneessen/go-mail":      "notices",
	"github.com/BurntSushi/toml":       "unit locale policy",
	"go.etcd.io/etcd/server/v3/embed":  "",
	"github.com/getkin/kin-openapi":    "",
	"pgregory.net/rapid":               "",
	"github.com/rogpeppe/go-internal/": "",
}

// roomOf returns the room that a folder belongs to.
func roomOf(folder string) (string, bool) {
	rest, ok := strings.CutPrefix(folder, "appliance/")
	if !ok {
		return "", false
	}
	room, _, _ := strings.Cut(rest, "/")
	return room, room != "house"
}

// refuse says why the package in folder may not import path, "" when it may.
func refuse(folder, path string) string {
	room, inside := roomOf(folder)
	to, own := strings.CutPrefix(path, module)
	switch {
	case !own && inside:
		return refuseLibrary(room, path)
	case !own:
		return ""
	case strings.HasPrefix(to, "appliance/house"):
		return "the house's rules are imported by nobody"
	case strings.HasSuffix(to, "test") && !strings.HasSuffix(folder, "test"):
		return "what tests need is imported by tests only"
	case to == "ui":
		if inside {
			return "the pages are handed to the doors by a daemon"
		}
		return ""
	}
	if inside {
		if strings.HasPrefix(to, "daemons/") {
			return "a room does not know the daemons that wire it"
		}
		target, ok := roomOf(to)
		if !ok {
			return "a room may import rooms only"
		}
		return refuseRoom(folder, to, room, target)
	}
	top, _, _ := strings.Cut(folder, "/")
	target, _, _ := strings.Cut(to, "/")
	switch {
	case top != "daemons":
		// provisioning makes the box ready: it has packages of its own, writes secrets and seals, and asks over the link.
		room, ok := roomOf(to)
		if at, known := floors[room]; ok && known && at <= 1 && room != "store" || target == top {
			return ""
		}
		return top + " sees itself and the two lowest floors, never the database"
	case target == "daemons" && !strings.HasPrefix(to+"/", strings.Join(strings.SplitN(folder, "/", 3)[:2], "/")+"/"):
		return "daemons are separate programs; they speak the link"
	}
	return ""
}

func refuseRoom(folder, to, room, target string) string {
	from, ok := floors[room]
	if !ok {
		return fmt.Sprintf("%s is not on any floor", room)
	}
	at, ok := floors[target]
	switch {
	case !ok:
		return fmt.Sprintf("%s is not on any floor", target)
	case room == "api" && target == "api":
		if folder != to && to != "appliance/api" {
			return "a door does not know the other doors"
		}
		return ""
	case room == target:
		return ""
	case from == 5 && at == 4:
		return "the doors touch neither media nor replication"
	case from == 4 && at < 4 && at > 0:
		if !slices.Contains(strings.Fields(forCrossings), target) {
			return fmt.Sprintf("a crossing sees %s and the foundation only, never %s", forCrossings, target)
		}
		return ""
	case at < from:
		return ""
	case at > from:
		return fmt.Sprintf("imports only go down: %s is on floor %d, %s on floor %d", room, from, target, at)
	case slices.Contains(strings.Fields(neighbours[room]), target):
		return ""
	}
	return fmt.Sprintf("%s and %s are on one floor, and %s may import only: %s", room, target, room, orNothing(neighbours[room]))
}

func orNothing(s string) string {
	if s == "" {
		return "none of its neighbours"
	}
	return s
}

// refuseLibrary keeps each library in the room that owns it.
func refuseLibrary(room, path string) string {
	for lib, rooms := range owners {
		if (path == lib || strings.HasPrefix(path, strings.TrimSuffix(lib, "/")+"/")) && !slices.Contains(strings.Fields(rooms), room) {
			if rooms == "" {
				return lib + " is for tests and the evaluation only"
			}
			return fmt.Sprintf("%s belongs to %s", lib, rooms)
		}
	}
	if room == "fault" && strings.Contains(path, ".") {
		return "fault stands on the standard library alone"
	}
	return ""
}
