package sfutest

import (
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"sallyport/appliance/reel/reeltest"
)

// mtu leaves room for SRTP and UDP headers.
const mtu = 1200

// Show makes the peer send these frames over and over, in real time, in place of its test pattern: what it sends can be
// decoded. Call it before [Peer.Take].
func (p *Peer) Show(frames []reeltest.Frame) { p.film = frames }

// play sends the film in a loop. The film begins with a key frame and has one every few seconds, so nobody waits long for
// a picture and requests for key frames are not answered.
func (p *Peer) play() {
	video := rtp.NewPacketizer(mtu, 0, 0, &codecs.VP8Payloader{EnablePictureID: true}, rtp.NewFixedSequencer(1), 90000)
	length := p.film[len(p.film)-1].MS + 1000/reeltest.AudioRate
	began := time.Now()
	var sound uint16
	var shown int64 // of the last picture
	for round := int64(0); ; round++ {
		for _, f := range p.film {
			at := round*length + f.MS
			select {
			case <-p.done:
				return
			case <-time.After(time.Until(began.Add(time.Duration(at) * time.Millisecond))):
			}
			if !f.Video {
				sound++
				_ = p.up[0].WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: sound, Timestamp: uint32(at * 48)}, Payload: f.Data})
				continue
			}
			video.SkipSamples(uint32((at - shown) * 90))
			shown = at
			for _, pkt := range video.Packetize(f.Data, 0) {
				_ = p.up[1].WriteRTP(pkt)
			}
		}
	}
}
