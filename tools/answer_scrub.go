package tools

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/store"
)

// removed stands where an API sent the credential of the call back.
const removed = "[credential removed by exeat]"

// shortest is the length below which a credential is not looked for: cutting
// shorter ones out would damage answers and protect nobody.
const shortest = 8

// credentials are the secrets that req carries beyond the request that was
// decided, longest first: what was put into headers, cookies or the query, as
// a whole and in the parts that an API may show.
func credentials(req *http.Request, q store.Request) []string {
	var out []string
	for name, values := range req.Header {
		for _, v := range values {
			if name == "User-Agent" || name == "Accept-Encoding" || name == "Content-Type" || slices.Contains(q.Header[name], v) {
				continue
			}
			if name == "Cookie" {
				out = append(out, added(v, strings.Join(q.Header["Cookie"], "; "), ";")...)
				continue
			}
			out = append(out, v, v[strings.LastIndexByte(v, ' ')+1:])
			if pair, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(v, "Basic ")); err == nil {
				_, password, _ := strings.Cut(string(pair), ":")
				out = append(out, string(pair), password)
			}
		}
	}
	_, query, _ := strings.Cut(q.Target, "?")
	for _, v := range added(req.URL.RawQuery, query, "&") {
		out = append(out, v)
		if plain, err := url.QueryUnescape(v); err == nil {
			out = append(out, plain)
		}
	}
	out = slices.DeleteFunc(out, func(s string) bool { return len(s) < shortest })
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(out)
}

// added are the values of the pairs that stand in all behind those of before.
func added(all, before, separator string) (values []string) {
	for pair := range strings.SplitSeq(strings.TrimPrefix(all, before), separator) {
		if _, v, ok := strings.Cut(pair, "="); ok {
			values = append(values, v)
		}
	}
	return values
}

// scrub cuts secrets out of an answer and reports whether there were any. An API
// that shows its callers their requests must not show the agent what it never
// gets; one that wants to tell a secret can always write it in another way.
func scrub(a *openapi.Response, secrets []string) bool {
	found := false
	for _, text := range []*string{&a.Text, &a.Note, &a.MediaType} {
		if clean := cutAll(*text, secrets); clean != *text {
			*text, found = clean, true
		}
	}
	if whole := cutBeginning(a.Text, secrets); a.Note != "" && whole != a.Text {
		a.Text, found = whole+removed, true
	}
	if a.JSON != nil {
		if clean := cutStrings(a.JSON, secrets); clean != nil {
			a.JSON, found = clean, true
		}
	}
	for _, secret := range secrets {
		if bytes.Contains(a.Binary, []byte(secret)) {
			a.Binary, found = nil, true
		}
	}
	if found {
		a.Note = join("the API sent the credential of this call back; it was cut out", a.Note)
	}
	return found
}

func cutAll(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, removed)
	}
	return text
}

// cutBeginning drops the beginning of a secret at the end of a text that was
// cut in its middle.
func cutBeginning(text string, secrets []string) string {
	for _, secret := range secrets {
		for n := len(secret) - 1; n >= shortest; n-- {
			if strings.HasSuffix(text, secret[:n]) {
				return text[:len(text)-n]
			}
		}
	}
	return text
}

// cutStrings cuts secrets out of every string of a JSON text, names too, however
// it is escaped. It is nil if nothing changes.
func cutStrings(data []byte, secrets []string) []byte {
	// If none stands there as it is, only a string with escapes can hold one.
	plainly := slices.ContainsFunc(secrets, func(s string) bool { return bytes.Contains(data, []byte(s)) })
	var out []byte
	last := 0
	for i := 0; i < len(data); i++ {
		if data[i] != '"' {
			continue
		}
		begin, escaped := i, false
		for i++; data[i] != '"'; i++ {
			if data[i] == '\\' {
				i, escaped = i+1, true
			}
		}
		if !plainly && !escaped {
			continue
		}
		text := string(data[begin+1 : i])
		if escaped && json.Unmarshal(data[begin:i+1], &text) != nil {
			continue // a JSON text has no such strings
		}
		if clean := cutAll(text, secrets); clean != text {
			out = append(append(out, data[last:begin]...), mustJSON(clean)...)
			last = i + 1
		}
	}
	if out == nil {
		return nil
	}
	return append(out, data[last:]...)
}
