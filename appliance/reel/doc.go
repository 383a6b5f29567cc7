// Package reel owns SPREEL1, the format of a recorded call: writing it durably, proving it whole, and playing it.
//
// It must not know calls in progress, networks, codecs' insides or who may watch. It knows bytes: one append-only,
// encrypted, hash-chained chunk log per call with the frames of all seats, from which a WebM per seat is laid out when
// somebody plays it. The writer's side holds public keys only, so it cannot read back what it wrote.
//
// A recording is a folder "<yyyy-mm-dd>/<recording>/":
//
//	0001.reel      a segment: one run of the writing process, one data key
//	0001.key       that data key, wrapped with age to the intake recipients; deleted once it is in the keyring
//	manifest.json  written at the end, signed: what belongs to the recording
//
// A segment is a clear header ("SPREEL1\n", length, JSON) and chunks. A chunk is a clear header of 32 bytes, AES-256-GCM
// ciphertext with its tag, and a link: SHA-256 over the former link and the chunk, so that order and completeness can be
// checked without any key. The nonce is segment and index: a process that starts again has no old key and must open a
// new segment, so no nonce repeats. Inside a chunk are records: frames, clock readings, marks, texts.
//
// The life of a recording: [Create] a segment, [Writer.Append] chunks (durable when it returns), [Seal] a manifest,
// [OpenKeys] by who holds the intake identity, [VerifyFolder], [Open] a [Reel], a [Movie] for each seat.
package reel
