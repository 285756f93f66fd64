package tools

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/exeat/exeat/authz/token"
)

const echoedKey = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"

// echoes are ways in which servers write what they were sent.
var echoes = []func(string) string{
	func(s string) string { return s },
	strings.ToUpper,
	func(s string) string { return hex.EncodeToString([]byte(s)) },
	func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("k" + s)) },
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte("k:" + s + "!")) },
	func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "_", "%5f") },
	func(s string) string { return html.EscapeString("<" + s + ">") },
	func(s string) string { return strings.ReplaceAll(s, "_", "&#95;") },
	func(s string) string { return strings.ReplaceAll(s, "_", `\u005f`) },
	func(s string) string { b, _ := json.Marshal(map[string]string{"k": s}); return string(b) },
}

// leaks reports what of a text is the key, however it is written.
func leaks(text string) bool {
	text = strings.ToLower(text)
	for range 3 {
		text = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(text, `\u005f`, "_"), "&#95;", "_"), "%5f", "_")
		text = strings.ReplaceAll(text, `\\`, `\`)
	}
	if strings.Contains(text, strings.ToLower(echoedKey)) || strings.Contains(text, hex.EncodeToString([]byte(echoedKey))) {
		return true
	}
	for n := range 3 {
		b := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("k", n) + echoedKey))
		if strings.Contains(text, strings.ToLower(b[4:len(b)-4])) {
			return true
		}
	}
	return false
}

// The key is planted in a random writing at a random place of an answer: nothing
// of it comes out, in no field of the answer, of what its handle keeps, of the log
// or of the operator's events.
func TestEchoedKeyComesOutNowhere(t *testing.T) {
	var planted func(http.ResponseWriter)
	api := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { planted(w) })}
	held := `permit (principal, action in Action::"read", resource);
permit (principal, action, resource) when { context has approval };`
	r := newRig(t, rigOptions{api: api, policy: held, credentials: &token.Static{Placement: token.Placement{In: "header", Name: "X-Key"}, Secret: token.NewSecret(echoedKey)}})
	r.run(t)
	random := rand.New(rand.NewPCG(1, 2))
	places := map[string]func(http.ResponseWriter, string){
		"Link": func(w http.ResponseWriter, s string) {
			w.Header().Set("Link", "</pets?after="+url.QueryEscape(s)+`>; rel="next"`)
			write(w, "application/json", `{"pets":[]}`)
		},
		"Location": func(w http.ResponseWriter, s string) { w.Header().Set("Location", "/x?"+s); w.WriteHeader(307) },
		"ETag": func(w http.ResponseWriter, s string) {
			w.Header().Set("ETag", `"`+s+`"`)
			write(w, "application/json", `{}`)
		},
		"a cursor": func(w http.ResponseWriter, s string) {
			write(w, "application/json", fmt.Sprintf(`{"pets":[],"next_cursor":%s}`, mustJSON(s)))
		},
		"a next URL": func(w http.ResponseWriter, s string) {
			write(w, "application/json", fmt.Sprintf(`{"pets":[],"next":%s}`, mustJSON("/pets?after="+url.QueryEscape(s))))
		},
		"a value": func(w http.ResponseWriter, s string) {
			write(w, "application/json", fmt.Sprintf(`{"a":[{"b":%s}]}`, mustJSON("x "+s+" y")))
		},
		"a name": func(w http.ResponseWriter, s string) {
			write(w, "application/json", fmt.Sprintf(`{"a":{%s:1}}`, mustJSON(s)))
		},
		"a text": func(w http.ResponseWriter, s string) { write(w, "text/plain", "you sent "+s) },
		"an event": func(w http.ResponseWriter, s string) {
			write(w, "text/event-stream", "event: "+s+"\nid: "+s+"\ndata: {\"a\":1}\n\n")
		},
		"event data": func(w http.ResponseWriter, s string) { write(w, "text/event-stream", "id: 7\ndata: "+s+"\n\n") },
		"bytes":      func(w http.ResponseWriter, s string) { write(w, "image/png", "\x89PNG\r\n\x1a\n\x00"+s) },
		"a type": func(w http.ResponseWriter, s string) {
			write(w, "application/x-"+hex.EncodeToString([]byte(s)), "\x00\x01")
		},
		"a refusal": func(w http.ResponseWriter, s string) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(401)
			fmt.Fprintf(w, `{"detail":%s}`, mustJSON(s))
		},
		"a long text": func(w http.ResponseWriter, s string) { write(w, "text/plain", strings.Repeat("x", 1<<20-len(s)/2)+s) },
		"a bad answer": func(w http.ResponseWriter, s string) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", s)
				conn.Close()
			}
		},
	}
	for name, place := range places {
		for i, echo := range echoes {
			planted = func(w http.ResponseWriter) { place(w, echo(echoedKey)) }
			call := [][2]string{{"get_pet", `{"petId":1}`}, {"list_pets", `{}`}, {"list_pets", `{"_select":"."}`}}[random.IntN(3)]
			res := r.Call(t.Context(), caller("alice"), call[0], []byte(call[1]))
			if text := fmt.Sprintf("%s %s", res.JSON(), res.Blocks); leaks(text) {
				t.Errorf("%s, %d, %s: %s", name, i, call[0], text)
			}
			// And where a handle keeps the answer. A POST does not read first.
			if i%4 == 0 {
				pending := r.Call(t.Context(), caller("alice"), "create_pet", fmt.Appendf(nil, `{"body":{"name":"%d%s","species":"cat"}}`, i, name))
				if err := r.decideHold(t, pending.Envelope.Handle, true, ""); err != nil {
					t.Fatalf("%v: %s", err, pending.JSON())
				}
				if text := fmt.Sprint(string(r.wait(t, pending.Envelope.Handle).JSON()), string(r.hold(t, pending.Envelope.Handle).Result)); leaks(text) {
					t.Errorf("%s, %d: kept: %s", name, i, text)
				}
			}
		}
	}
	for _, e := range r.log(t) {
		if text := fmt.Sprintf("%+v", e); leaks(text) {
			t.Errorf("the log has %s", text)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if text := fmt.Sprint(e.Err); leaks(text) {
			t.Errorf("the operator's log has %s", text)
		}
	}
}

func write(w http.ResponseWriter, media, body string) {
	w.Header().Set("Content-Type", media)
	_, _ = w.Write([]byte(body))
}

// What a policy cuts is in no other field: not where more is, not in what is said
// of a redirect, not beside the data of an event.
func TestRedactedValuesComeOutNowhere(t *testing.T) {
	const ssn = "123-45-6789"
	for name, api := range map[string]http.HandlerFunc{
		"Link": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</pets?after=`+ssn+`>; rel="next"`)
			write(w, "application/json", `{"ssn":"`+ssn+`"}`)
		},
		"a cursor": as(200, "application/json", `{"ssn":"`+ssn+`","next_cursor":"x"}`),
		"a redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/people/"+ssn)
			w.WriteHeader(302)
		},
		"an event":    as(200, "text/event-stream", "event: e\nid: 1\ndata: {\"ssn\":\""+ssn+"\",\"a\":1}\n\n"),
		"its id":      as(200, "text/event-stream", "event: "+ssn+"\nid: "+ssn+"\ndata: {\"ssn\":\""+ssn+"\"}\n\n"),
		"event texts": as(200, "text/event-stream", "id: 1\ndata: {\"ssn\":\""+ssn+"\"\n\ndata: {\"ssn\":\""+ssn+"\"\n\n"),
		"events":      as(200, "text/event-stream", "data: {\"ssn\":\""+ssn+"\"}\n\ndata: [{\"ssn\":\""+ssn+"\"}]\n\n"),
		"lines":       as(200, "application/x-ndjson", `{"ssn":"`+ssn+`"}`+"\n"),
		"a header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"`+ssn+`"`)
			write(w, "application/json", `{}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{api: api, policy: `@redact("/ssn") permit (principal, action in Action::"call_tool", resource);`})
			for _, args := range []string{`{}`, `{"_select":"."}`} {
				res := r.Call(t.Context(), caller("alice"), "list_pets", []byte(args))
				if text := fmt.Sprintf("%s %s", res.JSON(), res.Blocks); res.Envelope.Status != Done || strings.Contains(text, ssn) {
					t.Error(text)
				}
			}
		})
	}
}

// Of a signed request the signature and the token are cut from what an API shows, and
// what anybody may know is not.
func TestSignatureIsCutAndDigestIsNot(t *testing.T) {
	const digest, session, signature = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "FwoGZXIvYXdzEBYaDHqa0AP/1234567890", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
	signing := attach(func(_ context.Context, _ token.Call, r *http.Request) (token.Receipt, error) {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKID/20261128/eu/s3/aws4_request, SignedHeaders=host, Signature="+signature)
		r.Header.Set("X-Amz-Security-Token", session)
		r.Header.Set("X-Amz-Content-Sha256", digest)
		return token.Receipt{Strategy: "aws_sts"}, nil
	})
	r := newRig(t, rigOptions{policy: permitAll, credentials: signing, api: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		write(w, "application/json", fmt.Sprintf(`{"sha256":%q,"token":%q,"provided":%q}`, digest, session, signature))
	})})
	got := string(r.call(t, "alice", "get_pet", `{"petId":1}`).JSON())
	if !strings.Contains(got, digest) || strings.Contains(got, session) || strings.Contains(got, signature) {
		t.Error(got)
	}
}
