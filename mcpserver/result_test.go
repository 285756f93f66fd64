package mcpserver

import "testing"

// JavaScript reads numbers as doubles: larger integers are texts for it.
func TestQuoteLargeNumbers(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":9007199254740991,"b":-9007199254740991}`:                                  `{"a":9007199254740991,"b":-9007199254740991}`,
		`{"a":9007199254740992,"b":[-9007199254740993]}`:                                `{"a":"9007199254740992","b":["-9007199254740993"]}`,
		`{"a":123456789012345678901234567890,"b":"12345678901234567890"}`:               `{"a":"123456789012345678901234567890","b":"12345678901234567890"}`,
		`{"9007199254740993":"\"9007199254740993","c":1.5e300,"d":12345678901234567.5}`: `{"9007199254740993":"\"9007199254740993","c":1.5e300,"d":12345678901234567.5}`,
		`{}`: `{}`,
	} {
		if got := string(appendValue(nil, []byte(in))); got != want {
			t.Errorf("%s becomes %s", in, got)
		}
	}
}
