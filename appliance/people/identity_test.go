package people_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/jpeg"
	"testing"
	"time"

	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/people"
	"sallyport/appliance/store"
)

// verify sends all documents of a visitor and lets a moderator verify them.
func (h *house) verify(v people.Visitor, by ident.Actor) {
	h.t.Helper()
	h.documents(v, by)
	h.write(func(tx *store.Tx) error {
		if _, err := h.SubmitIdentity(tx, by, v.ID); err != nil {
			return err
		}
		_, err := h.VerifyIdentity(tx, admin, v.ID, "")
		return err
	})
}

func (h *house) documents(v people.Visitor, by ident.Actor) {
	h.t.Helper()
	for _, kind := range []string{people.IDFront, people.IDBack, people.Selfie} {
		if _, err := h.AddDocument(context.Background(), by, v.ID, kind, picture(h.t, 60, 40)); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestIdentityFromPicturesToVerified(t *testing.T) {
	h := open(t, "county-jail")
	v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
	submit := func(tx *store.Tx) error { _, err := h.SubmitIdentity(tx, by, v.ID); return err }
	if err := h.try(submit); fault.CodeOf(err) != "id.incomplete" {
		t.Fatalf("submitted without pictures: %v", err)
	}
	h.documents(v, by)
	h.write(submit)
	if len(h.cases) != 1 || h.cases[0].Kind != "identity" || h.cases[0].Submitter != string(v.ID) || !h.cases[0].Due.Equal(start.Add(24*time.Hour)) {
		t.Fatalf("case %+v", h.cases)
	}
	if _, err := h.AddDocument(context.Background(), by, v.ID, people.Selfie, picture(t, 9, 9)); fault.CodeOf(err) != "id.pending" {
		t.Errorf("changed a picture under review: %v", err)
	}
	h.write(func(tx *store.Tx) error { return h.ReviewIdentity(tx, admin, v.ID, true) })
	h.write(func(tx *store.Tx) error {
		got, err := h.VerifyIdentity(tx, admin, v.ID, "2027-06-30")
		if want := time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC); !got.IdentityUntil.Equal(want) {
			t.Errorf("verified until %v, want the end of the document's last day %v", got.IdentityUntil, want)
		}
		return err
	})
	h.clock.Advance(200 * 24 * time.Hour)
	h.write(func(tx *store.Tx) error {
		if n, err := h.ExpireIdentities(tx, 10); n != 1 || err != nil {
			t.Errorf("expired %d, %v", n, err)
		}
		return nil
	})
}

func TestIdentityBlocksAfterTheLastRefusal(t *testing.T) {
	h := open(t, "county-jail")
	v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
	h.documents(v, by)
	for i, want := range []string{people.IdentityRejected, people.IdentityRejected, people.IdentityBlocked} {
		h.write(func(tx *store.Tx) error {
			if _, err := h.SubmitIdentity(tx, by, v.ID); err != nil {
				return err
			}
			got, err := h.RejectIdentity(tx, admin, v.ID, "blurred", false)
			if got.Identity != want {
				t.Errorf("refusal %d: %s, want %s", i+1, got.Identity, want)
			}
			return err
		})
	}
	if err := h.try(func(tx *store.Tx) error { _, err := h.SubmitIdentity(tx, by, v.ID); return err }); !fault.Is(err, fault.Conflict) {
		t.Errorf("sent again while blocked: %v", err)
	}
	if err := h.try(func(tx *store.Tx) error { _, err := h.RejectIdentity(tx, admin, v.ID, "bad hair", false); return err }); !fault.Is(err, fault.Invalid) {
		t.Errorf("a reason that is on no list: %v", err)
	}
}

// hugePNG is a small file whose header promises a side of 20,000 pixels.
func hugePNG() []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	body := make([]byte, 13)
	binary.BigEndian.PutUint32(body, 20_000)
	binary.BigEndian.PutUint32(body[4:], 20_000)
	body[8], body[9] = 8, 2
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], 13)
	chunk := append([]byte("IHDR"), body...)
	b.Write(size[:])
	b.Write(chunk)
	binary.BigEndian.PutUint32(size[:], crc32.ChecksumIEEE(chunk))
	b.Write(size[:])
	return b.Bytes()
}

func TestPicturesRefused(t *testing.T) {
	h := open(t, "county-jail")
	v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"bomb", hugePNG(), "file.tooBig"},
		{"too many bytes", make([]byte, 11<<20), "file.tooBig"},
		{"script", []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), "file.type"},
		{"animation", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00;"), "file.type"},
		{"nothing", nil, "file.type"},
		{"cut", picture(t, 60, 40)[:200], "file.type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			_, err := h.AddDocument(context.Background(), by, v.ID, people.IDFront, tt.raw)
			if got := fault.CodeOf(err); got != tt.want && (tt.name != "cut" || got != "id.unreadable") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("refusing took %v", took)
			}
		})
	}
}

func TestNothingOfTheFileIsKept(t *testing.T) {
	h := open(t, "county-jail")
	v, by := h.visitor("Ann", "+441632960001", "ann@example.org")
	const marker = "51.5007N-SECRET"
	// An EXIF segment with a marker and the note "turn by a quarter", and a marker after the end of the picture.
	tiff := []byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00" + marker)
	exif := append([]byte("Exif\x00\x00"), tiff...)
	raw := picture(t, 60, 40)
	seg := append([]byte{0xFF, 0xE1, byte((len(exif) + 2) >> 8), byte(len(exif) + 2)}, exif...)
	raw = append(append(append([]byte{}, raw[:2]...), seg...), raw[2:]...)
	raw = append(raw, marker...)
	d, err := h.AddDocument(context.Background(), by, v.ID, people.IDFront, raw)
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := h.DocumentOf(context.Background(), v.ID, people.IDFront)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got, []byte(marker)) || bytes.Contains(got, []byte("Exif")) {
		t.Error("the stored picture still tells where it was taken")
	}
	if cfg, err := jpeg.DecodeConfig(bytes.NewReader(got)); err != nil || cfg.Width != 40 || cfg.Height != 60 || d.Width != 40 {
		t.Errorf("stored %dx%d (%v), want the picture upright, 40x60", cfg.Width, cfg.Height, err)
	}
	if _, _, err := image.Decode(bytes.NewReader(got)); err != nil {
		t.Error(err)
	}
}
