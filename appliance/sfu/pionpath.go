package sfu

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"

	"sallyport/appliance/clock"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
)

// Zone is one media socket and the doors whose seats use it. A door may have several: wired and wireless stations are in
// networks of their own.
type Zone struct {
	Doors  []string       // visitor, kiosk, staff
	Conn   net.PacketConn // UDP, bound to one address
	Public netip.Addr     // advertised in place of the bound address, when set
	// Here tells the present address of a socket that is bound to none, because its network gives addresses out and may
	// change them; the zero address while there is none. It must not block.
	Here func() netip.Addr
}

// roamingMux offers clients the present address of its socket.
type roamingMux struct {
	ice.UDPMux
	port uint16
	here func() netip.Addr
}

// GetListenAddresses implements ice.UDPMux; it is asked for each leg.
func (m roamingMux) GetListenAddresses() []net.Addr {
	at := m.here()
	if !at.IsValid() {
		return nil // the network is away: there is nothing to offer
	}
	return []net.Addr{net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, m.port))}
}

// PionPath is the first implementation of [Path]: pion's stack as it comes, ICE-lite on one UDP port per zone, DTLS
// server, AEAD profiles first.
type PionPath struct {
	clock clock.Clock
	apis  map[string][]zoneAPI
	muxes []ice.UDPMux

	mu   sync.Mutex // guards legs; taken before any leg's locks
	legs map[ident.Call]map[*pionLeg]struct{}
}

// zoneAPI makes the legs of one zone.
type zoneAPI struct {
	*webrtc.API
	at netip.Addr
}

// NewPionPath takes over the zones' sockets. Close it to give them back.
func NewPionPath(c clock.Clock, zones ...Zone) (*PionPath, error) {
	p := &PionPath{clock: c, apis: map[string][]zoneAPI{}, legs: map[ident.Call]map[*pionLeg]struct{}{}}
	for _, z := range zones {
		var mux ice.UDPMux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: answering(z.Conn, c), Logger: quiet{}})
		var bound netip.AddrPort
		if udp, ok := z.Conn.LocalAddr().(*net.UDPAddr); ok {
			bound = udp.AddrPort()
		}
		if z.Here != nil {
			mux = roamingMux{mux, bound.Port(), z.Here}
		}
		p.muxes = append(p.muxes, mux)
		api, err := newAPI(mux, z)
		if err != nil {
			return nil, fmt.Errorf("media zone %v: %w", z.Doors, err)
		}
		at := bound.Addr().Unmap()
		for _, d := range z.Doors {
			p.apis[d] = append(p.apis[d], zoneAPI{api, at})
		}
	}
	if len(p.apis) == 0 {
		return nil, fault.New("sfu.NewPionPath", fault.Invalid, "There is no media address.")
	}
	return p, nil
}

// Shut closes the media sockets. Legs must be closed before.
func (p *PionPath) Shut() {
	for _, m := range p.muxes {
		_ = m.Close()
	}
}

// how long a leg may be silent before ICE says so, and before it gives up.
const (
	iceLost   = 5 * time.Second
	iceFailed = 15 * time.Second
)

func newAPI(mux ice.UDPMux, z Zone) (*webrtc.API, error) {
	var se webrtc.SettingEngine
	se.LoggerFactory = quietFactory{}
	se.SetLite(true)
	se.SetICEUDPMux(mux)
	se.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	se.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	se.SetIncludeLoopbackCandidate(true)
	se.SetICETimeouts(iceLost, iceFailed, 2*time.Second)
	se.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	se.SetSRTPReplayProtectionWindow(1024)
	se.SetFireOnTrackBeforeFirstRTP(false)
	if err := se.SetAnsweringDTLSRole(webrtc.DTLSRoleServer); err != nil {
		return nil, err
	}
	if z.Public.IsValid() {
		if err := se.SetICEAddressRewriteRules(webrtc.ICEAddressRewriteRule{
			External: []string{z.Public.String()}, AsCandidateType: webrtc.ICECandidateTypeHost, Mode: webrtc.ICEAddressRewriteReplace,
		}); err != nil {
			return nil, err
		}
	}
	me, err := codecs()
	if err != nil {
		return nil, err
	}
	reg, err := interceptors()
	if err != nil {
		return nil, err
	}
	return webrtc.NewAPI(webrtc.WithSettingEngine(se), webrtc.WithMediaEngine(me), webrtc.WithInterceptorRegistry(reg)), nil
}

const opusLine = "minptime=10;useinbandfec=1;usedtx=0;stereo=0;maxaveragebitrate=32000"

