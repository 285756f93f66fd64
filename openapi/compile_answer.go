package openapi

import (
	"mime"
	"slices"
	"strings"
)

// answers notes what the operation's good answers may be, as far as the document
// tells.
func (b *builder) answers() {
	media, told := b.answerTypes()
	b.op.saysJSON = slices.ContainsFunc(media, func(m string) bool { return isJSON(essence(m)) })
	b.op.JSON = b.op.saysJSON || !told || slices.ContainsFunc(media, func(m string) bool { return strings.HasSuffix(essence(m), "*") })
	b.op.accept = acceptHeader(media)
	if fixed := b.c.api.headers.Get("Accept"); fixed != "" {
		b.op.accept = fixed
	}
}

// answerTypes are the media types of good answers, in the document's order. told
// is false if the document says nothing of them.
func (b *builder) answerTypes() (media []string, told bool) {
	responses, _ := b.v["responses"].(map[string]any)
	good := slices.DeleteFunc(sortedKeys(responses), func(status string) bool { return !strings.HasPrefix(status, "2") })
	if len(good) == 0 {
		good = []string{"default"}
	}
	for _, status := range good {
		x := responses[status]
		at, m, err := b.c.loader.follow(b.at.to("responses", status), x)
		if err != nil {
			continue // of no account for the call
		}
		if b.c.swagger2 {
			told = true
			if m["schema"] != nil {
				list := b.produces()
				return list, len(list) > 0
			}
			continue
		}
		content, ok := m["content"].(map[string]any)
		told = told || ok || x != nil && status != "default"
		media = append(media, b.inOrder(at.to("content"), content)...)
	}
	return media, told
}

// produces is what a Swagger 2.0 operation answers with. A parameter for Accept
// with an enum says it more exactly.
func (b *builder) produces() []string {
	all, _ := b.collect() // what is wrong with it, others say
	for _, p := range all {
		if accept := stringsOf(p.v["enum"]); p.in == "header" && strings.EqualFold(p.name, "Accept") && len(accept) > 0 {
			return accept
		}
	}
	if own, ok := b.v["produces"].([]any); ok {
		return stringsOf(own)
	}
	return stringsOf(b.c.doc["produces"])
}

// maxAccept bounds the types that an operation asks for by name.
const maxAccept = 8

// acceptHeader asks for an operation's own good answers first, JSON before others,
// then for JSON, in which errors often come, and then for anything.
func acceptHeader(media []string) string {
	var json, others []string
	for _, m := range media {
		e, params, err := mime.ParseMediaType(m)
		delete(params, "charset")
		_, weighed := params["q"]
		if err != nil || weighed || e == "*/*" || !visibleASCII(m) || strings.Contains(m, ",") || strings.Count(e, "/") != 1 || len(m) > 100 {
			continue
		}
		for name, value := range params {
			if e += ";" + name + "=" + value; !isToken(value) || len(params) > 1 {
				e = ""
				break
			}
		}
		list := &others
		if isJSON(essence(e)) {
			list = &json
		}
		if e != "" && !slices.Contains(*list, e) {
			*list = append(*list, e)
		}
	}
	all := append(json, others...)
	all = all[:min(len(all), maxAccept)]
	switch {
	case len(all) == 0:
		all = []string{"application/json"}
	case len(json) == 0:
		all = append(all, "application/json;q=0.8")
	}
	for i := range all {
		if i > 0 && !strings.Contains(all[i], ";q=") {
			all[i] += ";q=0.9"
		}
	}
	return strings.Join(all, ", ") + ", */*;q=0.5"
}
