package sfu

import (
	"strings"

	"github.com/pion/sdp/v3"

	"sallyport/appliance/fault"
)

const maxSDP = 32 << 10

// readOffer checks an offer against its place and returns it without candidates: the server learns the client's address
// from its checks, and must neither resolve names nor connect anywhere because an offer said so.
//
// It refuses whole (Invalid, offer_refused) whatever is not exactly the lines of the place, in their order.
func readOffer(raw []byte, p Place) (string, error) {
	refuse := func(why string) (string, error) {
		return "", fault.New("sfu.Offer", fault.Invalid, "This offer is not one that the gateway takes: "+why+".").WithCode("offer_refused")
	}
	if len(raw) > maxSDP {
		return refuse("it is too long")
	}
	var s sdp.SessionDescription
	if err := s.Unmarshal(raw); err != nil {
		return refuse("it cannot be read")
	}
	want := wantedLines(p)
	if len(s.MediaDescriptions) != len(want) {
		return refuse("it has other media lines")
	}
	group, _ := s.Attribute("group")
	if !strings.HasPrefix(group, "BUNDLE") {
		return refuse("its lines are not bundled")
	}
	s.Attributes = without(s.Attributes, "candidate")
	for i, m := range s.MediaDescriptions {
		if why := checkLine(m, want[i]); why != "" {
			return refuse(why)
		}
		fp, ok := m.Attribute("fingerprint")
		if !ok {
			fp, _ = s.Attribute("fingerprint")
		}
		if !sameFingerprint(fp, p.Fingerprint) {
			return "", fault.New("sfu.Offer", fault.Invalid, "The certificate is not the one that this grant was made for.").
				WithCode("offer_refused").WithParam("why", "fingerprint")
		}
		m.Attributes = without(m.Attributes, "candidate", "end-of-candidates")
	}
	clean, err := s.Marshal()
	if err != nil {
		return refuse("it cannot be read")
	}
	return string(clean), nil
}

type line struct{ kind, direction, codec string }

func wantedLines(p Place) []line {
	var w []line
	if p.Sends {
		w = append(w, line{"audio", "sendonly", "opus/48000"}, line{"video", "sendonly", "VP8/90000"})
	}
	for range p.Down {
		w = append(w, line{"audio", "recvonly", "opus/48000"}, line{"video", "recvonly", "VP8/90000"})
	}
	return w
}

func checkLine(m *sdp.MediaDescription, w line) string {
	if m.MediaName.Media != w.kind {
		return "a line is of another kind"
	}
	if strings.Join(m.MediaName.Protos, "/") != "UDP/TLS/RTP/SAVPF" {
		return "it is not DTLS-SRTP"
	}
	direction, codec := "sendrecv", false
	for _, a := range m.Attributes {
		switch a.Key {
		case "sendonly", "recvonly", "inactive", "sendrecv":
			direction = a.Key
		case "rtpmap":
			_, name, _ := strings.Cut(a.Value, " ")
			codec = codec || strings.HasPrefix(strings.ToLower(name), strings.ToLower(w.codec))
		case "simulcast", "rid":
			return "it has more than one layer"
		case "crypto":
			return "it holds keys in clear"
		}
	}
	if _, ok := m.Attribute("rtcp-mux"); !ok {
		return "it does not put RTCP on the same port"
	}
	if direction != w.direction {
		return "a line has another direction"
	}
	if !codec {
		return w.codec + " is missing"
	}
	return ""
}

func without(as []sdp.Attribute, keys ...string) []sdp.Attribute {
	keep := as[:0]
next:
	for _, a := range as {
		for _, k := range keys {
			if a.Key == k {
				continue next
			}
		}
		keep = append(keep, a)
	}
	return keep
}

func sameFingerprint(line, want string) bool {
	algorithm, fp, ok := strings.Cut(line, " ")
	return ok && strings.EqualFold(algorithm, "sha-256") && want != "" && strings.EqualFold(strings.TrimSpace(fp), want)
}

// finishAnswer adds what the stack does not write: the camera's bandwidth and what Opus shall do. It takes out the
// candidate of the second component, which does not exist with rtcp-mux.
func finishAnswer(raw string, kbps int) (string, error) {
	var s sdp.SessionDescription
	if err := s.UnmarshalString(raw); err != nil {
		return "", err
	}
	for _, m := range s.MediaDescriptions {
		keep := m.Attributes[:0]
		for _, a := range m.Attributes {
			if a.Key == "candidate" && strings.Contains(a.Value, " 2 udp ") {
				continue
			}
			if a.Key == "fmtp" && m.MediaName.Media == "audio" {
				pt, _, _ := strings.Cut(a.Value, " ")
				a.Value = pt + " " + opusLine
			}
			keep = append(keep, a)
		}
		m.Attributes = keep
		if _, recv := m.Attribute("recvonly"); recv && m.MediaName.Media == "video" && kbps > 0 {
			m.Bandwidth = []sdp.Bandwidth{{Type: "AS", Bandwidth: uint64(kbps)}}
		}
	}
	out, err := s.Marshal()
	return string(out), err
}
