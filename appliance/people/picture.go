package people

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	_ "image/gif" // decoders register themselves; a GIF is known so that it can be refused by name
	"image/jpeg"
	_ "image/png"

	xdraw "golang.org/x/image/draw"

	"sallyport/appliance/fault"
)

// Limits of a picture from outside (B14). They are looked at in the header, before anything is decoded.
const (
	pictureBytesMax = 10 << 20
	picturePixels   = 25_000_000
	pictureSideMax  = 8_000
	pictureKeep     = 2_400 // longest side that is kept: enough to read an identity card
	pictureQuality  = 88
)

type picture struct {
	jpeg          []byte
	width, height int
}

// normalise decodes a picture and encodes it again, so that nothing of the file that came is kept: no names, places,
// thumbnails, trailers. The header is read first, so that a small file that unfolds to gigabytes is refused for nothing;
// one picture is unfolded at a time, which bounds the memory that strangers can ask for.
func (p *People) normalise(ctx context.Context, raw []byte) (picture, error) {
	const op = "people.Picture"
	if len(raw) > pictureBytesMax {
		return picture{}, fault.New(op, fault.Invalid, "This file is too big.").WithCode("file.tooBig").WithParam("mb", pictureBytesMax>>20)
	}
	cfg, format, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil || (format != "jpeg" && format != "png") {
		return picture{}, fault.New(op, fault.Invalid, "We cannot use this kind of file.").WithCode("file.type").Because(err)
	}
	if cfg.Width < 1 || cfg.Height < 1 || cfg.Width > pictureSideMax || cfg.Height > pictureSideMax || cfg.Width*cfg.Height > picturePixels {
		return picture{}, fault.New(op, fault.Invalid, "This picture is too big.").WithCode("file.tooBig").WithParam("px", pictureSideMax)
	}
	select {
	case p.decode <- struct{}{}:
		defer func() { <-p.decode }()
	case <-ctx.Done():
		return picture{}, ctx.Err()
	}
	src, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return picture{}, fault.New(op, fault.Invalid, "We cannot read this picture.").WithCode("id.unreadable").Because(err)
	}
	dst := turn(shrink(src), orientation(raw))
	var out bytes.Buffer
	if err := jpeg.Encode(&out, dst, &jpeg.Options{Quality: pictureQuality}); err != nil {
		return picture{}, err
	}
	b := dst.Bounds()
	return picture{jpeg: out.Bytes(), width: b.Dx(), height: b.Dy()}, nil
}

// shrink paints a picture on white at no more than the side that is kept.
func shrink(src image.Image) *image.RGBA {
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	if long := max(w, h); long > pictureKeep {
		w, h = max(1, w*pictureKeep/long), max(1, h*pictureKeep/long)
	}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(dst, dst.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	xdraw.ApproxBiLinear.Scale(dst, dst.Bounds(), src, b, xdraw.Over, nil)
	return dst
}

// turn applies the orientation that a telephone wrote beside the picture, because the note itself is thrown away.
func turn(src *image.RGBA, orientation int) *image.RGBA {
	if orientation < 2 || orientation > 8 {
		return src
	}
	b := src.Bounds()
	w, h := b.Dx(), b.Dy()
	if orientation >= 5 {
		w, h = h, w
	}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range b.Dy() {
		for x := range b.Dx() {
			c := src.RGBAAt(b.Min.X+x, b.Min.Y+y)
			switch orientation {
			case 2:
				dst.SetRGBA(w-1-x, y, c)
			case 3:
				dst.SetRGBA(w-1-x, h-1-y, c)
			case 4:
				dst.SetRGBA(x, h-1-y, c)
			case 5:
				dst.SetRGBA(y, x, c)
			case 6:
				dst.SetRGBA(w-1-y, x, c)
			case 7:
				dst.SetRGBA(w-1-y, h-1-x, c)
			case 8:
				dst.SetRGBA(y, h-1-x, c)
			}
		}
	}
	return dst
}

// orientation reads the one number of EXIF that matters, 1 when there is none or it cannot be read.
func orientation(raw []byte) int {
	if len(raw) < 4 || raw[0] != 0xFF || raw[1] != 0xD8 {
		return 1
	}
	for at := 2; at+4 <= len(raw) && raw[at] == 0xFF; {
		marker, size := raw[at+1], int(raw[at+2])<<8|int(raw[at+3])
		if marker == 0xDA || size < 2 || at+2+size > len(raw) {
			return 1
		}
		if body := raw[at+4 : at+2+size]; marker == 0xE1 && bytes.HasPrefix(body, []byte("Exif\x00\x00")) {
			return tiffOrientation(body[6:])
		}
		at += 2 + size
	}
	return 1
}

func tiffOrientation(t []byte) int {
	if len(t) < 8 {
		return 1
	}
	little := t[0] == 'I'
	u16 := func(at int) int {
		if at < 0 || at+2 > len(t) {
			return -1
		}
		if little {
			return int(t[at]) | int(t[at+1])<<8
		}
		return int(t[at])<<8 | int(t[at+1])
	}
	lo, hi := u16(4), u16(6)
	if !little {
		lo, hi = hi, lo
	}
	dir := hi<<16 | lo
	if dir < 8 || dir+2 > len(t) {
		return 1
	}
	for i := range u16(dir) {
		if entry := dir + 2 + i*12; u16(entry) == 0x0112 {
			if o := u16(entry + 8); o >= 1 && o <= 8 {
				return o
			}
			return 1
		}
	}
	return 1
}
