package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"
)

// Bounds of a line of the log, in bytes: what is written as it is, the longest text of
// a longer one, and how many there are in a list.
const (
	maxLogLine    = 4 << 10
	maxLoggedText = 200
	maxLoggedList = 20
)

// cutLines cuts the texts of long lines, so that nobody fills the disk by what they
// call themselves, ask for or answer.
type cutLines struct{ next io.Writer }

// Write takes one line, as JSON.
func (c cutLines) Write(line []byte) (int, error) { return c.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter.
func (c cutLines) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if len(line) <= maxLogLine {
		return writeLevel(c.next, level, line)
	}
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	short := line[:maxLogLine]
	if d.Decode(&fields) == nil {
		if b, err := json.Marshal(cutValue(fields)); err == nil {
			short = b
		}
	}
	if _, err := writeLevel(c.next, level, append(short[:len(short):len(short)], '\n')); err != nil {
		return 0, err
	}
	return len(line), nil
}

func cutValue(v any) any {
	switch v := v.(type) {
	case string:
		return cutText(v)
	case map[string]any:
		for key, x := range v {
			v[key] = cutValue(x)
		}
	case []any:
		more := len(v) - maxLoggedList
		if more > 0 {
			v = v[:maxLoggedList]
		}
		for i, x := range v {
			v[i] = cutValue(x)
		}
		if more > 0 {
			v = append(v, fmt.Sprintf("… and %d more", more))
		}
		return v
	}
	return v
}

// cutText bounds a text that somebody else chose.
func cutText(s string) string {
	if len(s) <= maxLoggedText {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:maxLoggedText], ""), len(s))
}
