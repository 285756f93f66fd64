package notify

import (
	"fmt"
	"time"
)

// Quiet are hours of the day in which people are not told anything. The zero
// Quiet has none.
type Quiet struct {
	From, To time.Duration // since midnight; To may be before From
	Zone     *time.Location
}

// ParseQuiet reads times like "22:00" and the name of a zone, such as
// Europe/Berlin; no name means the zone of this machine.
func ParseQuiet(from, to, zone string) (Quiet, error) {
	if from == "" && to == "" && zone == "" {
		return Quiet{}, nil
	}
	q := Quiet{Zone: time.Local}
	for _, t := range []struct {
		text string
		to   *time.Duration
	}{{from, &q.From}, {to, &q.To}} {
		at, err := time.Parse("15:04", t.text)
		if err != nil {
			return Quiet{}, fmt.Errorf("quiet: %q is no time of day: write it as 22:00", t.text)
		}
		*t.to = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	}
	if q.From == q.To {
		return Quiet{}, fmt.Errorf("quiet: from and to are the same: people would never be told, or always; leave quiet out for always")
	}
	if zone != "" {
		var err error
		if q.Zone, err = time.LoadLocation(zone); err != nil {
			return Quiet{}, fmt.Errorf("quiet: there is no zone %q: write it as Europe/Berlin", zone)
		}
	}
	return q, nil
}

// until is when the quiet hours that now is in end, or now if it is in none.
func (q Quiet) until(now time.Time) time.Time {
	if q.From == q.To {
		return now
	}
	local := now.In(q.Zone)
	y, m, d := local.Date()
	// Times of the clock on the wall, so that days of 23 and 25 hours are right.
	at := func(day int, t time.Duration) time.Time {
		return time.Date(y, m, d+day, int(t.Hours()), int(t.Minutes())%60, 0, 0, q.Zone)
	}
	for _, day := range []int{-1, 0} {
		begin, end := at(day, q.From), at(day, q.To)
		if q.To < q.From {
			end = at(day+1, q.To)
		}
		if !now.Before(begin) && now.Before(end) {
			return end
		}
	}
	return now
}
