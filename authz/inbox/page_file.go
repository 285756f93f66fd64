package inbox

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/attachment"
)

// fileRoutes are the ways to the bytes that a call sends. They go to nobody but who may
// see the call, and never as something that a browser shows.
func (in *Inbox) fileRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /h/{id}/body", in.page(in.saveBody))
	mux.HandleFunc("GET /h/{id}/file/{number}", in.page(in.saveFile))
	mux.HandleFunc("GET /h/{id}/file/{number}/picture", in.page(in.showPicture))
}

// saveBody is the whole body of the request, as it will be sent.
func (in *Inbox) saveBody(w http.ResponseWriter, r *http.Request, s session) error {
	h, v, err := in.look(r, s)
	if err != nil {
		return err
	}
	if v.BodySHA256 == "" { // there is none, or something in it is hidden
		return approval.ErrNotFound
	}
	save(w, "request-body", h.Request.Body)
	return nil
}

func (in *Inbox) saveFile(w http.ResponseWriter, r *http.Request, s session) error {
	f, err := in.file(r, s)
	if err != nil {
		return err
	}
	save(w, f.Name, f.content)
	return nil
}

// showPicture is a small picture of a file, drawn here: a PNG, for a frame within our
// own pages that may do and load nothing.
func (in *Inbox) showPicture(w http.ResponseWriter, r *http.Request, s session) error {
	f, err := in.file(r, s)
	if err != nil {
		return err
	}
	picture, err := attachment.Draw(r.Context(), f.Sniffed, f.content)
	if errors.Is(err, attachment.ErrPicture) || errors.Is(err, context.Canceled) {
		return approval.ErrNotFound
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'self'")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Type", "image/png")
	_, _ = w.Write(picture) // a reader that has gone needs no answer
	return nil
}

// file is the file that a request names, if the person may see it.
func (in *Inbox) file(r *http.Request, s session) (FileView, error) {
	_, v, err := in.look(r, s)
	if err != nil {
		return FileView{}, err
	}
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 || n > len(v.Files) || v.Files[n-1].Hidden {
		return FileView{}, approval.ErrNotFound
	}
	return v.Files[n-1], nil
}

// save answers with bytes that a browser keeps in a file, whatever they are.
func save(w http.ResponseWriter, name string, b []byte) {
	h := w.Header()
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": plainName(name)}))
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // a reader that has gone needs no answer
}

// plainName is a file's name with nothing in it that a file system or a terminal reads
// as something else.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < '0' && r != '-' && r != '.' || r > '9' && r < 'A' || r > 'Z' && r < 'a' && r != '_' || r > 'z' {
			return '_'
		}
		return r
	}, path.Base(name))
	if name = strings.TrimLeft(name, ".-_"); name == "" {
		return "file"
	}
	return name[max(0, len(name)-100):]
}

// allowFrames lets a page show pictures of files, if it has any.
func allowFrames(w http.ResponseWriter, files []FileView) {
	for _, f := range files {
		if f.Width > 0 {
			h := w.Header()
			h.Set("Content-Security-Policy", h.Get("Content-Security-Policy")+"; frame-src 'self'")
			return
		}
	}
}
