package petstore

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime"
	"net/http"
	"slices"
	"unicode/utf8"
)

// Bounds of photos, in bytes.
const (
	maxPhoto  = 1 << 20
	maxPhotos = 64 << 20 // all together
	maxUpload = maxPhoto + 16<<10
)

var photoTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

func (s *Server) photo(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	p, err := s.pet(r)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if p.Photo == nil {
		return refuse(http.StatusNotFound, "%s has no photo", p.Name)
	}
	w.Header().Set("Content-Type", p.Photo.ContentType)
	w.Header().Set("ETag", p.etag())
	w.Write(p.Photo.data)
	return nil
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request) error {
	up, err := readUpload(w, r)
	if err != nil {
		return err
	}
	return s.change(w, r, func(p *pet) error {
		had := 0
		if p.Photo != nil {
			had = p.Photo.Bytes
		}
		if s.photos-had+up.Bytes > maxPhotos {
			return refuse(http.StatusInsufficientStorage, "there is no room for more photos")
		}
		s.photos += up.Bytes - had
		p.Photo = up
		return nil
	})
}

// readUpload reads the one file and the caption of a form. The type is what the
// bytes are, whatever the form says.
func readUpload(w http.ResponseWriter, r *http.Request) (*photo, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "multipart/form-data" {
		return nil, refuse(http.StatusUnsupportedMediaType, "the body must be multipart/form-data")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	if err := r.ParseMultipartForm(2 * maxUpload); err != nil { // never onto disk
		return nil, unread(err, maxUpload)
	}
	files, captions := r.MultipartForm.File["file"], r.MultipartForm.Value["caption"]
	switch {
	case len(files) != 1 || len(r.MultipartForm.File) != 1:
		return nil, refuse(http.StatusBadRequest, "the form must hold one file, called file")
	case len(captions) > 1 || len(captions) != len(r.MultipartForm.Value):
		return nil, refuse(http.StatusBadRequest, "besides the file, the form may hold one caption")
	case files[0].Size > maxPhoto:
		return nil, refuse(http.StatusRequestEntityTooLarge, "the photo is larger than %d bytes", maxPhoto)
	}
	f, err := files[0].Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	up := &photo{}
	if up.data, err = io.ReadAll(f); err != nil {
		return nil, err
	}
	up.Bytes = len(up.data)
	if up.ContentType = http.DetectContentType(up.data); !slices.Contains(photoTypes, up.ContentType) {
		return nil, refuse(http.StatusUnsupportedMediaType, "the file is no PNG, JPEG, GIF or WebP")
	}
	if len(captions) == 1 {
		up.Caption = captions[0]
	}
	if !utf8.ValidString(up.Caption) || utf8.RuneCountInString(up.Caption) > 200 {
		return nil, refuse(http.StatusUnprocessableEntity, "the caption must be text of at most 200 characters")
	}
	return up, nil
}

// drawing is Mia's photo: a cat's face, as far as 64 pixels allow.
func drawing() []byte {
	grey, pink, green := color.RGBA{120, 120, 130, 255}, color.RGBA{230, 150, 160, 255}, color.RGBA{110, 190, 90, 255}
	img := image.NewRGBA(image.Rect(0, 0, 64, 64))
	disc := func(cx, cy, radius int, c color.Color) {
		for y := cy - radius; y <= cy+radius; y++ {
			for x := cx - radius; x <= cx+radius; x++ {
				if (x-cx)*(x-cx)+(y-cy)*(y-cy) <= radius*radius {
					img.Set(x, y, c)
				}
			}
		}
	}
	disc(32, 36, 24, grey)
	for i := range 14 { // ears
		for x := range i {
			img.Set(12+x, 8+i, grey)
			img.Set(51-x, 8+i, grey)
		}
	}
	disc(23, 31, 5, green)
	disc(41, 31, 5, green)
	disc(23, 31, 2, color.Black)
	disc(41, 31, 2, color.Black)
	disc(32, 43, 3, pink)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // writing to memory does not fail
	}
	return b.Bytes()
}
