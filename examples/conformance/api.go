package main

import (
	"encoding/binary"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"net/http"
)

// newAPI is the REST API of openapi.yaml.
func newAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /text", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("This is a simple text response for testing."))
	})
	mux.HandleFunc("GET /image", func(w http.ResponseWriter, _ *http.Request) {
		pixel := image.NewNRGBA(image.Rect(0, 0, 1, 1))
		pixel.Set(0, 0, color.NRGBA{R: 0xff, A: 0xff})
		w.Header().Set("Content-Type", "image/png")
		png.Encode(w, pixel)
	})
	mux.HandleFunc("GET /audio", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "audio/wav")
		w.Write(silence())
	})
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write([]byte{0x00, 0x01, 0x02, 0xff})
	})
	mux.HandleFunc("GET /error", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusConflict, "This tool intentionally returns an error for testing")
	})
	mux.HandleFunc("POST /contacts", func(w http.ResponseWriter, r *http.Request) {
		var contact map[string]any
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&contact); err != nil {
			problem(w, http.StatusBadRequest, "a contact is a JSON object of at most 64 KiB")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(contact)
	})
	return mux
}

// silence is a WAV file: a hundredth of a second, mono, 8 bits, 8 kHz.
func silence() []byte {
	const rate, samples = 8000, 80
	le := binary.LittleEndian
	b := append([]byte("RIFF"), le.AppendUint32(nil, 36+samples)...)
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 1) // channel
	b = le.AppendUint32(b, rate)
	b = le.AppendUint32(b, rate) // bytes a second
	b = le.AppendUint16(b, 1)    // bytes a sample
	b = le.AppendUint16(b, 8)    // bits a sample
	b = append(b, "data"...)
	b = le.AppendUint32(b, samples)
	for range samples {
		b = append(b, 0x80)
	}
	return b
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}
