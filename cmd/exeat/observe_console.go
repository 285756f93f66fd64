package main

import (
	"bytes"
	"io"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// consoleLines writes lines of the log for a terminal, as zerolog's ConsoleWriter does,
// but without decoding each: a call has one. What is not plain is left to that.
type consoleLines struct{ next io.Writer }

// newConsole is zerolog's way to write for a terminal.
func newConsole(w io.Writer) zerolog.ConsoleWriter {
	return zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: true}
}

// Write takes one line, as JSON.
func (c consoleLines) Write(line []byte) (int, error) { return c.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter.
func (c consoleLines) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	out, ok := appendConsole(make([]byte, 0, 512), level, line)
	if !ok {
		var plain bytes.Buffer
		if _, err := newConsole(&plain).Write(line); err != nil {
			return 0, err
		}
		out = plain.Bytes()
	}
	if _, err := writeLevel(c.next, level, out); err != nil {
		return 0, err
	}
	return len(line), nil
}

// writeLevel tells a writer the level of a line, if it wants to know.
func writeLevel(w io.Writer, level zerolog.Level, line []byte) (int, error) {
	if by, ok := w.(zerolog.LevelWriter); ok {
		return by.WriteLevel(level, line)
	}
	return w.Write(line)
}

// logField is a member of a line: its value is the text within a string, or as it stands.
type logField struct{ name, value []byte }

// appendConsole writes time, level, message, error and the other fields by name. It is
// not ok if one of them is not plain.
func appendConsole(out []byte, level zerolog.Level, line []byte) (_ []byte, ok bool) {
	var room [24]logField
	fields, ok := plainFields(room[:0], line)
	if !ok || level != zerolog.InfoLevel {
		return out, false
	}
	take := func(name string) []byte {
		for i, f := range fields {
			if string(f.name) == name {
				fields = slices.Delete(fields, i, i+1)
				return f.value
			}
		}
		return nil
	}
	at, said, message := take(zerolog.TimestampFieldName), take(zerolog.LevelFieldName), take(zerolog.MessageFieldName)
	const stamp = "2006-01-02T15:04:05"
	if len(at) < len(stamp) || string(said) != zerolog.LevelInfoValue || len(message) == 0 {
		return out, false
	}
	out = append(append(out, at[len("2006-01-02T"):len(stamp)]...), " INF "...)
	out = append(out, message...)
	slices.SortFunc(fields, func(a, b logField) int { return bytes.Compare(a.name, b.name) })
	for i, f := range fields {
		if i > 0 && bytes.Equal(f.name, fields[i-1].name) || string(f.name) == zerolog.ErrorFieldName || string(f.name) == zerolog.CallerFieldName {
			return out, false
		}
		out = append(append(append(append(out, ' '), f.name...), '='), f.value...)
	}
	return append(out, '\n'), true
}

// plainFields are the members of a line whose values are texts of letters, digits and
// marks, numbers, or lists of printable text. It is not ok if there are others.
func plainFields(out []logField, line []byte) (_ []logField, ok bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	if len(line) < 2 || line[0] != '{' || line[len(line)-1] != '}' {
		return nil, false
	}
	for i := 1; i < len(line); i++ { // behind { or ,
		name, value, end := memberAt(line, i)
		if end == 0 || len(out) == cap(out) {
			return nil, false
		}
		out = append(out, logField{name, value})
		switch i = end; line[i] {
		case '}':
			return out, i == len(line)-1
		case ',':
		default:
			return nil, false
		}
	}
	return nil, false
}

// memberAt is the member that begins there, and where it ends; 0 if it is not plain.
func memberAt(line []byte, i int) (name, value []byte, end int) {
	name, end = quotedAt(line, i)
	if end == 0 || end+1 >= len(line) || line[end] != ':' {
		return nil, nil, 0
	}
	i = end + 1
	switch c := line[i]; {
	case c == '"':
		value, end = quotedAt(line, i)
		return name, value, end
	case c == '-' || c >= '0' && c <= '9':
		end = i + max(0, bytes.IndexAny(line[i:], ",}"))
		return name, line[i:end], end
	case c == '[':
		end = i + 1 + bytes.IndexByte(line[i:], ']')
		inner := bytes.ReplaceAll(line[i:end], []byte(`"`), nil)
		return name, line[i:end], map[bool]int{true: end}[end > i+1 && plainText(inner) && bytes.Count(inner, []byte("[")) == 1]
	}
	return nil, nil, 0
}

// quotedAt is the plain text in quotes that begins there, and where it ends; 0 if there
// is none.
func quotedAt(line []byte, i int) (text []byte, end int) {
	if i >= len(line) || line[i] != '"' {
		return nil, 0
	}
	n := bytes.IndexByte(line[i+1:], '"')
	if n < 0 || !plainText(line[i+1:i+1+n]) {
		return nil, 0
	}
	return line[i+1 : i+1+n], i + n + 2
}

// plainText reports whether a text is written as it is, without quotes.
func plainText(s []byte) bool {
	for _, c := range s {
		if c <= ' ' || c > 0x7e || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}
