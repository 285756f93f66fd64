package token

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStaticAttach(t *testing.T) {
	key := NewSecret("k/1+2=")
	for name, c := range map[string]struct {
		static *Static
		target string
		cookie string
		want   map[string]string // the changed headers, or target under ""
	}{
		"bearer":        {static: Bearer(key), want: map[string]string{"Authorization": "Bearer k/1+2="}},
		"basic":         {static: Basic("Aladdin", NewSecret("open sesame")), want: map[string]string{"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}}, // RFC 7617 §2
		"header":        {static: &Static{Placement{In: "header", Name: "X-Api-Key"}, key}, want: map[string]string{"X-Api-Key": "k/1+2="}},
		"query":         {static: &Static{Placement{In: "query", Name: "api key"}, key}, target: "/p?b=%2f&a", want: map[string]string{"": "/p?b=%2f&a&api+key=k%2F1%2B2%3D"}},
		"query, first":  {static: &Static{Placement{In: "query", Name: "k"}, key}, want: map[string]string{"": "/?k=k%2F1%2B2%3D"}},
		"cookie":        {static: &Static{Placement{In: "cookie", Name: "s"}, key}, cookie: "a=1;b=2", want: map[string]string{"Cookie": "a=1;b=2; s=k/1+2="}},
		"cookie, first": {static: &Static{Placement{In: "cookie", Name: "s"}, key}, want: map[string]string{"Cookie": "s=k/1+2="}},
	} {
		t.Run(name, func(t *testing.T) {
			target := c.target
			if target == "" {
				target = "/"
			}
			r, err := http.NewRequest("GET", "http://127.0.0.1"+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.cookie != "" {
				r.Header.Set("Cookie", c.cookie)
			}
			receipt, err := c.static.Attach(t.Context(), Call{}, r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Receipt{Strategy: "static", Standing: true}, receipt); diff != "" {
				t.Errorf("receipt (-want +got):\n%s", diff)
			}
			got := map[string]string{}
			if uri := r.URL.RequestURI(); uri != target {
				got[""] = uri
			}
			for name := range r.Header {
				got[name] = strings.Join(r.Header[name], " | ")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			if _, err := c.static.Attach(t.Context(), Call{}, r); err == nil || !strings.Contains(err.Error(), "already has") {
				t.Errorf("attaching twice: %v", err)
			}
		})
	}
}

func TestStaticCheck(t *testing.T) {
	good := NewSecret("k")
	for name, s := range map[string]*Static{
		"empty":            {Placement{In: "header", Name: "X"}, Secret{}},
		"empty string":     {Placement{In: "header", Name: "X"}, NewSecret("")},
		"no name":          {Placement{In: "header"}, good},
		"no place":         {Placement{Name: "X"}, good},
		"unknown place":    {Placement{In: "body", Name: "X"}, good},
		"header name":      {Placement{In: "header", Name: "X Y"}, good},
		"header injection": {Placement{In: "header", Name: "X\r\nY"}, good},
		"own header":       {Placement{In: "header", Name: "content-type"}, good},
		"line break":       {Placement{In: "header", Name: "X"}, NewSecret("a\r\nb")},
		"prefix":           {Placement{In: "header", Name: "X", Prefix: "a\n"}, good},
		"cookie name":      {Placement{In: "cookie", Name: "a;b"}, good},
		"cookie value":     {Placement{In: "cookie", Name: "a"}, NewSecret("x; path=/")},
	} {
		err := s.Check()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		r, _ := http.NewRequest("GET", "http://127.0.0.1/", nil)
		if _, err := s.Attach(t.Context(), Call{}, r); err == nil {
			t.Errorf("%s: attached", name)
		}
	}
}

func TestWithoutQuery(t *testing.T) {
	for raw, want := range map[string]string{
		"":                  "",
		"a=1&b=2":           "a=1&b=2",
		"key=1":             "",
		"key":               "",
		"&a=1&":             "&a=1&",
		"key=1&a=%zz&b":     "a=%zz&b",
		"a;key=1;b":         "a;b",
		"a&KEY=1&%6bey=2&b": "a&b",
		"keys=1&akey=2":     "keys=1&akey=2",
		"&&key&&":           "&&&",
	} {
		got, found := withoutQuery(raw, "key")
		if got != want || found != (got != raw) {
			t.Errorf("%q without key is %q (found %t), want %q", raw, got, found, want)
		}
	}
}
