package tally

import (
	"fmt"
	"testing"
	"time"
)

func TestTallyIsBounded(t *testing.T) {
	var c Counter
	now := time.Now()
	for i := range 2 * maxSpans {
		c.Add(fmt.Sprint(i), now, time.Hour)
	}
	if n := len(c.spans); n > maxSpans {
		t.Errorf("%d names", n)
	}
	if c.Add("a", now, time.Minute) != 1 || c.Add("a", now.Add(time.Minute-1), time.Minute) != 2 || c.Add("a", now.Add(time.Minute), time.Minute) != 1 {
		t.Error("counted wrongly")
	}
}
