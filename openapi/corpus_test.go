package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpus are documents whose operations are encoded and read back.
var corpus = []string{
	"github.json", "stripe.yaml", "slack.json", "okta.json", "twilio_api_v2010.json", "kubernetes.json", "openai.yaml", "toolhive.json",
	"readme30-parameters-style.json", "readme30-schema-encoding-style.json", "readme30-form-data.json", "readme30-file-uploads.json",
	"readme31-train-travel.json", "petstore3.json", "scalar-galaxy.yaml",
}

// TestCorpusReadsBack makes arguments for operations of the corpus, and
// reads each request with net/url, net/http, mime and encoding/json, which know
// nothing of how it was written: what was meant has to be there.
func TestCorpusReadsBack(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	const dir = "../../shared/specs"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the test documents are not here")
	}
	for _, name := range corpus {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Size() > 1<<20 && raceEnabled {
				t.Skip("large documents are tried without the race detector")
			}
			api, err := Load(context.Background(), path, Options{BaseURL: "https://api.example.com/base"})
			if err != nil {
				t.Fatal(err)
			}
			written, tried := 0, 0
			step := 1 + len(api.Operations)/250 // of the largest documents, not all
			for i, op := range api.Operations {
				if i%step != 0 {
					continue
				}
				tried++
				g := generator{rand: rand.New(rand.NewPCG(1, uint64(i)))}
				raw, err := g.arguments(op)
				if err != nil {
					t.Fatalf("%s: %v", op.Name, err)
				}
				args, err := op.Parse(raw)
				if err != nil {
					continue // the generator knows less than the schema
				}
				r, err := op.Encode(args)
				if err != nil && strings.Contains(err.Error(), "which stands between items") {
					continue // refused by design: the API would see other items
				}
				if err != nil {
					t.Errorf("%s: %v in %s", op.Name, err, raw)
					continue
				}
				written++
				readBack(t, op, args.Value(), r)
			}
			t.Logf("%d of %d operations read back", written, tried)
			if written*10 < tried*6 {
				t.Errorf("only %d of %d operations could be written", written, tried)
			}
		})
	}
}

// readBack compares a request with the arguments that it stands for.
func readBack(t *testing.T, op *Operation, args map[string]any, r *Request) {
	t.Helper()
	at := op.Method + " " + op.Path
	out, err := http.NewRequest(r.Method, r.Origin+r.Target, bytes.NewReader(r.Body))
	if err != nil {
		t.Errorf("%s: %v", at, err)
		return
	}
	if out.URL.RequestURI() != r.Target || out.URL.Host != "api.example.com" && op.baseURL == "" {
		t.Errorf("%s: goes out as %s to %s", at, out.URL.RequestURI(), out.URL.Host)
	}
	out.Header = r.Header
	query, err := url.ParseQuery(out.URL.RawQuery)
	if err != nil {
		t.Errorf("%s: %v", at, err)
	}
	want := url.Values{}
	for _, p := range op.params {
		v, given := args[p.Property]
		if !given {
			continue
		}
		switch p.In {
		case "path":
			readPath(t, op, p, v, r)
		case "query":
			addLeaves(want, p.Name, p.Style, p.Explode, p.ContentType, v)
		case "header":
			var flat []string // an object is k,v,k,v
			if m, ok := v.(map[string]any); ok {
				for _, k := range slices.Sorted(maps.Keys(m)) {
					flat = append(append(flat, k), texts(m[k])...)
				}
			} else {
				flat = texts(v)
			}
			if got := out.Header.Get(p.Name); p.ContentType == "" && got != strings.Join(flat, ",") && !p.Explode {
				t.Errorf("%s: header %s is %q, want %v", at, p.Name, got, v)
			}
		}
	}
	if more, err := url.ParseQuery(op.query); err == nil {
		for name, values := range more {
			want[name] = append(values, want[name]...)
		}
	}
	if d := cmp.Diff(want, query); d != "" {
		t.Errorf("%s: query %s: %s", at, out.URL.RawQuery, d)
	}
	if v, given := args["body"]; given && op.body != nil {
		readBody(t, op, v, r)
	}
}

