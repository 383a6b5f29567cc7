package reel

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"sallyport/appliance/fault"
	"sallyport/appliance/linkspec"
)

// Writer appends chunks to one segment. It is used by one goroutine. After a failed Append it refuses everything: a file
// whose sync failed once may have lost pages that the kernel calls clean, so it is never synced again.
type Writer struct {
	file   *os.File
	head   Header
	gcm    cipher.AEAD
	link   Link
	tag    [tagSize]byte
	index  uint32 // of the next chunk, from 1
	size   int64
	first  Link
	final  bool
	failed error
	buf    []byte
}

// Create makes a segment in folder, with its data key wrapped to the recipients. It fills Version and Suite. Key and
// folder are durable when it returns; the header is with the first chunk. It returns Conflict when the segment exists.
func Create(folder string, h Header, to []age.Recipient) (*Writer, error) {
	h.Version, h.Suite = version, suite
	if err := h.check(); err != nil || len(to) == 0 {
		return nil, fault.New("reel.Create", fault.Invalid, "This segment cannot be written.").WithCode("reel_header").Because(err)
	}
	head, err := h.encode()
	if err != nil {
		return nil, fmt.Errorf("write header: %w", err)
	}
	if err := os.MkdirAll(folder, 0o770); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	var key DataKey
	rand.Read(key[:])
	file, err := create(filepath.Join(folder, SegmentName(h.Segment)))
	if err != nil {
		return nil, err
	}
	w := &Writer{file: file, head: h, gcm: key.aead(), index: 1}
	if err := w.begin(folder, head, key, to); err != nil {
		file.Close()
		return nil, err
	}
	return w, nil
}

// begin puts the header and the wrapped key beside it on disk.
func (w *Writer) begin(folder string, head []byte, key DataKey, to []age.Recipient) error {
	wrapped, err := wrapKey(w.head, key, to)
	if err != nil {
		return fmt.Errorf("wrap key: %w", err)
	}
	if err := writeDurably(filepath.Join(folder, KeyName(w.head.Segment)), wrapped); err != nil {
		return err
	}
	if _, err := w.file.Write(head); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	w.size = int64(len(head))
	w.link = headLink(head)
	w.first = w.link
	copy(w.tag[:], w.link[:])
	// The day's folder may be new as well, so its parent is synced too.
	for _, dir := range []string{folder, filepath.Dir(folder), filepath.Dir(filepath.Dir(folder))} {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// Append writes one chunk with the records, which it does not keep. When it returns nil the chunk is durable. at is the
// first record's moment. It returns Invalid for more than [MaxChunk] bytes or after a final chunk.
func (w *Writer) Append(at linkspec.Instant, flags Flags, records []Record) error {
	if w.failed != nil {
		return w.failed
	}
	n := 0
	for _, r := range records {
		n += r.Size()
	}
	if n > MaxChunk || w.final {
		return fault.Newf("reel.Append", fault.Invalid, "A chunk of %d bytes does not fit here.", n).WithCode("reel_chunk")
	}
	head := chunkHead{index: w.index, flags: flags, size: uint32(n + tagSize), wall: at.Wall.UnixMilli(), boot: at.Boot}.encode()
	total := chunkHeader + n + tagSize + linkSize
	if cap(w.buf) < total {
		w.buf = make([]byte, 0, total+total/4)
	}
	plain := w.buf[chunkHeader:chunkHeader]
	for _, r := range records {
		plain = r.append(plain)
	}
	sealed := w.gcm.Seal(plain[:0], nonce(w.head.Segment, w.index), plain, bound(w.head, head, w.tag[:]))
	link := w.link.next(head, sealed)
	out := w.buf[:total]
	copy(out, head[:])
	copy(out[chunkHeader+n+tagSize:], link[:])
	if _, err := w.file.Write(out); err != nil {
		return w.fail("write", err)
	}
	if err := unix.Fdatasync(int(w.file.Fd())); err != nil {
		return w.fail("sync", err)
	}
	copy(w.tag[:], sealed[n:])
	w.link, w.size, w.final = link, w.size+int64(total), flags&Final != 0
	w.index++
	return nil
}

// fail makes the writer refuse everything. What the failed write left is cut off, because nobody was told of it and the
// next segment continues the link before it; when even that fails, a verifier knows the case.
func (w *Writer) fail(what string, err error) error {
	err = errors.Join(err, w.file.Truncate(w.size))
	w.failed = fault.New("reel.Append", fault.Unavailable, "The recording cannot be written.").WithCode("recorder_disk").Because(fmt.Errorf("%s: %w", what, err))
	return w.failed
}

// Header returns the segment's header.
func (w *Writer) Header() Header { return w.head }

// Last returns the link after the last durable chunk: the Prev of the next segment.
func (w *Writer) Last() Link { return w.link }

// Chunks returns how many chunks are durable.
func (w *Writer) Chunks() uint32 { return w.index - 1 }

// Bytes returns the segment's durable size.
func (w *Writer) Bytes() int64 { return w.size }

// Close closes the file. It syncs nothing: every chunk was.
func (w *Writer) Close() error { return w.file.Close() }

// create opens a file that must not exist, for writing only.
func create(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if os.IsExist(err) {
		return nil, fault.New("reel.create", fault.Conflict, "This part of the recording exists already.").WithCode("reel_exists").Because(err)
	}
	if err != nil {
		return nil, fault.New("reel.create", fault.Unavailable, "The recording cannot be written.").WithCode("recorder_disk").Because(err)
	}
	return f, nil
}

// writeDurably makes a file that must not exist and syncs it.
func writeDurably(path string, data []byte) error {
	f, err := create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", filepath.Base(path), err)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
