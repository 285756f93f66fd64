package approval

import (
	"fmt"
	"testing"
	"time"
)

func TestTallyIsBounded(t *testing.T) {
	var c tally
	now := time.Now()
	for i := range 2 * maxSpans {
		c.count(fmt.Sprint(i), now, time.Hour)
	}
	if n := len(c.spans); n > maxSpans {
		t.Errorf("%d names", n)
	}
	if c.count("a", now, time.Minute) != 1 || c.count("a", now.Add(time.Minute-1), time.Minute) != 2 || c.count("a", now.Add(time.Minute), time.Minute) != 1 {
		t.Error("counted wrongly")
	}
}
