package linkspec

import "time"

// Routes of syncd (peer uid "sync"); sync.md, section 6.
const (
	RouteSyncState     = "/sync/state"     // GET -> SyncState
	RouteSyncChanges   = "/sync/changes"   // GET ?after=N, server-sent events "head" (SyncHead) and "order" (SyncOrder)
	RouteSyncBatch     = "/sync/batch"     // GET ?after=N&records=126&bytes=1048576 -> SyncBatch or 204
	RouteSyncChain     = "/sync/chain"     // GET ?seq=N -> SyncChain
	RouteSyncAcked     = "/sync/acked"     // POST SyncAcked -> 204
	RouteSyncRecords   = "/sync/records"   // GET ?after=KEY&to=SEQ&limit=1000 -> SyncRecords
	RouteSyncApply     = "/sync/apply"     // POST SyncApply -> SyncApplied
	RouteSyncRelist    = "/sync/relist"    // POST SyncRelist -> SyncRelisted
	RouteSyncRecovery  = "/sync/recovery"  // POST SyncRecovery -> SyncState
	RouteSyncPark      = "/sync/park"      // POST SyncPark -> 204
	RouteSyncCollected = "/sync/collected" // POST SyncCollected -> 204
	RouteSyncReport    = "/sync/report"    // POST SyncReport -> 204
	RouteSyncMetrics   = "/sync/metrics"   // PUT Prometheus text
)

// SyncState is where the site stands.
type SyncState struct {
	Site        string `json:"site"`
	Incarnation []byte `json:"incarnation"` // 16 bytes
	Mode        string `json:"mode"`        // normal, recovery
	Epoch       uint64 `json:"epoch"`
	Head        int64  `json:"head"`
	Acked       int64  `json:"acked"`
	Cluster     uint64 `json:"cluster"`
	Generation  string `json:"generation"`
	Revision    int64  `json:"revision"` // of the feed
	RelistR0    int64  `json:"relist_r0,omitempty"`
	RelistAfter string `json:"relist_after,omitempty"`
	SchemaMin   int    `json:"schema_min"`
	SchemaMax   int    `json:"schema_max"`
}

// SyncHead wakes the pusher.
type SyncHead struct {
	Seq      int64 `json:"seq"`
	Rows     int64 `json:"rows"`
	Bytes    int64 `json:"bytes"`
	OldestMS int64 `json:"oldest_ms"`
}

// SyncOrder is what staff ask of syncd: pause, resume, resync, verify.
type SyncOrder struct {
	Order string `json:"order"`
}

// SyncBatch is one push: whole local transactions, superseded versions left out.
type SyncBatch struct {
	From    int64        `json:"from"`
	To      int64        `json:"to"`
	Epoch   uint64       `json:"epoch"`
	Chain   []byte       `json:"chain"` // at To
	Sig     []byte       `json:"sig"`   // of the cursor, Ed25519
	Rows    int          `json:"rows"`
	Records []SyncRecord `json:"records"`
}

// SyncRecord is one sealed value as it stands in etcd.
type SyncRecord struct {
	Key    string `json:"key"` // full etcd key
	Ver    uint64 `json:"ver"`
	Sealed []byte `json:"sealed"` // the envelope, record.Envelope in protobuf
	Mod    int64  `json:"mod,omitempty"`
}

// SyncChain is the chain's hash at a sequence, signed as the cursor of the present epoch and incarnation.
type SyncChain struct {
	Seq   int64  `json:"seq"`
	Chain []byte `json:"chain"`
	Sig   []byte `json:"sig"`
}

// SyncAcked says that the centre holds everything up to Seq.
type SyncAcked struct {
	Epoch      uint64 `json:"epoch"`
	Seq        int64  `json:"seq"`
	Mod        int64  `json:"mod"` // etcd's mod revision of the cursor
	Cluster    uint64 `json:"cluster"`
	Generation string `json:"generation"`
}

// SyncRecords is a page of the site's own records.
type SyncRecords struct {
	Records []SyncRecord `json:"records"`
	Next    string       `json:"next,omitempty"`
}

// SyncApply is one feed batch: applied in one transaction, refused with Conflict when From is not the stored revision.
type SyncApply struct {
	Cluster    uint64       `json:"cluster"`
	Generation string       `json:"generation"`
	From       int64        `json:"from"`
	Revision   int64        `json:"revision"`
	Records    []SyncRecord `json:"records,omitempty"`  // keys below .../rec/
	Commands   []SyncRecord `json:"commands,omitempty"` // keys below .../cmd/
}

// SyncApplied is the outcome of an apply.
type SyncApplied struct {
	Revision int64 `json:"revision"`
	Parked   int   `json:"parked"`
}

// SyncRelist drives a relist: begin, page, finish.
type SyncRelist struct {
	Phase      string       `json:"phase"`
	Cluster    uint64       `json:"cluster"`
	Generation string       `json:"generation"`
	R0         int64        `json:"r0,omitempty"`
	After      string       `json:"after,omitempty"`
	Records    []SyncRecord `json:"records,omitempty"`
	Commands   []SyncRecord `json:"commands,omitempty"`
	Canary     bool         `json:"canary,omitempty"` // finish: _synced was present and named this generation
}

// SyncRelisted answers a relist call.
type SyncRelisted struct {
	Resume string `json:"resume,omitempty"` // key to go on from
}

// SyncRecovery reports why the site must enter RECOVERY, or pages the centre's copy.
type SyncRecovery struct {
	Cause   string       `json:"cause"`
	Fence   []byte       `json:"fence,omitempty"`
	Cursor  []byte       `json:"cursor,omitempty"`
	Records []SyncRecord `json:"records,omitempty"`
	Finish  bool         `json:"finish,omitempty"`
}

// SyncPark reports a record that the centre refuses.
type SyncPark struct {
	Key    string `json:"key"`
	Ver    uint64 `json:"ver"`
	Reason string `json:"reason"`
}

// SyncCollected lists tombstones that the centre has collected.
type SyncCollected struct {
	Keys []string `json:"keys"`
}

// SyncReport is syncd's state in words for the staff screens; at most one a second.
type SyncReport struct {
	State   string    `json:"state"` // wait-link, connecting, handshake, resync, live, paused, recovery, withdrawn, incompatible
	Cause   string    `json:"cause,omitempty"`
	Since   time.Time `json:"since"`
	Rate    float64   `json:"rate"`
	Backlog int64     `json:"backlog"`
}
