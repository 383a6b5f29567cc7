package sfu

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"sallyport/appliance/fault"
)

// pionLeg is one PeerConnection.
type pionLeg struct {
	path  *PionPath
	place Place
	pc    *webrtc.PeerConnection
	up    [2]*upTrack
	down  [][2]*downTrack

	state     atomic.Bool
	ready     atomic.Bool // has been up once: what is sent from now on is not dropped for want of keys
	lastMedia atomic.Int64
	wg        sync.WaitGroup // the loops of this leg
	once      sync.Once
}

// LastMedia implements [Leg].
func (l *pionLeg) LastMedia() time.Duration { return time.Duration(l.lastMedia.Load()) }

// Up implements [Leg].
func (l *pionLeg) Up() bool { return l.state.Load() }

func newPionLeg(ctx context.Context, p *PionPath, api *webrtc.API, pl Place, offer string) (*pionLeg, string, error) {
	pc, err := api.NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle, RTCPMuxPolicy: webrtc.RTCPMuxPolicyRequire})
	if err != nil {
		return nil, "", fault.New("sfu.Answer", fault.Unavailable, "The gateway cannot take another connection.").WithCode("busy").Because(err)
	}
	l := &pionLeg{path: p, place: pl, pc: pc}
	l.up = [2]*upTrack{{leg: l, kind: Audio}, {leg: l, kind: Video}}
	answer, err := l.negotiate(ctx, offer)
	if err != nil {
		l.close()
		return nil, "", fault.New("sfu.Answer", fault.Invalid, "This offer cannot be answered.").WithCode("offer_refused").Because(err)
	}
	return l, answer, nil
}

func (l *pionLeg) negotiate(ctx context.Context, offer string) (string, error) {
	for k := range l.place.Down {
		pair, err := l.addSlot(k)
		if err != nil {
			return "", err
		}
		l.down = append(l.down, pair)
	}
	l.pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		m := Audio
		if t.Kind() == webrtc.RTPCodecTypeVideo {
			m = Video
		}
		l.up[m].run(t, r)
	})
	l.pc.OnConnectionStateChange(l.changed)
	if err := l.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("read the offer: %w", err)
	}
	answer, err := l.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("make the answer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(l.pc)
	if err := l.pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("apply the answer: %w", err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return finishAnswer(l.pc.LocalDescription().SDP, l.place.Kbps)
}

func (l *pionLeg) addSlot(k int) (pair [2]*downTrack, err error) {
	stream := fmt.Sprintf("slot%d", k) // one stream for both tracks of a slot, so that the browser keeps lips and sound together
	for _, m := range []Media{Audio, Video} {
		cap := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
		if m == Video {
			cap = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
		}
		t, err := webrtc.NewTrackLocalStaticRTP(cap, fmt.Sprintf("%s-%s", stream, m), stream)
		if err != nil {
			return pair, err
		}
		tr, err := l.pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return pair, err
		}
		d := &downTrack{leg: l, kind: m, local: t, sender: tr.Sender(), rw: rewriter{rate: cap.ClockRate}}
		pair[m] = d
		l.wg.Go(d.readFeedback)
	}
	return pair, nil
}

func (l *pionLeg) changed(s webrtc.PeerConnectionState) {
	up := s == webrtc.PeerConnectionStateConnected
	if up && !l.ready.Swap(true) {
		for _, pair := range l.down {
			for _, d := range pair {
				if u := d.source(); u != nil {
					u.again(d)
				}
			}
		}
	}
	if l.state.Swap(up) != up && l.place.Changed != nil {
		l.place.Changed(l, up)
	}
}

func (l *pionLeg) close() {
	l.once.Do(func() {
		for _, u := range l.up {
			u.set(nil, nil, false)
		}
		_ = l.pc.GracefulClose()
	})
	l.wg.Wait()
}

// askKey asks the camera for a key frame, at most once in 500 ms.
func (u *upTrack) askKey() {
	now := u.leg.path.clock.Boot()
	last := u.lastAsk.Load()
	ssrc := u.ssrc.Load()
	if ssrc == 0 || last != 0 && now-time.Duration(last) < 500*time.Millisecond || !u.lastAsk.CompareAndSwap(last, int64(now)) {
		return
	}
	_ = u.leg.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}})
}
