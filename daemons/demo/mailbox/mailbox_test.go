package mailbox_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sallyport/daemons/demo/mailbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, m *mailbox.Mailbox) (smtpAddr, web string) {
	t.Helper()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	a, b := listen(), listen()
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, a, b) }()
	t.Cleanup(func() {
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return a.Addr().String(), "http://" + b.Addr().String()
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return string(b)
}

func TestMailIsShownAsItCame(t *testing.T) {
	m := mailbox.New(mailbox.Code{Name: "Mo Clark", Username: "mo", Roles: "moderator", Secret: "JBSWY3DPEHPK3PXP"})
	addr, web := serve(t, m)
	if page := get(t, web+"/"); !strings.Contains(page, "No mails yet") || !strings.Contains(page, "Mo Clark") {
		t.Error("the empty page does not say so")
	}
	_, came := m.Mails()
	body := "From: North <a@north.example>\r\nTo: ann@example.org\r\nSubject: =?utf-8?q?Si=C3=A2n?=\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
		"See http://localhost:8080/activate#abc.\r\n.. <script>alert(1)</script> caf=C3=A9\r\n"
	if err := smtp.SendMail(addr, nil, "a@north.example", []string{"ann@example.org"}, []byte(body)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-came:
	case <-time.After(5 * time.Second):
		t.Fatal("no mail came")
	}
	list, _ := m.Mails()
	if len(list) != 1 || list[0].Subject != "Siân" || !strings.Contains(list[0].Body, "\n.. <script>alert(1)</script> café") {
		t.Fatalf("kept %+v", list)
	}
	page := get(t, web+"/mail/1")
	if !strings.Contains(page, `href="http://localhost:8080/activate#abc"`) {
		t.Error("the link is not one")
	}
	if strings.Contains(page, "<script>") {
		t.Error("a mail's own markup reached the page")
	}
	if !strings.Contains(get(t, web+"/mails.json"), `"subject":"Siân"`) {
		t.Error("the list for tests lacks the mail")
	}
}

func TestHugeMailIsRefused(t *testing.T) {
	m := mailbox.New()
	addr, _ := serve(t, m)
	err := smtp.SendMail(addr, nil, "a@north.example", []string{"ann@example.org"}, []byte(strings.Repeat("x\r\n", 1<<20)))
	if err == nil {
		t.Error("three megabytes were taken")
	}
	if list, _ := m.Mails(); len(list) != 0 {
		t.Errorf("%d mails kept", len(list))
	}
}

func TestPageForbidsScripts(t *testing.T) {
	w := httptest.NewRecorder()
	mailbox.New().Page().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
}
