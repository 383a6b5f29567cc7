package reel

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// VerifyKeys is what a verifier may know. Without Signer the manifest's signature is not checked, without Data the
// chunks' tags are not: links, completeness and final flag always are.
type VerifyKeys struct {
	Signer ed25519.PublicKey
	Data   Keys
}

// Place is where a recording does not fit: chunk 0 is a segment's header, segment 0 the manifest.
type Place struct {
	Segment uint32 `json:"segment"`
	Chunk   uint32 `json:"chunk"`
	Why     string `json:"why"`
}

// String names the place for people.
func (p Place) String() string {
	switch {
	case p.Segment == 0:
		return "manifest: " + p.Why
	case p.Chunk == 0:
		return fmt.Sprintf("segment %d, header: %s", p.Segment, p.Why)
	}
	return fmt.Sprintf("segment %d, chunk %d: %s", p.Segment, p.Chunk, p.Why)
}

// Verdict of a verification.
type Verdict string

// The verdicts.
const (
	Whole    Verdict = "whole"
	Gaps     Verdict = "gaps"    // nothing was altered; something is declared missing
	Altered  Verdict = "altered" // Damage says where
	Unsealed Verdict = "open"    // no manifest yet: what is there fits
)

// Report is the outcome of [VerifyFolder].
type Report struct {
	Recording ident.Recording `json:"recording"`
	Call      ident.Call      `json:"call"`
	Segments  int             `json:"segments"`
	Chunks    int64           `json:"chunks"`
	Bytes     int64           `json:"bytes"`
	Manifest  string          `json:"manifest,omitempty"` // its hash
	Signed    bool            `json:"signed"`             // the signature was checked and fits
	Opened    bool            `json:"opened"`             // every tag was checked and fits
	Final     bool            `json:"final"`              // the last chunk says that it is the last
	Damage    []Place         `json:"damage,omitempty"`   // the first bad place of each segment
	Gaps      []Place         `json:"gaps,omitempty"`     // declared: a restart, an overflow, a torn tail
}

// Verdict sums the report up.
func (r Report) Verdict() Verdict {
	switch {
	case len(r.Damage) > 0:
		return Altered
	case r.Manifest == "":
		return Unsealed
	case len(r.Gaps) > 0 || !r.Final:
		return Gaps
	}
	return Whole
}

// VerifyFolder checks a recording's folder. Damage is in the report; the error is NotFound when there is no recording,
// or what kept the disk from being read.
func VerifyFolder(folder string, keys VerifyKeys) (Report, error) {
	numbers, err := segmentsOf(folder)
	if err != nil {
		return Report{}, err
	}
	v := verifier{keys: keys, found: map[uint32]bool{}}
	if err := v.manifest(folder); err != nil {
		return Report{}, err
	}
	for _, n := range numbers {
		v.found[n] = true
		if err := v.segment(folder, n); err != nil {
			return Report{}, err
		}
	}
	v.close()
	return v.report, nil
}

type verifier struct {
	keys   VerifyKeys
	report Report
	sealed *Manifest
	found  map[uint32]bool
	last   *Segment // the former readable segment
	opened bool     // some segment was checked without its key when false
	closed bool
}

func (v *verifier) damage(segment, chunk uint32, format string, args ...any) {
	v.report.Damage = append(v.report.Damage, Place{segment, chunk, fmt.Sprintf(format, args...)})
}

func (v *verifier) gap(segment, chunk uint32, format string, args ...any) {
	v.report.Gaps = append(v.report.Gaps, Place{segment, chunk, fmt.Sprintf(format, args...)})
}

func (v *verifier) manifest(folder string) error {
	v.opened = len(v.keys.Data) > 0
	m, hash, err := ReadManifest(folder, v.keys.Signer)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.Conflict):
		v.report.Manifest = hash
		v.damage(0, 0, "%s", fault.CodeOf(err))
		return nil
	case err != nil:
		return err
	}
	v.report.Manifest, v.report.Signed, v.sealed = hash, v.keys.Signer != nil, &m
	v.report.Recording, v.report.Call = m.Recording, m.Call
	return nil
}

// part returns what the manifest fixes of a segment.
func (v *verifier) part(n uint32) (Part, bool) {
	if v.sealed == nil {
		return Part{}, false
	}
	for _, p := range v.sealed.Segments {
		if p.Segment == n {
			return p, true
		}
	}
	return Part{}, false
}

