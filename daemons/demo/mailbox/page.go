package mailbox

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
)

//go:embed page.html
var pageText string

type shown struct {
	Mails []Mail
	Open  *Mail
	Codes []shownCode
	Left  int // seconds for which the codes are good
	Wait  bool
}

type shownCode struct{ Name, Username, Roles, Code string }

// Page is the mailbox as web pages: "/" the list, "/mail/{id}" one mail, "/mail/{id}/files/{n}" an attachment, and
// "/mails.json" all of it for tests.
func (m *Mailbox) Page() http.Handler {
	page := template.Must(template.New("page").Funcs(template.FuncMap{"links": links, "ago": ago}).Parse(pageText))
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, s shown) {
		s.Left = 30 - int(time.Now().Unix()%30)
		for _, c := range m.codes {
			code, err := totp.GenerateCode(c.Secret, time.Now())
			if err != nil {
				code = "no code"
			}
			s.Codes = append(s.Codes, shownCode{c.Name, c.Username, c.Roles, code})
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-store")
		if err := page.Execute(w, s); err != nil {
			return // the reader has gone
		}
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		mails, _ := m.Mails()
		show(w, shown{Mails: mails, Wait: true})
	})
	mux.HandleFunc("GET /mail/{id}", func(w http.ResponseWriter, r *http.Request) {
		mails, _ := m.Mails()
		one := find(mails, r.PathValue("id"))
		if one == nil {
			http.NotFound(w, r)
			return
		}
		show(w, shown{Mails: mails, Open: one})
	})
	mux.HandleFunc("GET /mail/{id}/files/{n}", func(w http.ResponseWriter, r *http.Request) {
		mails, _ := m.Mails()
		one := find(mails, r.PathValue("id"))
		n, err := strconv.Atoi(r.PathValue("n"))
		if one == nil || err != nil || n < 0 || n >= len(one.Files) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", one.Files[n].Kind)
		w.Header().Set("Content-Disposition", "attachment; filename="+strconv.Quote(one.Files[n].Name))
		w.Write(one.Files[n].Body)
	})
	mux.HandleFunc("GET /mails.json", func(w http.ResponseWriter, _ *http.Request) {
		mails, _ := m.Mails()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		json.NewEncoder(w).Encode(mails)
	})
	return mux
}

func find(mails []Mail, id string) *Mail {
	for i := range mails {
		if strconv.Itoa(mails[i].ID) == id {
			return &mails[i]
		}
	}
	return nil
}

var address = regexp.MustCompile(`https?://[^\s<>"]+`)

// links turns the addresses in a text into links and everything else into plain characters.
func links(text string) template.HTML {
	var b strings.Builder
	at := 0
	for _, span := range address.FindAllStringIndex(text, -1) {
		b.WriteString(template.HTMLEscapeString(text[at:span[0]]))
		url := strings.TrimRight(text[span[0]:span[1]], ".,;:!?)")
		b.WriteString(`<a href="` + template.HTMLEscapeString(url) + `" target="_blank" rel="noopener noreferrer">` + template.HTMLEscapeString(url) + `</a>`)
		at = span[0] + len(url)
	}
	b.WriteString(template.HTMLEscapeString(text[at:]))
	return template.HTML(b.String()) // every part went through the escaper above
}

func ago(at time.Time) string {
	switch d := time.Since(at); {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min ago"
	}
	return at.Local().Format("2 Jan, 15:04")
}
