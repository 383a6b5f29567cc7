package reel

import (
	"encoding/binary"
	"math"
)

// The elements of Matroska that a movie needs (RFC 9559).
const (
	idEBML           = 0x1A45DFA3
	idSegment        = 0x18538067
	idSeekHead       = 0x114D9B74
	idSeek           = 0x4DBB
	idSeekID         = 0x53AB
	idSeekPosition   = 0x53AC
	idInfo           = 0x1549A966
	idTimestampScale = 0x2AD7B1
	idDuration       = 0x4489
	idDate           = 0x4461
	idMuxingApp      = 0x4D80
	idWritingApp     = 0x5741
	idTracks         = 0x1654AE6B
	idTrackEntry     = 0xAE
	idTrackNumber    = 0xD7
	idTrackUID       = 0x73C5
	idTrackType      = 0x83
	idFlagLacing     = 0x9C
	idCodecID        = 0x86
	idCodecPrivate   = 0x63A2
	idSeekPreRoll    = 0x56BB
	idVideo          = 0xE0
	idPixelWidth     = 0xB0
	idPixelHeight    = 0xBA
	idAudio          = 0xE1
	idSampling       = 0xB5
	idChannels       = 0x9F
	idCues           = 0x1C53BB6B
	idCuePoint       = 0xBB
	idCueTime        = 0xB3
	idCuePositions   = 0xB7
	idCueTrack       = 0xF7
	idCueCluster     = 0xF1
	idCluster        = 0x1F43B675
	idTimestamp      = 0xE7
	idSimpleBlock    = 0xA3
)

// appendID appends an element's id: its own bytes, big-endian.
func appendID(b []byte, id uint32) []byte {
	for shift := 24; shift >= 0; shift -= 8 {
		if id>>shift != 0 {
			b = append(b, byte(id>>shift))
		}
	}
	return b
}

// appendSize appends a size in 8 bytes, so that a layout's sizes do not depend on each other.
func appendSize(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(b, 1<<56|uint64(n))
}

// element appends an element with its content.
func element(b []byte, id uint32, content []byte) []byte {
	b = appendSize(appendID(b, id), int64(len(content)))
	return append(b, content...)
}

// number appends an unsigned element of 8 bytes.
func number(b []byte, id uint32, n uint64) []byte {
	return binary.BigEndian.AppendUint64(appendSize(appendID(b, id), 8), n)
}

// float appends a float element of 8 bytes.
func float(b []byte, id uint32, f float64) []byte { return number(b, id, math.Float64bits(f)) }

// words appends a string element.
func words(b []byte, id uint32, s string) []byte { return element(b, id, []byte(s)) }

// idBytes returns an id as the content of a SeekID.
func idBytes(id uint32) []byte { return appendID(nil, id) }

// Sizes of what repeats, with 8-byte sizes throughout.
const (
	blockHeader   = 1 + 8 + 4 // id, size, then track, time, flags
	clusterHeader = 4 + 8 + 1 + 8 + 8
	seekSize      = 2 + 8 + (2 + 8 + 4) + (2 + 8 + 8)
	cueSize       = 1 + 8 + (1 + 8 + 8) + 1 + 8 + (1 + 8 + 8) + (1 + 8 + 8)
)
