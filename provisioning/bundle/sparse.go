package bundle

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// block is how fine holes are: an empty slot takes hardly any room, and there are few seeks.
const block = 64 << 10

// sparse writes a file and leaves out its empty blocks: of a slot of 2 GiB less than a fifth is used, and on a small disk
// the rest would not fit beside the data.
type sparse struct {
	f    *os.File
	at   int64 // logical end
	held int64 // empty bytes before it that were left out
}

func createSparse(path string) (*sparse, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &sparse{f: f}, nil
}

// Write writes p, or notes that it is empty.
func (s *sparse) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, block-int(s.at%block))
		piece := p[done : done+n]
		if empty(piece) {
			s.held += int64(n)
		} else {
			if s.held > 0 {
				if _, err := s.f.Seek(s.at, io.SeekStart); err != nil {
					return done, err
				}
				s.held = 0
			}
			if _, err := s.f.Write(piece); err != nil {
				return done, err
			}
		}
		s.at += int64(n)
		done += n
	}
	return done, nil
}

// Close gives the file its whole length and waits for the disk.
func (s *sparse) Close() error {
	return errors.Join(s.f.Truncate(s.at), s.f.Sync(), s.f.Close())
}

// used counts the bytes of the blocks that are not empty, however they come in.
type used struct {
	n, at int64
	full  bool // the block at hand was counted
}

// Write counts p.
func (u *used) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, block-int(u.at%block))
		if u.at%block == 0 {
			u.full = false
		}
		if !u.full && !empty(p[done:done+n]) {
			u.full, u.n = true, u.n+block
		}
		u.at += int64(n)
		done += n
	}
	return len(p), nil
}

func empty(p []byte) bool {
	return len(p) == 0 || p[0] == 0 && bytes.Equal(p[:len(p)-1], p[1:])
}