func (v *verifier) segment(folder string, n uint32) error {
	var key *DataKey
	if k, ok := v.keys.Data[n]; ok {
		key = &k
	} else {
		v.opened = false
	}
	s, err := scanFile(filepath.Join(folder, SegmentName(n)), key, nil)
	part, listed := v.part(n)
	switch {
	case fault.Is(err, fault.Invalid) && (listed || v.sealed == nil && v.report.Manifest != ""):
		v.damage(n, 0, "header")
		return nil
	case fault.Is(err, fault.Invalid):
		v.gap(n, 0, "its header never became durable")
		return nil
	case err != nil:
		return err
	case v.sealed != nil && !listed:
		v.damage(n, 0, "the manifest does not know this segment")
		return nil
	}
	v.report.Segments++
	v.report.Chunks += int64(s.Chunks)
	v.report.Bytes += s.Bytes
	before := len(v.report.Damage)
	v.place(n, s)
	if listed && before == len(v.report.Damage) {
		v.compare(part, s)
	}
	if !listed && before == len(v.report.Damage) && s.Why != "" && !s.Torn {
		v.damage(n, s.Chunks+1, "%s", s.Why)
	}
	if before == len(v.report.Damage) {
		if s.Rest > 0 {
			v.gap(n, s.Chunks+1, "%d bytes of a write that was cut off", s.Rest)
		}
		for _, c := range s.Gaps {
			v.gap(n, c, "something is missing before it")
		}
	}
	v.last = &s
	return nil
}

// place checks that a segment stands where it should: same recording, next number, chained to the former one.
func (v *verifier) place(n uint32, s Segment) {
	h := s.Header
	if v.report.Recording == "" {
		v.report.Recording, v.report.Call = h.Recording, h.Call
	}
	switch {
	case h.Segment != n:
		v.damage(n, 0, "it is segment %d by its header", h.Segment)
	case h.Recording != v.report.Recording || h.Call != v.report.Call || v.sealed != nil && h.Facility != v.sealed.Facility:
		v.damage(n, 0, "it belongs to another recording")
	case v.closed:
		v.damage(n, 0, "it comes after the final chunk")
	case n > 1 && v.last == nil:
		v.damage(n, 0, "the segment before it is missing")
	case n > 1 && bytes.Equal(h.Prev, v.last.Before[:]) && v.last.Chunks > 0:
		v.gap(v.last.Header.Segment, v.last.Chunks, "a chunk that the disk did not confirm; the next segment holds it again")
	case n > 1 && !bytes.Equal(h.Prev, v.last.Last[:]):
		v.damage(v.last.Header.Segment, v.last.Chunks+1, "the next segment continues another chain")
	}
	v.closed = v.closed || s.Final
	v.report.Final = s.Final
}

// compare checks a segment against the manifest.
func (v *verifier) compare(p Part, s Segment) {
	switch {
	case p.First != hex.EncodeToString(s.First[:]):
		v.damage(p.Segment, 0, "header")
	case s.Chunks < p.Chunks:
		why := s.Why
		if why == "" {
			why = "missing"
		}
		v.damage(p.Segment, s.Chunks+1, "%s", why)
	case s.Chunks > p.Chunks:
		v.damage(p.Segment, p.Chunks+1, "the manifest does not know this chunk")
	case p.Last != hex.EncodeToString(s.Last[:]) || p.Bytes != s.Bytes:
		v.damage(p.Segment, p.Chunks, "link")
	case p.Torn != s.Rest:
		v.damage(p.Segment, p.Chunks+1, "the manifest knows %d bytes here, there are %d", p.Torn, s.Rest)
	}
}

// close checks what only shows at the end.
func (v *verifier) close() {
	v.report.Opened = v.opened && len(v.report.Damage) == 0
	if v.sealed == nil {
		return
	}
	for _, p := range v.sealed.Segments {
		if !v.found[p.Segment] {
			v.damage(p.Segment, 0, "missing")
		}
	}
	for _, g := range v.sealed.Gaps {
		if len(v.report.Gaps) == 0 {
			v.gap(0, 0, "%s from %d to %d ms", g.Reason, g.FromMS, g.ToMS)
		}
	}
}
