package record

import "strings"

// The prefixes of the central etcd. Each ends with its slash, so that a closed range cannot take in a neighbour.
const (
	PrefixSites   = "/v1/site/"
	PrefixFeeds   = "/v1/feed/"
	PrefixCentral = "/v1/central/"
	PrefixMeta    = "/v1/meta/"

	PathGeneration = PrefixMeta + "generation"
	PathSchema     = PrefixMeta + "schema"
)

// SitePrefix is where a site writes: its records, results and markers.
func SitePrefix(site string) string { return PrefixSites + site + "/" }

// FeedPrefix is where the centre writes for a site: copies and the mailbox.
func FeedPrefix(site string) string { return PrefixFeeds + site + "/" }

// FencePath is the key that lets a site write.
func FencePath(site string) string { return PrefixCentral + "fence/" + site }

// CursorPath says how far a site's history stands at the centre.
func CursorPath(site string) string { return SitePrefix(site) + "_cursor" }

// PresencePath is leased: it vanishes when syncd does.
func PresencePath(site string) string { return SitePrefix(site) + "_presence" }

// AckPath is how far a site has applied its feed.
func AckPath(site string) string { return SitePrefix(site) + "_ack" }

// SyncedPath is the canary below a site's or a feed's prefix.
func SyncedPath(prefix string) string { return prefix + "_synced" }

// RatePath holds a site's rate.
func RatePath(site string) string { return FeedPrefix(site) + "_rate" }

// MailPath is a command's place in a site's mailbox.
func MailPath(site, cmd string) string { return FeedPrefix(site) + "cmd/" + cmd }

// Path is the record's place below a prefix: rec/<type>/<id>, or the place of its message or marker.
func (k Key) Path(prefix string) string {
	switch k.Type {
	case TypeCommand, TypeResult, TypeKey:
		return prefix + string(k.Type) + "/" + k.ID
	}
	return prefix + "rec/" + string(k.Type) + "/" + k.ID
}

// ParsePath reads a key below a site's or a feed's prefix. It returns Invalid for every other shape, so that nothing
// unexpected reaches SQL, a log or a path of the file system.
func ParsePath(path string) (prefix string, site string, k Key, err error) {
	bad := func() (string, string, Key, error) {
		return "", "", Key{}, invalid("record.ParsePath", "This is not the key of a record.")
	}
	if len(path) > MaxKey {
		return bad()
	}
	rest, isSite := strings.CutPrefix(path, PrefixSites)
	if !isSite {
		var isFeed bool
		if rest, isFeed = strings.CutPrefix(path, PrefixFeeds); !isFeed {
			return bad()
		}
	}
	parts := strings.Split(rest, "/")
	for i, p := range parts {
		if !plainID(p) && !(i == 1 && p == string(TypeKey)) {
			return bad()
		}
	}
	switch {
	case len(parts) == 3 && (parts[1] == string(TypeKey) || isSite && parts[1] == string(TypeResult) || !isSite && parts[1] == string(TypeCommand)):
		k = Key{Type: Type(parts[1]), ID: parts[2]}
	case len(parts) == 4 && parts[1] == "rec":
		k = Key{Type: Type(parts[2]), ID: parts[3]}
		if !k.Type.Known() || k.Type == TypeCommand || k.Type == TypeResult {
			return bad()
		}
	default:
		return bad()
	}
	if isSite {
		return SitePrefix(parts[0]), parts[0], k, nil
	}
	return FeedPrefix(parts[0]), parts[0], k, nil
}

// plainID tells whether s can be one part of a key: lower-case letters, digits and, not first, an underscore.
func plainID(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '_' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// Fence is the value that lets exactly one incarnation of a site write. It is compared inside every push.
type Fence struct {
	Epoch       uint64
	Incarnation [16]byte
}
