package main

import (
	"errors"
	"net"
	"path/filepath"

	"sallyport/appliance/entry"
	"sallyport/appliance/unit"
)

// sockets takes the link's socket and those of the doors, by name, each as its server may see it. A door that nobody
// opened is missing: the others serve, and health says which.
func (h *house) sockets(env *unit.Env, doors []string) (all map[string]net.Listener, err error) {
	all = map[string]net.Listener{}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(all))
		}
	}()
	if all["link"], err = env.Listener("link", h.cfg.Link.Listen); err != nil {
		return all, err
	}
	for _, name := range doors {
		ln, err := h.doorSocket(env, name, h.doorways()[name].cfg)
		if err != nil {
			return all, err
		}
		if ln == nil {
			env.Log.Warn("nobody opened this door", "op", "bookingd.sockets", "door", name)
			continue
		}
		all[name] = ln
	}
	return all, nil
}

// doorSocket is a door's socket, nil when there is none.
func (h *house) doorSocket(env *unit.Env, name string, d doorConfig) (net.Listener, error) {
	ln, err := env.Given(name)
	if ln == nil && err == nil && d.Listen != "" {
		ln, err = env.Listener(name, d.Listen)
	}
	if ln == nil || err != nil || !d.Proxy && !d.TLS {
		return ln, err
	}
	o := entry.Options{Proxied: d.Proxy}
	if d.TLS {
		o.Certificate, err = entry.OpenCertificate(filepath.Join(h.credentials(env), "tls-"+name), h.clock, env.Log)
	}
	ready := ln
	if err == nil {
		ready, err = entry.Listen(ln, o)
	}
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ready, nil
}

func closeAll(sockets map[string]net.Listener) error {
	var errs []error
	for _, ln := range sockets {
		if ln != nil {
			errs = append(errs, ln.Close())
		}
	}
	return errors.Join(errs...)
}
