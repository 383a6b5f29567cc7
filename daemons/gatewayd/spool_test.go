package main

import (
	"os"
	"path/filepath"
	"testing"

	"sallyport/appliance/clock"
	"sallyport/appliance/ident"
	"sallyport/appliance/linkspec"
)

func TestSpoolForgetsNothingAndInventsNothing(t *testing.T) {
	dir := t.TempDir()
	s, err := openSpool(dir, clock.Real{})
	if err != nil {
		t.Fatal(err)
	}
	call := ident.New[ident.Call]()
	for _, durable := range []bool{true, false, true} {
		if err := s.Fact(linkspec.Event{Kind: linkspec.CallLive, Call: call}, durable); err != nil {
			t.Fatal(err)
		}
	}
	first := s.batch()
	if len(first) != 3 || first[0].Seq != 1 || first[2].Seq != 3 || first[0].ID == first[1].ID {
		t.Fatalf("the batch is %+v", first)
	}
	if err := s.ack(1); err != nil {
		t.Fatal(err)
	}
	s.close()
	if err := s.Fact(linkspec.Event{}, true); err == nil {
		t.Error("a closed spool takes facts")
	}
	// A power cut leaves half a line.
	names, _ := filepath.Glob(filepath.Join(dir, "events-*.jsonl"))
	f, err := os.OpenFile(names[len(names)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"id":"ev_half","se`); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()

	s, err = openSpool(dir, clock.Real{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	again := s.batch()
	if len(again) != 2 || again[0].ID != first[1].ID || again[1].ID != first[2].ID {
		t.Fatalf("after a restart the batch is %+v", again)
	}
	if err := s.Fact(linkspec.Event{Kind: linkspec.CallEnded, Call: call}, true); err != nil {
		t.Fatal(err)
	}
	if b := s.batch(); b[2].Seq != 4 {
		t.Errorf("a number is used again: %d", b[2].Seq)
	}
	if err := s.ack(4); err != nil {
		t.Fatal(err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "events-*.jsonl")); len(names) != 1 {
		t.Errorf("delivered files stay: %v", names)
	}
	if n, _ := s.waiting(); n != 0 {
		t.Errorf("%d facts wait", n)
	}
}

// A fact may fill a file: the spool goes on in another and drops the first once it is delivered.
func TestSpoolRotates(t *testing.T) {
	s, err := openSpool(t.TempDir(), clock.Real{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	big := mustJSON(make([]int, 4000))
	for range 300 {
		if err := s.Fact(linkspec.Event{Kind: linkspec.Quality, Data: big}, false); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.batch()); n != batchLen {
		t.Errorf("a batch of %d", n)
	}
	if err := s.ack(300); err != nil {
		t.Fatal(err)
	}
	if s.bytes != 0 || s.size != 0 {
		t.Errorf("%d bytes remain, %d in the file", s.bytes, s.size)
	}
}
