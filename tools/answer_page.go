package tools

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Page says how to get more of an answer: the same call with these arguments in
// the place of those that it had.
type Page struct {
	Next map[string]any `json:"next"`
}

// maxCursor bounds what an API can put into an argument, in bytes.
const maxCursor = 2000

// page is how the API says that there is more, in words of the tool's arguments:
// by a Link header (RFC 8288), or by a URL or a cursor in the answer that the
// agent gets. It is nil if it does not say, or if what it says is not for this
// tool. A hint decides nothing: the next call is checked like any other.
func (c *call) page(header http.Header, body json.RawMessage) *Page {
	if c.writes() {
		return nil
	}
	if next := c.byURL(linkNext(header)); next != nil {
		return &Page{next}
	}
	var top members
	if len(body) == 0 || body[0] != '{' || !mayHint(body) || json.Unmarshal(body, &top) != nil {
		return nil
	}
	for _, path := range nextURLs {
		var text string
		if v := top.dig(path); v != nil && json.Unmarshal(v, &text) == nil {
			if next := c.byURL(text); next != nil {
				return &Page{next}
			}
		}
	}
	if next := c.byCursor(top); next != nil {
		return &Page{next}
	}
	return nil
}

// Where APIs put the next page's URL, and its cursor.
var (
	nextURLs = [][]string{{"next"}, {"next_url"}, {"nextUrl"}, {"next_page_url"}, {"next_page_uri"}, {"nextLink"}, {"@odata.nextLink"}, {"links", "next"}, {"_links", "next", "href"},
		{"links", "pages", "next"}, {"paging", "next"}, {"pagination", "next"}, {"meta", "next"}}
	cursors = [][]string{{"next_cursor"}, {"nextCursor"}, {"next_page_token"}, {"nextPageToken"}, {"next_token"}, {"nextToken"}, {"NextToken"}, {"next_page"}, {"nextPage"}, {"cursor", "next"},
		{"response_metadata", "next_cursor"}, {"meta", "next_cursor"}, {"meta", "nextCursor"}, {"pagination", "next_cursor"}, {"paging", "next", "after"}, {"paging", "cursors", "after"}, {"metadata", "continue"}, {"continuationToken"}}
	// cursorArguments are names of arguments, without marks and capitals, that take a cursor.
	cursorArguments = []string{"cursor", "pagetoken", "nexttoken", "token", "after", "continue", "continuationtoken", "startcursor", "page", "offset"}
)

// mayHint reports whether a body can hold any of these names, and needs to be read for
// them. One with escapes may write a name in another way.
func mayHint(body []byte) bool {
	for _, part := range []string{"ext", "after", "continu", "has_more", `\`} {
		if bytes.Contains(body, []byte(part)) {
			return true
		}
	}
	return false
}

// members are those of an object, not decoded: of a large answer a few are looked
// at.
type members map[string]json.RawMessage

// dig goes down a path of names; nil if there is nothing.
func (m members) dig(path []string) json.RawMessage {
	v, ok := m[path[0]]
	if !ok {
		return nil
	}
	if len(path) == 1 {
		return v
	}
	var inner members
	if json.Unmarshal(v, &inner) != nil {
		return nil
	}
	return inner.dig(path[1:])
}

var linkPart = regexp.MustCompile(`<([^<>]*)>((?:[^,<"]|"[^"]*")*)`)

// linkNext is the target of the link with the relation next.
func linkNext(header http.Header) string {
	for _, line := range header.Values("Link") {
		if len(line) > 8<<10 {
			continue
		}
		for _, m := range linkPart.FindAllStringSubmatch(line, 20) {
			for param := range strings.SplitSeq(m[2], ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
				if strings.EqualFold(name, "rel") && slices.Contains(strings.Fields(strings.ToLower(strings.Trim(value, `"`))), "next") {
					return m[1]
				}
			}
		}
	}
	return ""
}

// byURL turns the URL of the next page into arguments: one of the same place, all
// of whose query is arguments of the tool. The URL itself may hold a credential,
// or lead elsewhere; the agent does not get it.
func (c *call) byURL(text string) map[string]any {
	if text == "" || len(text) > 4*maxCursor {
		return nil
	}
	now, err := url.Parse(c.request.Origin + c.request.Target)
	if err != nil {
		return nil
	}
	next, err := now.Parse(text)
	if err != nil || next.Scheme != now.Scheme || !strings.EqualFold(next.Host, now.Host) || next.EscapedPath() != now.EscapedPath() || next.User != nil {
		return nil
	}
	query, err := url.ParseQuery(next.RawQuery)
	if err != nil {
		return nil
	}
	had := now.Query()
	args := map[string]any{}
	for name, values := range query {
		if slices.Equal(values, had[name]) {
			continue
		}
		property, kind, ok := c.tool.op.QueryArgument(name)
		if !ok || len(values) != 1 {
			return nil
		}
		v := asArgument(values[0], kind)
		if v == nil {
			return nil
		}
		args[property] = v
	}
	if len(args) == 0 {
		return nil
	}
	return args
}

// asArgument is a text as an argument of a type, or nil.
func asArgument(text, kind string) any {
	if text == "" || len(text) > maxCursor || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return nil
	}
	if kind == "integer" || kind == "number" {
		n := json.Number(text)
		if _, err := n.Float64(); err != nil || !json.Valid([]byte(text)) {
			return nil
		}
		return n
	}
	return text
}

// byCursor turns a cursor of the answer, or the id of its last item, into
// arguments.
func (c *call) byCursor(top members) map[string]any {
	for _, path := range cursors {
		text := cursorText(top.dig(path))
		if text == "" {
			continue
		}
		property, kind, ok := c.tool.op.ArgumentNamed(cursorArguments)
		if !ok {
			continue
		}
		if v := asArgument(text, kind); v != nil {
			return map[string]any{property: v}
		}
	}
	if string(top["has_more"]) == "true" {
		var list []json.RawMessage
		if json.Unmarshal(top["data"], &list) != nil || len(list) == 0 {
			return nil
		}
		var last struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(list[len(list)-1], &last) != nil {
			return nil
		}
		id := last.ID
		if property, kind, ok := c.tool.op.ArgumentNamed([]string{"startingafter", "after", "afterid"}); ok {
			if v := asArgument(id, kind); v != nil {
				return map[string]any{property: v}
			}
		}
	}
	return nil
}

// cursorText is a cursor as a text, or a number as it was written.
func cursorText(raw json.RawMessage) string {
	var text string
	if raw == nil || json.Unmarshal(raw, &text) == nil {
		return text
	}
	if n := json.Number(raw); json.Valid(raw) && raw[0] != '{' && raw[0] != '[' && raw[0] != 't' && raw[0] != 'f' {
		return n.String()
	}
	return ""
}
