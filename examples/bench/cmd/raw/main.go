// Command raw answers the same two methods with net/http and nothing else: what
// is left of the bare tool when the SDK is taken away. It is a
// measuring stick, not a conforming server.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"strings"

	"github.com/exeat/exeat/examples/bench/internal/petapi"
)

type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"params"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type answer struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result"`
}

const (
	hello = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}`
	list  = `{"tools":[{"name":"getPet","description":"Returns one pet by its id.","inputSchema":` +
		`{"type":"object","properties":{"petId":{"type":"integer"}},"required":["petId"]}}]}`
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9203", "loopback address of the HTTP endpoint /mcp")
	upstream := flag.String("upstream", "http://127.0.0.1:9100", "REST API")
	flag.Parse()

	api := petapi.New(*upstream)
	http.HandleFunc("POST /mcp", func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		var req request
		if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, 4<<20)); err != nil || json.Unmarshal(body.Bytes(), &req) != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		a := answer{Version: "2.0", ID: req.ID}
		switch {
		case req.Method == "initialize":
			a.Result = json.RawMessage(hello)
		case req.Method == "tools/list":
			a.Result = json.RawMessage(list)
		case req.Method == "tools/call" && req.Params.Name == "getPet":
			var in struct{ PetID int64 }
			if json.Unmarshal(req.Params.Arguments, &in) != nil {
				http.Error(w, "bad arguments", http.StatusBadRequest)
				return
			}
			s, err := api.Get(r.Context(), in.PetID)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			a.Result = map[string]any{"content": []text{{"text", s}}}
		case strings.HasPrefix(req.Method, "notifications/"):
			w.WriteHeader(http.StatusAccepted)
			return
		default:
			http.Error(w, "unknown method", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a)
	})
	log.Fatal(http.ListenAndServe(*addr, nil))
}
