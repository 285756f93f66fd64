package authz

import (
	"strings"
	"time"
)

// timeLayouts are how an instant is written: RFC 3339, and what programs write of ISO
// 8601 that names one as well, without seconds and with a shorter offset. Go reads
// fractions of seconds after all of them.
var timeLayouts = func() (out []string) {
	for _, clock := range []string{"15:04:05", "15:04"} {
		for _, offset := range []string{"Z07:00", "Z0700", "Z07"} {
			out = append(out, "2006-01-02T"+clock+offset)
		}
	}
	return out
}()

// parseTime reads an instant. The problem says what keeps a text from being one, and
// how it would be: a date, or a time without an offset, is another instant in every
// zone, so a policy cannot ask whether it is over. With a zone that the operator names, a
// time without an offset is the one instant there, unless clocks are set over it.
func parseTime(s string, zone *time.Location) (at time.Time, problem string) {
	const like = "; write it like 2026-12-24T18:00:00+01:00 or 2026-12-24T17:00:00Z"
	// RFC 3339 has a space and small letters too (section 5.6).
	plain := strings.ToUpper(s)
	if len(plain) > 10 && plain[10] == ' ' {
		plain = plain[:10] + "T" + plain[11:]
	}
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, plain); err == nil {
			return at, ""
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04"} {
		wall, err := time.Parse(layout, plain)
		if err == nil && zone != nil {
			return inZone(wall, zone, like)
		}
		if err == nil {
			return at, "has no offset from UTC, so it is no instant" + like
		}
	}
	if _, err := time.Parse(time.DateOnly, plain); err == nil {
		return at, "is a date without a time, so it is no instant" + like
	}
	return at, "is not a date-time of RFC 3339" + like
}

// inZone is the instant at which clocks in a zone show what wall shows in UTC.
func inZone(wall time.Time, zone *time.Location, like string) (time.Time, string) {
	var found []time.Time
	for _, near := range []time.Time{wall.Add(-24 * time.Hour), wall.Add(24 * time.Hour)} {
		_, offset := near.In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if _, there := at.In(zone).Zone(); there == offset && (len(found) == 0 || !found[0].Equal(at)) {
			found = append(found, at)
		}
	}
	switch len(found) {
	case 0:
		return wall, "is a time that clocks in " + zone.String() + " skip" + like
	case 1:
		return found[0], ""
	}
	return wall, "is a time that clocks in " + zone.String() + " show twice" + like
}
