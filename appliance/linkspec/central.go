package linkspec

import (
	"encoding/json"
	"time"
)

// CentralSocket is the file name of centrald's own socket, at the central site.
const CentralSocket = "central.sock"

// Routes of centrald's socket (an operator's uid).
const (
	RouteCentralKeys    = "/central/keys"    // GET -> CentralKeys
	RouteCentralEnrol   = "/central/enrol"   // POST CentralEnrol -> 204
	RouteCentralFence   = "/central/fence"   // POST CentralFence -> 204
	RouteCentralCommand = "/central/command" // POST CentralCommand -> CentralSent
	RouteCentralResult  = "/central/result"  // GET ?site=&command= -> CentralResult, NotFound while there is none
	RouteCentralRecords = "/central/records" // GET ?site= -> CentralRecords
)

// CentralKeys are the centre's public keys, pinned by each site at commissioning.
type CentralKeys struct {
	Keys        string `json:"keys"`
	Fingerprint string `json:"fingerprint"`
}

// CentralEnrol lets a site in: what its screen shows at commissioning.
type CentralEnrol struct {
	Site        string `json:"site"`
	Incarnation []byte `json:"incarnation"`
	Keys        string `json:"keys"`
}

// CentralFence lets another incarnation of a site in. Epoch is the one that the officer saw.
type CentralFence struct {
	Site        string `json:"site"`
	Epoch       uint64 `json:"epoch"`
	Incarnation []byte `json:"incarnation"`
}

// CentralCommand puts a command into a site's mailbox. An ID that was sent before is harmless.
type CentralCommand struct {
	ID      string    `json:"id,omitempty"`
	Site    string    `json:"site"`
	Kind    string    `json:"kind"` // visit.cancel
	Subject string    `json:"subject"`
	Reason  string    `json:"reason,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

// CentralSent names the command.
type CentralSent struct {
	ID string `json:"id"`
}

// CentralResult is a site's answer to a command.
type CentralResult struct {
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// CentralRecords is what the centre holds of a site.
type CentralRecords struct {
	Records []CentralRecord `json:"records"`
}

// CentralRecord is one record: how it stands in etcd, and what it says to whoever has the centre's secret.
type CentralRecord struct {
	Key     string          `json:"key"` // as it stands in etcd
	Ver     uint64          `json:"ver"`
	Deleted bool            `json:"deleted,omitempty"`
	At      time.Time       `json:"at"`
	Body    json.RawMessage `json:"body,omitempty"`
	Trouble string          `json:"trouble,omitempty"`
}
