package main

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/exeat/exeat/openapi/nearest"
)

var (
	unknownField = regexp.MustCompile(`^line (\d+): field (\S+) not found in type (\S+)$`)
	wrongType    = regexp.MustCompile("(?s)^line (\\d+): cannot unmarshal (\\S+)(?: `(.*)`)? into (\\S+)$")
)

// explainYAML rewords the YAML library's errors for people.
func explainYAML(err error) string {
	var te *yaml.TypeError
	if !errors.As(err, &te) {
		return strings.TrimPrefix(err.Error(), "yaml: ")
	}
	sections := configSections(reflect.TypeFor[config](), "", nil)
	var out []string
	for _, e := range te.Errors {
		if m := unknownField.FindStringSubmatch(e); m != nil {
			e = fmt.Sprintf("line %s: %s", m[1], explainKey(m[2], m[3], sections))
		} else if m := wrongType.FindStringSubmatch(e); m != nil {
			e = fmt.Sprintf("line %s: %s is not %s", m[1], cmp.Or(m[3], yamlKinds[m[2]], m[2]), describeType(m[4], sections))
		}
		out = append(out, e)
	}
	return strings.Join(out, "; ")
}

// section is a part of the configuration that has keys.
type section struct {
	typ  string // as the YAML library names it
	path string // "" is the file itself
	keys []string
}

// configSections lists t, which is at path, and all sections in it.
func configSections(t reflect.Type, path string, in []section) []section {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		if t.Kind() == reflect.Slice {
			path += "[]"
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return in
	}
	at := len(in)
	in = append(in, section{typ: t.String(), path: path})
	for i := range t.NumField() {
		f := t.Field(i)
		if key := f.Tag.Get("yaml"); key != "" {
			in[at].keys = append(in[at].keys, key)
			in = configSections(f.Type, strings.TrimPrefix(path+"."+key, "."), in)
		}
	}
	return in
}

// tlsKeys are keys by which people look for TLS.
var tlsKeys = []string{"tls", "ssl", "https", "cert", "certs", "certificate", "tls_cert", "tls_key", "cert_file", "key_file"}

// explainKey says what may have been meant by a key that there is not.
func explainKey(key, typ string, sections []section) string {
	said := fmt.Sprintf("there is no key %q", key)
	here := slices.IndexFunc(sections, func(s section) bool { return s.typ == typ })
	if here < 0 {
		return said
	}
	if sections[here].path != "" {
		said = sections[here].path + ": " + said
	}
	elsewhere := slices.IndexFunc(sections, func(s section) bool { return slices.Contains(s.keys, key) })
	switch near := nearestWord(key, sections[here].keys); {
	case near != "" && elsewhere < 0:
		return said + fmt.Sprintf("; did you mean %q?", near)
	case slices.Contains(tlsKeys, strings.ToLower(key)):
		return said + ": TLS of what exeat serves is tls: {cert: FILE, key: FILE} for MCP, and the same in inbox; to an API it speaks TLS wherever the base URL is https, with client_certificate if it has to show one"
	case elsewhere >= 0:
		return said + fmt.Sprintf("; it is a key of %s", cmp.Or(sections[elsewhere].path, "the file itself"))
	}
	return said + ": there are " + strings.Join(sections[here].keys, ", ")
}

// yamlKinds are the words for what a file may hold.
var yamlKinds = map[string]string{"!!seq": "a list", "!!map": "a part with keys", "!!null": "nothing"}

// describeType says what belongs where a Go type is read.
func describeType(typ string, sections []section) string {
	if of, ok := strings.CutPrefix(typ, "[]"); ok {
		return "a list (write each item as - …) whose items are each " + describeType(of, sections)
	}
	switch typ = strings.TrimPrefix(typ, "*"); typ {
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "int", "int64":
		return "a whole number"
	case reflect.TypeFor[time.Duration]().String():
		return "a time: write it like 30s, 5m or 1h30m"
	}
	if of, ok := strings.CutPrefix(typ, "map[string]"); ok {
		return "a part with keys of your own, each with " + describeType(of, sections)
	}
	for _, s := range sections {
		if s.typ == typ {
			return "a part with keys: " + strings.Join(s.keys, ", ")
		}
	}
	return "what belongs here"
}

// nearestWord returns the candidate closest to word, or "" if none is close.
func nearestWord(word string, candidates []string) string {
	return nearest.Find(word, candidates, max(1, (1+len(word))/3), strings.ToLower)
}
