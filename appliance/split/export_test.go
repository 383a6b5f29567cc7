package split

import "time"

// Shorten makes limits that a test can reach.
func (s *Server) Shorten(hello time.Duration, perAddress int) { s.hello, s.address = hello, perAddress }
