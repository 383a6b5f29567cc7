package sfu

import (
	"context"
	"sync"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

// Privileged is a call between an inmate and counsel, a court or an ombudsman. It has seats and a fixed end and nothing
// else: no field could hold a recorder, a tap or a monitor, and a test keeps it so.
type Privileged struct {
	*core
}

// OpenPrivileged opens a privileged call. It returns Invalid for a spec that asks for a recorder or a monitor: bookingd
// would not mean what it says.
func OpenPrivileged(d Outside, spec linkspec.Spec, wg *sync.WaitGroup) (*Privileged, error) {
	if spec.Record || spec.MonitorRequired || spec.MonitorVisible {
		return nil, fault.New("sfu.OpenPrivileged", fault.Invalid, "A privileged call is neither recorded nor watched.").WithCode("class_fixed")
	}
	return &Privileged{core: newCore(d, spec, wg)}, nil
}

func (p *Privileged) base() *core { return p.core }

func (p *Privileged) serve(context.Context) {}

func (p *Privileged) change(f func(*machine, time.Duration) ([]effect, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	es, err := f(p.machine, p.deps.Clock.Boot())
	if err != nil {
		return err
	}
	p.run(p.table(), es, listeners{})
	return nil
}