// readPath finds a parameter that has a whole segment to itself.
func readPath(t *testing.T, op *Operation, p param, v any, r *Request) {
	t.Helper()
	names, segments := strings.Split(op.Path, "/"), strings.Split(r.Path, "/")
	if len(names) != len(segments) {
		t.Errorf("%s became %s", op.Path, r.Path)
		return
	}
	i := slices.Index(names, "{"+p.Name+"}")
	if i < 0 || p.Style != "simple" || p.ContentType != "" {
		return
	}
	got, err := url.PathUnescape(segments[i])
	if _, isObject := v.(map[string]any); err != nil || got != strings.Join(texts(v), ",") && !isObject {
		t.Errorf("%s: %s is %q (%v), want %v", op.Path, p.Name, got, err, v)
	}
}

// texts are the texts of a scalar or of an array of them.
func texts(v any) []string {
	if list, ok := v.([]any); ok {
		var out []string
		for _, x := range list {
			out = append(out, fmt.Sprint(x))
		}
		return out
	}
	return []string{fmt.Sprint(v)}
}

// addLeaves lists the names and values that a style gives a value.
func addLeaves(into url.Values, name, style string, explode bool, contentType string, v any) {
	if contentType != "" {
		b, _ := json.Marshal(v)
		into.Add(name, string(b))
		return
	}
	if style == "deepObject" {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				addLeaves(into, name+"["+k+"]", style, true, "", x)
			}
			return
		case []any:
			for i, x := range v {
				index := fmt.Sprint(i)
				if !slices.ContainsFunc(v, func(x any) bool { return len(texts(x)) != 1 || strings.HasPrefix(fmt.Sprint(x), "map[") }) {
					index = ""
				}
				addLeaves(into, name+"["+index+"]", style, true, "", x)
			}
			return
		}
	}
	object, isObject := v.(map[string]any)
	switch {
	case isObject && explode:
		for k, x := range object {
			into.Add(k, fmt.Sprint(x))
		}
	case isObject:
		var list []string
		for _, k := range canonicalKeys(object) {
			list = append(list, k, fmt.Sprint(object[k]))
		}
		into.Add(name, strings.Join(list, separators[style]))
	case explode:
		for _, s := range texts(v) {
			into.Add(name, s)
		}
	default:
		into.Add(name, strings.Join(texts(v), separators[style]))
	}
}

var separators = map[string]string{"form": ",", "spaceDelimited": " ", "pipeDelimited": "|"}

func readBody(t *testing.T, op *Operation, v any, r *Request) {
	t.Helper()
	media, params, err := mime.ParseMediaType(r.ContentType)
	if err != nil {
		t.Errorf("%s: %v", op.Name, err)
		return
	}
	var got, want any
	switch {
	case isJSON(media):
		d := json.NewDecoder(bytes.NewReader(r.Body))
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			t.Errorf("%s: %v", op.Name, err)
		}
		want = v
	case media == formType:
		if got, err = url.ParseQuery(string(r.Body)); err != nil {
			t.Errorf("%s: %v", op.Name, err)
		}
		values := url.Values{}
		for name, x := range v.(map[string]any) {
			f := op.body.Fields[name]
			if f.Style == "" {
				f.Style, f.Explode = "form", true
			}
			if f.Style == "form" && f.Explode && bracketed.MatchString(fmt.Sprint(x)) {
				f.Style = "deepObject"
			}
			if !isJSON(f.ContentType) {
				f.ContentType = ""
			}
			addLeaves(values, name, f.Style, f.Explode, f.ContentType, x)
		}
		want = values
	case media == multipartType:
		got, want = readParts(t, r.Body, params["boundary"]), partNames(v)
	default:
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", op.Name, d)
	}
}

// bracketed finds the print of a map.
var bracketed = regexp.MustCompile(`^\[?map\[`)

func readParts(t *testing.T, data []byte, boundary string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for reader := multipart.NewReader(bytes.NewReader(data), boundary); ; {
		p, err := reader.NextPart()
		if err == io.EOF {
			return count
		}
		if err != nil {
			t.Error(err)
			return count
		}
		count[p.FormName()]++
	}
}

func partNames(v any) map[string]int {
	count := map[string]int{}
	for name, x := range v.(map[string]any) {
		count[name] = 1
		if list, ok := x.([]any); ok {
			count[name] = len(list)
		}
	}
	return count
}
