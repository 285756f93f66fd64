package attachment

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"time"
)

// Bounds of drawing. What is decoded is in memory whole: pixels of at most 8 bytes, and
// of a progressive JPEG 12 more.
const (
	maxBytes       = 16 << 20
	maxPixels      = 12 << 20 // a phone's photo
	maxProgressive = 4 << 20
	maxSide        = 16_384
	drawWithin     = 3 * time.Second
	pictureWidth   = 320
	pictureHeight  = 240
)

// ErrPicture is an image that is not drawn: of a kind that is not read here, too large
// to be opened, or broken.
var ErrPicture = errors.New("no picture can be made of it")

// drawing lets one image at a time be decoded.
var drawing = make(chan struct{}, 1)

// Measure is the size of an image in pixels, if [Draw] would try to draw it. Kinds are
// PNG, JPEG and GIF; an SVG is a program for a browser and never drawn.
func Measure(kind string, b []byte) (width, height int, err error) {
	if len(b) > maxBytes {
		return 0, 0, ErrPicture
	}
	var c image.Config
	most := maxPixels
	switch kind {
	case "image/png":
		c, err = png.DecodeConfig(bytes.NewReader(b))
	case "image/jpeg":
		c, err = jpeg.DecodeConfig(bytes.NewReader(b))
		if progressive(b) {
			most = maxProgressive
		}
	case "image/gif":
		c, err = gif.DecodeConfig(bytes.NewReader(b))
	default:
		return 0, 0, ErrPicture
	}
	if err != nil || c.Width <= 0 || c.Height <= 0 || c.Width > maxSide || c.Height > maxSide || c.Width*c.Height > most {
		return 0, 0, ErrPicture
	}
	return c.Width, c.Height, nil
}

// progressive reports a JPEG that comes in several scans, each of which is work.
func progressive(b []byte) bool {
	for at := 2; at+4 <= len(b) && b[at] == 0xff; {
		marker := b[at+1]
		if marker == 0xff {
			at++
			continue
		}
		if marker >= 0xc0 && marker <= 0xc2 || marker == 0xda {
			return marker == 0xc2
		}
		at += 2 + int(binary.BigEndian.Uint16(b[at+2:]))
	}
	return true // where it cannot be told
}

// Fit is the size of the picture of an image.
func Fit(width, height int) (w, h int) {
	w, h = width, height
	if w > pictureWidth {
		w, h = pictureWidth, height*pictureWidth/width
	}
	if h > pictureHeight {
		w, h = width*pictureHeight/height, pictureHeight
	}
	return max(w, 1), max(h, 1)
}

// Draw is a small PNG of an image, drawn here: nothing of the file's own bytes is in
// it. Of a GIF it is the first picture. One image is decoded at a time.
func Draw(ctx context.Context, kind string, b []byte) ([]byte, error) {
	if _, _, err := Measure(kind, b); err != nil {
		return nil, err
	}
	select {
	case drawing <- struct{}{}:
		defer func() { <-drawing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, drawWithin)
	defer cancel()
	in := &hurried{ctx, bytes.NewReader(b)}
	var from image.Image
	var err error
	switch kind {
	case "image/png":
		from, err = png.Decode(in)
	case "image/jpeg":
		from, err = jpeg.Decode(in)
	default:
		from, err = gif.Decode(in)
	}
	if err != nil || from.Bounds().Empty() {
		return nil, ErrPicture
	}
	var out bytes.Buffer
	err = png.Encode(&out, shrink(from))
	return out.Bytes(), err
}

// hurried reads until its context ends: a decoder that reads on and on stops with it.
type hurried struct {
	ctx context.Context
	in  io.Reader
}

func (h *hurried) Read(b []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.in.Read(b[:min(len(b), 4096)])
}

// samples is how many points each way a pixel of the picture is the mean of.
const samples = 4

// shrink draws an image smaller, over squares that show where it is transparent.
func shrink(from image.Image) *image.NRGBA {
	size := from.Bounds()
	w, h := Fit(size.Dx(), size.Dy())
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			var sum [4]uint32
			for n := range samples * samples {
				px := size.Min.X + (x*samples+n%samples)*size.Dx()/(w*samples)
				py := size.Min.Y + (y*samples+n/samples)*size.Dy()/(h*samples)
				r, g, b, a := from.At(px, py).RGBA()
				for i, v := range []uint32{r, g, b, a} {
					sum[i] += v >> 8
				}
			}
			under := uint32(255)
			if (x/8+y/8)%2 == 1 {
				under = 224
			}
			clear := 255 - sum[3]/(samples*samples)
			mix := func(v uint32) uint8 { return uint8(min(v/(samples*samples)+under*clear/255, 255)) }
			out.SetNRGBA(x, y, color.NRGBA{mix(sum[0]), mix(sum[1]), mix(sum[2]), 255})
		}
	}
	return out
}
