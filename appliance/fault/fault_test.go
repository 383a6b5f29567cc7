package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"sallyport/appliance/fault"
)

func TestKindOfWrapped(t *testing.T) {
	full := fault.New("schedule.Claim", fault.Full, "This session has no places left.").WithCode("slot.taken")
	for _, tt := range []struct {
		name string
		err  error
		want fault.Kind
		code string
	}{
		{"plain", full, fault.Full, "slot.taken"},
		{"wrapped once", fmt.Errorf("book visit: %w", full), fault.Full, "slot.taken"},
		{"unclassified is internal", errors.New("disk on fire"), fault.Internal, ""},
		{"outermost fault wins", fault.New("visits.Book", fault.Conflict, "x").Because(full), fault.Conflict, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fault.KindOf(tt.err); got != tt.want {
				t.Errorf("KindOf = %v, want %v", got, tt.want)
			}
			if got := fault.CodeOf(tt.err); got != tt.code {
				t.Errorf("CodeOf = %q, want %q", got, tt.code)
			}
		})
	}
}

func TestIsOfNil(t *testing.T) {
	if fault.Is(nil, fault.Internal) {
		t.Error("nil is of kind internal")
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for k := fault.Internal; k <= fault.Unavailable; k++ {
		if seen[k.String()] {
			t.Errorf("kind %d shares the name %q", k, k)
		}
		seen[k.String()] = true
	}
	if got := fault.Kind(200).String(); got != "internal" {
		t.Errorf("unknown kind prints %q", got)
	}
}
