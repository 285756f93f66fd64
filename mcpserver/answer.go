package mcpserver

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/exeat/exeat/openapi/strictjson"
	"github.com/exeat/exeat/tools"
)

// reply is a message to a client with the line break behind it, in pieces that are
// written one after the other.
type reply [][]byte

func newReply(b []byte) reply {
	if len(b) == 0 || b[len(b)-1] != '\n' {
		b = append(b, '\n')
	}
	return reply{b}
}

func (r reply) size() (n int) {
	for _, part := range r {
		n += len(part)
	}
	return n
}

// What follows writes what encoding/json makes of mcp-go's types, byte for byte:
// TestServe and FuzzServe compare the two.

// appendHead begins the response to a request, up to its result.
func appendHead(b []byte, id json.RawMessage) []byte {
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	for _, c := range id {
		if c == '\\' || c >= utf8.RuneSelf || c == '<' || c == '>' || c == '&' {
			id, _ = json.Marshal(textOf(id)) // of a string: it cannot fail
			break
		}
	}
	return append(append(b, id...), `,"result":`...)
}

// appendEnd ends the response.
func appendEnd(b []byte) []byte { return append(b, "}\n"...) }

// appendAnswer writes the response to a call. Its envelope is in it twice: as a
// text, and as a value for clients that read that.
func (s *Server) appendAnswer(m *message, r tools.Result) []byte {
	envelope := r.JSON()
	b := appendHead(make([]byte, 0, 512+len(envelope)*9/4), m.id)
	b = append(b, '{')
	if m.modern || r.Disposition != "" {
		b = append(s.appendMeta(append(b, `"_meta":`...), m.modern, r.Disposition), ',')
	}
	b = append(appendText(append(b, `"content":[{"type":"text","text":`...), envelope), '}')
	for _, one := range r.Blocks {
		content, _ := json.Marshal(block(one)) // of texts: it cannot fail
		b = append(append(b, ','), content...)
	}
	b = append(b, ']')
	if r.IsError() {
		b = append(b, `,"isError":true`...)
	}
	if m.modern {
		b = append(b, `,"resultType":"complete"`...)
	}
	b = append(appendValue(append(b, `,"structuredContent":`...), envelope), '}')
	return appendEnd(b)
}

func (s *Server) appendMeta(b []byte, modern bool, disposition string) []byte {
	b = append(b, '{')
	if modern {
		b = append(append(b, `"io.modelcontextprotocol/serverInfo":`...), s.info...)
	}
	if disposition != "" {
		if modern {
			b = append(b, ',')
		}
		b = appendText(append(b, `"`+dispositionMeta+`":`...), []byte(disposition))
	}
	return append(b, '}')
}

const hexDigits = "0123456789abcdef"

// plain are the bytes that a text may have as they are.
var plain = func() (is [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		is[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return is
}()

// appendText writes a text as a JSON string.
func appendText(b, text []byte) []byte {
	b = append(b, '"')
	last := 0
	for i := 0; i < len(text); {
		c := text[i]
		if plain[c] {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRune(text[i:]); !isSeparator(r) && (r != utf8.RuneError || size > 1) {
				i += size
				continue
			}
			b = append(b, text[last:i]...)
			b = append(b, `\u`...)
			b = append(b, hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		} else {
			b = appendEscape(append(b, text[last:i]...), c)
		}
		i += size
		last = i
	}
	return append(append(b, text[last:]...), '"')
}

// isSeparator reports what ends a line in JavaScript, and not in JSON.
func isSeparator(r rune) bool { return r == '\u2028' || r == '\u2029' }

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// appendValue writes an envelope as a value. Integers that a double does not hold
// are texts of their digits: JavaScript hosts would round them on the way to the
// model. In the text content they are as they were.
func appendValue(b, envelope []byte) []byte {
	last, quoted := 0, false
	for i := 0; i < len(envelope); i++ {
		switch c := envelope[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			i++ // only in strings
		case c == '<' || c == '>' || c == '&':
			b = appendEscape(append(b, envelope[last:i]...), c)
			last = i + 1
		case c == 0xE2 && i+2 < len(envelope) && envelope[i+1] == 0x80 && envelope[i+2]&^1 == 0xA8:
			b = append(append(b, envelope[last:i]...), `\u202`...)
			b = append(b, hexDigits[envelope[i+2]&15])
			i += 2
			last = i + 1
		case !quoted && (c == '-' || c >= '0' && c <= '9'):
			end, _ := strictjson.ScanScalar(envelope, i) // the envelope is JSON
			if end-i >= 16 && isLargeInteger(string(envelope[i:end])) {
				b = append(append(b, envelope[last:i]...), '"')
				b = append(append(b, envelope[i:end]...), '"')
				last = end
			}
			i = max(i, end-1)
		}
	}
	return append(b, envelope[last:]...)
}
