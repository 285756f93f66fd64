package approvaltest

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Document is one of the JSON columns of a stored hold.
func (w *World) Document(column, id string) (doc any) {
	w.T.Helper()
	var raw []byte
	if err := w.Raw.QueryRow("SELECT "+column+" FROM holds WHERE id = $1", id).Scan(&raw); err != nil {
		w.T.Fatal(err)
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		w.T.Fatal(err)
	}
	return doc
}

// Rewrite writes one value inside a JSON column, altered or as it is.
func (w *World) Rewrite(column, path, id string, alter bool) {
	w.T.Helper()
	value := valueAt(w.Document(column, id), strings.Split(path, "."))
	if alter {
		value = another(value)
	}
	b, err := json.Marshal(value)
	if err != nil {
		w.T.Fatal(err)
	}
	where := "$"
	for _, step := range strings.Split(path, ".") {
		if _, err := strconv.Atoi(step); err == nil {
			where += "[" + step + "]"
		} else {
			where += `."` + step + `"`
		}
	}
	w.SQL("UPDATE holds SET "+column+" = json_set(CAST("+column+" AS TEXT), $1, json($2)) WHERE id = $3", where, string(b), id)
}

// Paths lists every value of a document that holds no others.
func Paths(doc any) (list []string) {
	add := func(step string, v any) {
		for _, p := range Paths(v) {
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

// valueAt is the value at a path of a document.
func valueAt(doc any, path []string) any {
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

// another is a value of the same kind that is not this one.
func another(v any) any {
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
