// Package mailbox owns the mail server of the evaluation: a real SMTP receiver that keeps every mail in memory, and a page
// that shows them as their readers would get them.
//
// It must not know Sallyport: what it shows is what came over SMTP. It is for one machine only; it takes mail from anybody
// and delivers it nowhere.
package mailbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"strings"
	"sync"
	"time"
)

// Limits, so that a mistake fills no memory.
const (
	mailsMax = 500
	mailMax  = 2 << 20
	idle     = time.Minute
	sessions = 32
)

// Mail is one mail as it came.
type Mail struct {
	ID      int       `json:"id"`
	At      time.Time `json:"at"`
	From    string    `json:"from"`
	To      []string  `json:"to"`
	Subject string    `json:"subject"`
	Body    string    `json:"body"`
	Files   []File    `json:"files,omitempty"`
}

// File is something attached to a mail.
type File struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Body []byte `json:"body"`
}

// Code is somebody of the evaluation whose authenticator is shown on the page.
type Code struct {
	Name, Username, Roles string
	Secret                string // base 32
}

// Mailbox is the server. All its methods may be called at once.
type Mailbox struct {
	codes []Code

	mu    sync.Mutex // guards what follows; nothing is called under it
	mails []Mail     // newest last
	last  int
	came  chan struct{} // closed when the next mail comes
}

// New makes a mailbox that shows these people's codes beside the mails.
func New(codes ...Code) *Mailbox { return &Mailbox{codes: codes, came: make(chan struct{})} }

// Serve takes mail on one listener and shows it on the other until ctx ends.
func (m *Mailbox) Serve(ctx context.Context, smtp, web net.Listener) error {
	page := &http.Server{Handler: m.Page(), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 2)
	go func() { done <- m.ServeSMTP(ctx, smtp) }()
	go func() {
		if err := page.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			done <- fmt.Errorf("mailbox page: %w", err)
			return
		}
		done <- nil
	}()
	var first error
	select {
	case <-ctx.Done():
	case first = <-done:
		done <- nil // counted already
	}
	smtp.Close()
	page.Close()
	return errors.Join(first, <-done, <-done)
}

// ServeSMTP takes mail until ctx ends or the listener is closed.
func (m *Mailbox) ServeSMTP(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	free := make(chan struct{}, sessions)
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("mailbox: %w", err)
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			end := context.AfterFunc(ctx, func() { c.Close() })
			defer end()
			defer c.Close()
			m.session(c)
		})
	}
}

// session is one SMTP conversation (RFC 5321), as much of it as a client that sends needs.
func (m *Mailbox) session(c net.Conn) {
	r := bufio.NewReaderSize(c, 4096)
	say := func(s string) { io.WriteString(c, s+"\r\n") }
	var from string
	var to []string
	say("220 mailbox of the evaluation")
	for {
		c.SetDeadline(time.Now().Add(idle))
		line, err := readLine(r)
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mailbox")
			say("250-8BITMIME")
			say("250-SMTPUTF8")
			say(fmt.Sprintf("250 SIZE %d", mailMax))
		case "HELO":
			say("250 mailbox")
		case "MAIL":
			from, to = path(rest), nil
			say("250 go on")
		case "RCPT":
			if len(to) >= 20 {
				say("452 too many")
				continue
			}
			to = append(to, path(rest))
			say("250 go on")
		case "DATA":
			if from == "" || len(to) == 0 {
				say("503 MAIL and RCPT first")
				continue
			}
			say("354 end with a dot")
			raw, err := readData(r)
			if errors.Is(err, errTooBig) {
				say("552 too big")
				return
			}
			if err != nil {
				return
			}
			m.keep(from, to, raw)
			from, to = "", nil
			say("250 kept")
		case "RSET":
			from, to = "", nil
			say("250 forgotten")
		case "NOOP":
			say("250 yes")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 not known")
		}
	}
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

var errTooBig = errors.New("mailbox: the mail is too big")

// readData reads a mail to its single dot and takes the doubled dots back (RFC 5321, 4.5.2).
func readData(r *bufio.Reader) ([]byte, error) {
	var b bytes.Buffer
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		if bytes.Equal(bytes.TrimRight(line, "\r\n"), []byte(".")) {
			return b.Bytes(), nil
		}
		if bytes.HasPrefix(line, []byte("..")) {
			line = line[1:]
		}
		if b.Len()+len(line) > mailMax {
			return nil, errTooBig
		}
		b.Write(line)
	}
}

// path takes the address out of "FROM:<a@b> SIZE=1".
func path(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

// keep reads a mail and puts it with the others.
func (m *Mailbox) keep(from string, to []string, raw []byte) {
	got := Mail{At: time.Now().UTC(), From: from, To: to}
	if msg, err := mail.ReadMessage(bytes.NewReader(raw)); err == nil {
		if s, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err == nil {
			got.Subject = s
		}
		if f := msg.Header.Get("From"); f != "" {
			if s, err := new(mime.WordDecoder).DecodeHeader(f); err == nil {
				got.From = s
			}
		}
		got.part(msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), "", msg.Body)
	} else {
		got.Body = string(raw)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	got.ID = m.last
	if m.mails = append(m.mails, got); len(m.mails) > mailsMax {
		m.mails = m.mails[1:]
	}
	close(m.came)
	m.came = make(chan struct{})
}

// part reads one part of a mail, and the parts in it.
func (got *Mail) part(kind, encoding, disposition string, body io.Reader) {
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		media = "text/plain"
	}
	if strings.HasPrefix(media, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			got.part(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p.Header.Get("Content-Disposition"), p)
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, err := io.ReadAll(io.LimitReader(body, mailMax))
	if err != nil && len(b) == 0 {
		return
	}
	if how, p, err := mime.ParseMediaType(disposition); err == nil && how == "attachment" {
		got.Files = append(got.Files, File{Name: p["filename"], Kind: media, Body: b})
		return
	}
	if media == "text/plain" {
		got.Body += strings.ReplaceAll(string(b), "\r\n", "\n")
	}
}

// Mails returns all mails, newest first, and a channel that is closed when the next one comes.
func (m *Mailbox) Mails() ([]Mail, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Mail, len(m.mails))
	for i, one := range m.mails {
		list[len(list)-1-i] = one
	}
	return list, m.came
}
