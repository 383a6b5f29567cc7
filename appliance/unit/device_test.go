package unit_test

import (
	"net/netip"
	"testing"

	"sallyport/appliance/unit"
)

func TestAddressOf(t *testing.T) {
	for _, tt := range []struct {
		device string
		want   netip.Addr
	}{
		{"lo", netip.MustParseAddr("127.0.0.1")},
		{"none0", netip.Addr{}},
		{"a name that no interface can have", netip.Addr{}},
	} {
		if got := unit.AddressOf(tt.device); got != tt.want {
			t.Errorf("AddressOf(%s) = %v, want %v", tt.device, got, tt.want)
		}
	}
}
