package tools

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/exeat/exeat/openapi"
)

// maxNote bounds what is said beside an answer: a redirect may be long.
const maxNote = 1000

// respond turns what the API answered into what the agent gets. Fields that a
// policy's @redact names are cut; an answer in which they cannot be found and
// cut is withheld.
func (c *course) respond(a *openapi.Response, cut *redactor) Result {
	if len(a.Note) > maxNote {
		a.Note = strings.ToValidUTF8(a.Note[:maxNote], "") + "…"
	}
	res := Result{Envelope: Envelope{Status: Done, HTTPStatus: a.Status, Note: a.Note}}
	if a.TooLarge {
		res.Envelope.Code = ResponseTooLarge // the call is done all the same
	}
	switch {
	case c.redacts() && (a.Text != "" || a.Binary != nil):
		res.Envelope.Note = join(a.Note, "the answer is withheld: the policy cuts fields from it, and it is not JSON")
	case a.JSON != nil:
		res.Envelope.Response = a.JSON
		if !c.redacts() {
			break
		}
		var ok bool
		if res.Envelope.Response, ok = cut.redact(a); !ok {
			res.Envelope.Note = join(a.Note, "the answer is withheld: fields could not be cut from it")
		}
	case a.Binary != nil:
		res.Blocks = []Block{{MediaType: a.MediaType, Data: a.Binary}}
		res.Envelope.Response = mustJSON(map[string]any{"media_type": a.MediaType, "bytes": len(a.Binary)})
	case a.Text != "":
		res.Envelope.Response = mustJSON(a.Text)
	}
	return res
}

// remark adds to an answer what the agent has to know of its status.
func (c *course) remark(a *openapi.Response, resp *http.Response) {
	switch to := resp.Header.Get("Location"); {
	case a.Status >= 300 && a.Status < 400 && a.Status != http.StatusNotModified && to != "":
		a.Note = join(a.Note, "the API answered with a redirect, and exeat does not follow redirects")
		if !c.redacts() {
			a.Note += "; it leads to " + strings.ToValidUTF8(to, "\uFFFD")
		}
	case a.Status >= 500 && c.writes():
		a.Note = join(a.Note, "the API failed at this write; it may have been executed, or a part of it. Do not repeat it blindly: look first")
	}
}

// remarkRefused tells the agent that it is not its fault if the API refused the
// credential, which it does not have and cannot change: any at a 401, our own
// token at a 403, too.
func (r *Result) remarkRefused(strategy string) {
	e := &r.Envelope
	if e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden && strategy == "signed" {
		e.Note = join(e.Note, "the API refused the credential that exeat sent with this call. That is not the fault of your arguments: do not vary or repeat the call, "+
			"but tell the user that whoever runs exeat has to look at this API's credential; the log says how")
		if e.Challenge != nil {
			e.Note += "; challenge has what the API says that it wants, in its own words"
		}
	}
}

func join(note, more string) string {
	if note == "" || more == "" {
		return note + more
	}
	return note + "; " + more
}

// mustJSON encodes plain values, for which encoding cannot fail.
func mustJSON(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return bytes.TrimSpace(b.Bytes())
}
