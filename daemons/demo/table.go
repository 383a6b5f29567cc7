package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sallyport/daemons/demo/seed"
)

// description is what a test reads from the ready file.
type description struct {
	Addresses map[string]string `json:"addresses"`
	State     string            `json:"state"`
	Link      string            `json:"link"`
	Pids      map[string]int64  `json:"pids"` // of the moment; run/<name>.pid of a restarted daemon differs
	People    seed.People       `json:"people"`
}

func (s *stage) addresses() map[string]string {
	at := func(port int) string { return fmt.Sprintf("http://localhost:%d", port) }
	p := s.o.ports
	return map[string]string{
		"visitor": at(p.visitor), "kiosk": at(p.kiosk), "staff": at(p.staff), "setup": at(p.setup), "mailbox": at(p.mailbox),
	}
}

func (s *stage) describe() ([]byte, error) {
	d := description{Addresses: s.addresses(), State: s.o.state, Link: s.link(), Pids: map[string]int64{}, People: s.people}
	for name, c := range s.kids {
		d.Pids[name] = c.pid.Load()
	}
	return json.MarshalIndent(d, "", " ")
}

// print shows the table of addresses, names and PINs.
func (s *stage) print(w io.Writer) {
	at := s.addresses()
	line := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	line("")
	line("Sallyport runs (%s rules). State: %s", s.o.policy, s.o.state)
	line("")
	line("  Visitors       %s", at["visitor"])
	line("  Kiosk          %s", at["kiosk"])
	line("  Staff console  %s", at["staff"])
	line("  Set-up         %s", at["setup"])
	line("  Mailbox        %s    every mail and every six-digit code", at["mailbox"])
	line("")
	line("  %-22s %-16s %s", "VISITOR", "PHONE", "PIN")
	for _, v := range s.people.Visitors {
		line("  %-22s %-16s %-8s %s", v.Name, v.Phone, v.PIN, v.Note)
	}
	line("")
	line("  %-22s %-8s %-12s %-8s %s", "INMATE", "NUMBER", "BORN", "PIN", "STATION")
	for _, i := range s.people.Inmates {
		line("  %-22s %-8s %-12s %-8s %s", i.Name, i.Number, i.Born, i.PIN, i.Station)
	}
	line("")
	line("  %-22s %-14s %-22s %s", "STAFF", "NAME", "PASSWORD", "ROLE")
	for _, p := range s.people.Staff {
		line("  %-22s %-14s %-22s %s", p.Name, p.Username, p.Password, p.Role)
	}
	line("")
	line("  A kiosk asks once which station it is. Codes:")
	var codes []string
	for _, st := range s.people.Stations {
		codes = append(codes, st.Name+" "+st.Code)
	}
	line("  %s", strings.Join(codes, "   "))
	if s.people.Soon != "" {
		line("")
		line("  %s", s.people.Soon)
	}
	line("")
	line("  Ctrl-C stops everything; the next run goes on from here.")
}
