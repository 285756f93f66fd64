package authz

import (
	"strings"
	"testing"
	"time"
)

// What names an instant is one however it is written. What names none says so, and
// how it would.
func TestParseTime(t *testing.T) {
	want := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	for _, s := range []string{"2026-11-28T10:00:00Z", "2026-11-28t10:00:00z", "2026-11-28 10:00:00Z", "2026-11-28T12:00:00+02:00", "2026-11-28T12:00:00+0200",
		"2026-11-28T12:00:00+02", "2026-11-28T10:00:00.000Z", "2026-11-28T10:00Z", "2026-11-28T04:30-0530", "2026-11-28 12:00+02", "2026-11-28T10:00:00,0Z"} {
		if at, problem := parseTime(s, nil); problem != "" || !at.Equal(want) {
			t.Errorf("%s: %v, %q", s, at, problem)
		}
	}
	for s, want := range map[string]string{
		"2026-11-28T10:00:00": "has no offset from UTC", "2026-11-28 10:00:00": "has no offset from UTC", "2026-11-28T10:00:00.5": "has no offset from UTC",
		"2026-11-28T10:00": "has no offset from UTC",
		"2026-11-28":       "is a date without a time",
		"10:00:00Z":        "is not a date-time", "10:00": "is not a date-time", "2026-11-28Z": "is not a date-time", "2026-W48-6": "is not a date-time", "1764324000": "is not a date-time",
		"2026-02-30T10:00:00Z": "is not a date-time", "2026-11-28T24:00:00Z": "is not a date-time", "2026-11-28T10:00:00 Z": "is not a date-time",
		"2026-11-28T10:00:00 Europe/Berlin": "is not a date-time", "tomorrow": "is not a date-time", "": "is not a date-time",
	} {
		if _, problem := parseTime(s, nil); !strings.HasPrefix(problem, want) || !strings.Contains(problem, "write it like 2026-12-24T18:00:00+01:00") {
			t.Errorf("%q: %q, want %q", s, problem, want)
		}
	}
}

// In a zone that the operator names, a time without an offset is the one instant at
// which clocks there show it. What they skip or show twice is none.
func TestTimesInZone(t *testing.T) {
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	for _, tt := range []struct{ zone, at, want, says string }{
		{"Europe/Berlin", "2026-11-28T10:00:00", "2026-11-28T09:00:00Z", ""},
		{"Europe/Berlin", "2026-07-01 10:00", "2026-07-01T08:00:00Z", ""},
		{"Europe/Berlin", "2026-07-01T10:00:00Z", "2026-07-01T10:00:00Z", ""}, // its own offset counts
		{"UTC", "2026-07-01T10:00:00.5", "2026-07-01T10:00:00.5Z", ""},
		{"Asia/Kolkata", "2026-07-01T10:00:00", "2026-07-01T04:30:00Z", ""},
		{"America/New_York", "2026-12-31T23:30:00", "2027-01-01T04:30:00Z", ""},
		{"Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z", ""},
		{"Europe/Berlin", "2026-03-29T02:30:00", "", "that clocks in Europe/Berlin skip; write it like"},
		{"Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00Z", ""},
		{"Europe/Berlin", "2026-10-25T02:30:00", "", "that clocks in Europe/Berlin show twice; write it like"},
		{"Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z", ""},
		{"Pacific/Apia", "2011-12-30T12:00:00", "", "skip"}, // a day that was not there
		{"Europe/Berlin", "2026-11-28", "", "is a date without a time"},
	} {
		at, problem := parseTime(tt.at, zone(tt.zone))
		if tt.want == "" && !strings.Contains(problem, tt.says) || tt.want != "" && (problem != "" || at.UTC().Format(time.RFC3339Nano) != tt.want) {
			t.Errorf("%s in %s: %v %q, want %s%s", tt.at, tt.zone, at, problem, tt.want, tt.says)
		}
	}
	api := places()
	text := []PolicyFile{{Name: "p", Text: []byte(`permit (principal, action, resource);
		forbid (principal, action in Action::"call_tool", resource) when { context.input has at && context.input.at >= datetime("2026-11-28T09:30:00Z") };`)}}
	plain, err := New([]API{api}, text)
	if err != nil {
		t.Fatal(err)
	}
	api.Zone = zone("Europe/Berlin")
	e, err := New([]API{api}, text)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]Outcome{"2026-11-28T10:00:00": Allow, "2026-11-28T10:30:00": Deny, "2026-10-25T02:30:00": Deny} {
		if d := e.Decide(near(t, `{"lat":1,"at":"`+at+`"}`)); d.Outcome != want {
			t.Errorf("%s: %+v", at, d)
		}
	}
	if e.Digest() == plain.Digest() {
		t.Error("the zone decides, and the digest does not say so")
	}
}

