package staff

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/recordings"
)

// sendRange answers with the whole of a seat or the one range that was asked for (RFC 9110, 14). What it streams is
// read as it is sent: nothing of a recording is gathered in memory.
func sendRange(c fiber.Ctx, m recordings.Media) error {
	size, err := m.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderAcceptRanges, "bytes")
	c.Set(fiber.HeaderETag, m.ETag)
	c.Set(fiber.HeaderContentDisposition, fmt.Sprintf("inline; filename=%q", m.Name))
	from, to, status := int64(0), size-1, fiber.StatusOK
	if asked := c.Get(fiber.HeaderRange); asked != "" && fits(c.Get(fiber.HeaderIfRange), m.ETag) {
		var ok bool
		if from, to, ok = parseRange(asked, size); !ok {
			c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes */%d", size))
			return c.SendStatus(fiber.StatusRequestedRangeNotSatisfiable)
		}
		status = fiber.StatusPartialContent
		c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", from, to, size))
	}
	if _, err := m.Seek(from, io.SeekStart); err != nil {
		return err
	}
	n := to - from + 1
	return c.Status(status).SendStream(io.LimitReader(m, n), int(n))
}

// fits tells whether a range of what the client has may be continued.
func fits(ifRange, etag string) bool { return ifRange == "" || ifRange == etag }

// parseRange reads a header with one range of bytes. Several ranges are answered with the first one that there is, as
// the standard allows to ignore the rest.
func parseRange(header string, size int64) (from, to int64, ok bool) {
	spec, found := strings.CutPrefix(header, "bytes=")
	if !found || size == 0 {
		return 0, 0, false
	}
	spec, _, _ = strings.Cut(spec, ",")
	first, last, found := strings.Cut(strings.TrimSpace(spec), "-")
	if !found {
		return 0, 0, false
	}
	if first == "" { // the last n bytes
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n <= 0 {
			return 0, 0, false
		}
		return max(0, size-n), size - 1, true
	}
	from, err := strconv.ParseInt(first, 10, 64)
	if err != nil || from < 0 || from >= size {
		return 0, 0, false
	}
	if last == "" {
		return from, size - 1, true
	}
	to, err = strconv.ParseInt(last, 10, 64)
	if err != nil || to < from {
		return 0, 0, false
	}
	return from, min(to, size-1), true
}
