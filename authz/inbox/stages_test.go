package inbox

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"

	"github.com/exeat/exeat/store"
)

// stages are the states of a hold that somebody who writes to the database may
// find, each with how the hold comes there.
var stages = []struct {
	name string
	to   func(*world, store.Hold) store.Hold
}{
	{"pending", func(_ *world, h store.Hold) store.Hold { return h }},
	{"approved", func(w *world, h store.Hold) store.Hold { return w.approve(h) }},
	{"sending", func(w *world, h store.Hold) store.Hold { w.approve(h); return w.claim() }},
	{"done", func(w *world, h store.Hold) store.Hold {
		w.approve(h)
		return w.finish(w.claim(), approval.Finish{Result: []byte(`{"envelope":{"status":"done","http_status":204}}`)})
	}},
	{"denied", func(w *world, h store.Hold) store.Hold {
		h, err := w.Decide(w.t.Context(), approval.Person{Principal: alice}, h.ID, approval.Verdict{Digest: h.Digest, Reason: "not on Fridays"})
		if err != nil {
			w.t.Fatal(err)
		}
		return h
	}},
}

func (w *world) finish(h store.Hold, e approval.Event) store.Hold {
	w.t.Helper()
	h, err := w.Finish(w.t.Context(), h, e, store.Entry{Kind: "outcome", Hold: h.ID})
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// rich is a call that leaves no field of a hold empty.
func rich(dedupe string) store.Hold {
	h := call(alice, dedupe)
	h.Request.ContentType, h.Request.Body = "application/json", []byte(`{"note":"x"}`)
	h.Request.Header = map[string][]string{"X-Env": {"test"}}
	h.Details = json.RawMessage(`{"type":"urn:exeat:call:1"}`)
	return h
}

// document is one of the JSON columns of a stored hold.
func (w *world) document(column, id string) (doc any) {
	w.t.Helper()
	var raw []byte
	if err := w.raw.QueryRow("SELECT "+column+" FROM holds WHERE id = $1", id).Scan(&raw); err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc
}

// rewrite writes one value inside a JSON column, altered or as it is.
func (w *world) rewrite(column, path, id string, alter bool) {
	w.t.Helper()
	value := at(w.document(column, id), strings.Split(path, "."))
	if alter {
		value = altered(value)
	}
	b, err := json.Marshal(value)
	if err != nil {
		w.t.Fatal(err)
	}
	where := "$"
	for _, step := range strings.Split(path, ".") {
		if _, err := strconv.Atoi(step); err == nil {
			where += "[" + step + "]"
		} else {
			where += `."` + step + `"`
		}
	}
	w.sql("UPDATE holds SET "+column+" = json_set(CAST("+column+" AS TEXT), $1, json($2)) WHERE id = $3", where, string(b), id)
}

// paths lists every value of a document that holds no others.
func paths(doc any) (list []string) {
	add := func(step string, v any) {
		for _, p := range paths(v) {
			list = append(list, strings.TrimSuffix(step+"."+p, "."))
		}
	}
	switch doc := doc.(type) {
	case map[string]any:
		for k, v := range doc {
			add(k, v)
		}
	case []any:
		for i, v := range doc {
			add(strconv.Itoa(i), v)
		}
	default:
		return []string{""}
	}
	return list
}

func at(doc any, path []string) any {
	for _, step := range path {
		switch d := doc.(type) {
		case map[string]any:
			doc = d[step]
		case []any:
			i, _ := strconv.Atoi(step)
			doc = d[i]
		}
	}
	return doc
}

// altered is another value of the same kind.
func altered(v any) any {
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return at.Add(time.Second)
		}
		if strings.HasPrefix(v, "b") { // "b" keeps base64 what it is
			return "c" + v[1:]
		}
		return "b" + v[min(1, len(v)):]
	case float64:
		return v + 1
	case bool:
		return !v
	}
	return "bbbb" // for a result that is not there yet
}
