package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/appliance/linkclient"
	"sallyport/appliance/notices"
	"sallyport/appliance/unit"
)

// mailPassword is the credential of the account at the mail relay.
const mailPassword = "mail-password"

// post is the way to the facility's mail relay; nil when there is none, or no password where it wants one, and mails wait:
// visits do not.
func (h *house) post(env *unit.Env) (*notices.Post, error) {
	s := h.cfg.SMTP
	if s.Host == "" {
		env.Log.Warn("there is no mail relay; mails wait", "op", "bookingd")
		return nil, nil
	}
	p := &notices.Post{Host: s.Host, Port: s.Port, TLS: s.TLS, From: s.From, Name: s.Name, Username: s.Login}
	if s.Login != "" {
		raw, err := os.ReadFile(filepath.Join(h.credentials(env), mailPassword))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, unit.BadSetting("smtp.login", "needs the credential %s", mailPassword).Because(err)
		}
		if p.Password = strings.TrimSpace(string(raw)); p.Password == "" {
			env.Log.Error("the mail relay wants a password and there is none; mails wait", "op", "bookingd", "credential", mailPassword)
			return nil, nil
		}
	}
	if s.Egress != "" {
		p.Dial = linkclient.WayOut(linkclient.Dial(s.Egress))
	}
	return p, nil
}