// A time without an offset keeps nobody from a call that no policy judges by it. Where
// one does the call is denied, permit or forbid, and the reason says how it is written.
func TestTimesWithoutOffset(t *testing.T) {
	for _, policies := range []string{
		`@id("p") permit (principal, action in Action::"call_tool", resource) when { context.input has at && context.input.at > datetime("2026-01-01") };`,
		`@id("p") permit (principal, action in Action::"call_tool", resource) unless { context.input has at && context.input.at < datetime("2026-01-01") };`,
		`permit (principal, action, resource);
		@id("p") forbid (principal, action in Action::"call_tool", resource) when { context.input has at && context.input.at > context.now };`,
		`permit (principal, action, resource);
		@id("p") forbid (principal, action in Action::"call_tool", resource) unless { context.input has at && context.input.at.toTime() > duration("8h") };`,
	} {
		e := placesEngine(t, policies)
		for _, at := range []string{"2026-11-28T10:00:00", "2026-11-28"} {
			d := e.Decide(near(t, `{"lat":1,"at":"`+at+`"}`))
			if d.Outcome != Deny || d.Remediation != RemedyArgs || !strings.Contains(d.Reason, "p asks about an argument that policies cannot compare: /at ") || !strings.Contains(d.Reason, "write it like") {
				t.Errorf("%s\n%s: %s %s", policies, at, d.Outcome, d.Reason)
			}
		}
	}
	e := placesEngine(t, `permit (principal, action in Action::"call_tool", resource) when { context.input has at };`)
	if d := e.Decide(near(t, `{"lat":1,"at":"2026-11-28T10:00:00"}`)); d.Outcome != Allow {
		t.Errorf("nobody asks when: %+v", d)
	}
}

// Dates and times of day are texts, which can be compared as such.
func TestDatesAreTexts(t *testing.T) {
	api := []API{{Name: "maps", Actions: []Action{{Name: "near", Effect: "write", Path: "/near", Input: []byte(`{"type":"object","required":["day","time"],"properties":{
		"day":{"type":"string","format":"date"},"time":{"type":"string","format":"time"}}}`)}}}}
	e, err := New(api, []PolicyFile{{Name: "p", Text: []byte(`permit (principal, action in Action::"call_tool", resource);
		forbid (principal, action in Action::"call_tool", resource) when { context.input.day like "2026-12-*" || context.input.time == "18:00:00" };`)}})
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]Outcome{
		`{"day":"2026-11-28","time":"10:00:00"}`: Allow, `{"day":"2026-12-01","time":"10:00:00"}`: Deny, `{"day":"2026-11-28","time":"18:00:00"}`: Deny,
	} {
		if d := e.Decide(near(t, args)); d.Outcome != want {
			t.Errorf("%s: %s", args, d.Outcome)
		}
	}
	_, err = New(api, []PolicyFile{{Name: "p", Text: []byte(`forbid (principal, action in Action::"call_tool", resource) when { context.input.day > datetime("2026-12-01") };`)}})
	if err == nil || !strings.Contains(err.Error(), `a text has no order, not even a date's: compare it with == or like "2026-12-*"`) {
		t.Error(err)
	}
}
