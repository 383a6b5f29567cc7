package guest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
)

// trunk is a switch of IEEE 802.1Q: one cable to the box carries several networks, each but one with a tag. qemu has none,
// and not every machine that runs tests has a kernel with VLANs.
type trunk struct {
	cable    *net.UnixConn
	networks map[uint16]*net.UnixConn // by VLAN
}

// ethernet is the length of the two addresses that a frame begins with; the tag comes after them.
const ethernet = 12

// sockets are the two ends of one cable to qemu, as unix datagrams: a frame each.
func (b *Box) sockets(name string) (ours, theirs string) {
	return b.file(name + ".switch"), b.file(name + ".qemu")
}

// backend is qemu's end of a cable to a trunk.
func (b *Box) backend(id, name string) []string {
	ours, theirs := b.sockets(name)
	return []string{"-netdev", fmt.Sprintf("dgram,id=%s,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s", id, theirs, ours)}
}

// plug opens one end, once qemu has bound the other.
func (r *Run) plug(ctx context.Context, name string) (*net.UnixConn, error) {
	ours, theirs := r.box.sockets(name)
	if err := r.appears(ctx, theirs); err != nil {
		return nil, err
	}
	if err := os.Remove(ours); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.DialUnix("unixgram", &net.UnixAddr{Name: ours, Net: "unixgram"}, &net.UnixAddr{Name: theirs, Net: "unixgram"})
}

// trunked are the cards that ride on another one's cable.
func (b *Box) trunked(on string) []Card {
	return slices.DeleteFunc(slices.Clone(b.Cards), func(c Card) bool { return c.On != on })
}

// trunks starts a switch for each card that others ride on; they end with the box.
func (r *Run) trunks(ctx context.Context) error {
	for _, c := range r.box.Cards {
		riders := r.box.trunked(c.Name)
		if len(riders) == 0 {
			continue
		}
		cable, err := r.plug(ctx, c.Name)
		if err != nil {
			return err
		}
		t := &trunk{cable: cable, networks: map[uint16]*net.UnixConn{}}
		r.cables = append(r.cables, cable)
		for _, one := range riders {
			network, err := r.plug(ctx, one.Name)
			if err != nil {
				return err
			}
			t.networks[one.VLAN] = network
			r.cables = append(r.cables, network)
		}
		go t.untag()
		for vlan := range t.networks {
			go t.tag(vlan)
		}
	}
	return nil
}

// untag carries what the box sends with a tag into the network of that VLAN. What has none goes its own way.
func (t *trunk) untag() {
	frames(t.cable, func(frame []byte) {
		if len(frame) < ethernet+4 || binary.BigEndian.Uint16(frame[ethernet:]) != 0x8100 {
			return
		}
		if to := t.networks[binary.BigEndian.Uint16(frame[ethernet+2:])&0xfff]; to != nil {
			_, _ = to.Write(slices.Delete(frame, ethernet, ethernet+4)) // a network may lose a frame
		}
	})
}

// tag carries what a network sends to the box.
func (t *trunk) tag(vlan uint16) {
	frames(t.networks[vlan], func(frame []byte) {
		if len(frame) >= ethernet {
			_, _ = t.cable.Write(slices.Insert(frame, ethernet, 0x81, 0x00, byte(vlan>>8), byte(vlan)))
		}
	})
}

// frames calls each for every frame until the cable is pulled.
func frames(from *net.UnixConn, each func([]byte)) {
	for {
		frame := make([]byte, 1<<16)
		n, err := from.Read(frame)
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, io.EOF):
			return
		case err == nil:
			each(frame[:n])
		}
	}
}