// codecs registers Opus and VP8 with retransmission, nothing else.
func codecs() (*webrtc.MediaEngine, error) {
	me := &webrtc.MediaEngine{}
	twccFB := webrtc.RTCPFeedback{Type: "transport-cc"}
	for _, c := range []struct {
		kind webrtc.RTPCodecType
		p    webrtc.RTPCodecParameters
	}{
		{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: opusLine, RTCPFeedback: []webrtc.RTCPFeedback{twccFB},
		}}},
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{PayloadType: 96, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeVP8, ClockRate: 90000,
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: "ccm", Parameter: "fir"}, {Type: "nack"}, {Type: "nack", Parameter: "pli"}, twccFB},
		}}},
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{PayloadType: 97, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: "apt=96",
		}}},
	} {
		if err := me.RegisterCodec(c.p, c.kind); err != nil {
			return nil, err
		}
	}
	const transportCC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	for _, uri := range []string{"urn:ietf:params:rtp-hdrext:sdes:mid", transportCC} {
		for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
			if err := me.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, kind, webrtc.RTPTransceiverDirectionRecvonly); err != nil {
				return nil, err
			}
		}
	}
	return me, nil
}

// interceptors repair and report. Sender reports are ours: they are the source's own, translated (lip sync).
func interceptors() (*interceptor.Registry, error) {
	reg := &interceptor.Registry{}
	log := quietFactory{}
	gen, err := nack.NewGeneratorInterceptor(nack.WithGeneratorLoggerFactory(log))
	if err != nil {
		return nil, err
	}
	resp, err := nack.NewResponderInterceptor(nack.WithResponderLoggerFactory(log))
	if err != nil {
		return nil, err
	}
	rr, err := report.NewReceiverInterceptor(report.WithReceiverLoggerFactory(log))
	if err != nil {
		return nil, err
	}
	cc, err := twcc.NewSenderInterceptor(twcc.SendInterval(100*time.Millisecond), twcc.WithLoggerFactory(log))
	if err != nil {
		return nil, err
	}
	reg.Add(gen)
	reg.Add(resp)
	reg.Add(rr)
	reg.Add(cc)
	return reg, nil
}

// near returns the door's zone that the client is in: the one whose address its signaling reached, else the first.
func (p *PionPath) near(pl Place) *webrtc.API {
	zones := p.apis[pl.Door]
	for _, z := range zones {
		if z.at == pl.Near {
			return z.API
		}
	}
	if len(zones) == 0 {
		return nil
	}
	return zones[0].API
}

// Answer implements [Path].
func (p *PionPath) Answer(ctx context.Context, pl Place, offer []byte) (Leg, []byte, error) {
	api := p.near(pl)
	if api == nil {
		return nil, nil, fault.New("sfu.Answer", fault.Unavailable, "This door has no media address.").WithCode("busy")
	}
	clean, err := readOffer(offer, pl)
	if err != nil {
		return nil, nil, err
	}
	l, answer, err := newPionLeg(ctx, p, api, pl, clean)
	if err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	if p.legs[pl.Call] == nil {
		p.legs[pl.Call] = map[*pionLeg]struct{}{}
	}
	p.legs[pl.Call][l] = struct{}{}
	p.mu.Unlock()
	return l, []byte(answer), nil
}

// Routes implements [Path].
func (p *PionPath) Routes(call ident.Call, t Table) {
	type source struct {
		leg   *pionLeg
		media Media
	}
	outs := map[source][]*downTrack{}
	taps := map[source][]TapRow{}
	for _, r := range t.Routes {
		from, ok1 := r.From.(*pionLeg)
		to, ok2 := r.To.(*pionLeg)
		if ok1 && ok2 && r.Slot < len(to.down) {
			s := source{from, r.Media}
			outs[s] = append(outs[s], to.down[r.Slot][r.Media])
		}
	}
	for _, r := range t.Taps {
		if from, ok := r.From.(*pionLeg); ok {
			s := source{from, r.Media}
			taps[s] = append(taps[s], r)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.legs[call] {
		for _, m := range []Media{Audio, Video} {
			s := source{l, m}
			l.up[m].set(outs[s], taps[s], t.Keep)
		}
	}
}

// Close implements [Path].
func (p *PionPath) Close(l Leg) {
	leg, ok := l.(*pionLeg)
	if !ok {
		return
	}
	p.mu.Lock()
	delete(p.legs[leg.place.Call], leg)
	if len(p.legs[leg.place.Call]) == 0 {
		delete(p.legs, leg.place.Call)
	}
	p.mu.Unlock()
	leg.close()
}

// quiet drops pion's log lines: they hold addresses, and nothing is logged on the media path.
type (
	quiet        struct{}
	quietFactory struct{}
)

func (quietFactory) NewLogger(string) logging.LeveledLogger { return quiet{} }

func (quiet) Trace(string)          {}
func (quiet) Tracef(string, ...any) {}
func (quiet) Debug(string)          {}
func (quiet) Debugf(string, ...any) {}
func (quiet) Info(string)           {}
func (quiet) Infof(string, ...any)  {}
func (quiet) Warn(string)           {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Error(string)          {}
func (quiet) Errorf(string, ...any) {}
