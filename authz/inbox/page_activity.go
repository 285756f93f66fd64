package inbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/store"
)

// Bounds of the activity page: entries looked at, calls shown, columns drawn.
const (
	activityCalls   = 200
	activityColumns = 24
)

// stretch is a stretch of time that the page can show.
type stretch struct {
	Key, Name string
	length    time.Duration
}

var stretches = []stretch{{"1h", "the last hour", time.Hour}, {"24h", "the last 24 hours", 24 * time.Hour}, {"7d", "the last 7 days", 7 * 24 * time.Hour}}

// loggedCall is one call as the log tells it.
type loggedCall struct {
	Txn, Agent, API, Tool, Method, Path string
	Decision                            string // allow, hold or deny
	By                                  string // the person who decided
	Code                                string
	Status                              int
	Last                                string // kind of its last entry
	Loose                               string // in what its credential is good for more than the call
	At                                  time.Time
	Ago                                 time.Duration // before the page was made
	ours                                bool          // the person may see it
}

// plainTxn is what the name of a call looks like; nothing else becomes a link.
var plainTxn = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

// Link is the call's page, or "".
func (c loggedCall) Link() string {
	if !plainTxn.MatchString(c.Txn) {
		return ""
	}
	return "/activity/" + c.Txn
}

// key names an agent or tool in a form or link, which hold no foreign text.
func key(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// add takes in the next entry of the call.
func (c *loggedCall) add(e store.Entry) {
	if c.Txn == "" {
		c.Txn, c.At = e.Txn, e.Time
	}
	c.Agent, c.API, c.Tool = cmp.Or(c.Agent, e.Agent), cmp.Or(c.API, e.API), cmp.Or(c.Tool, e.Tool)
	c.Method, c.Path = cmp.Or(c.Method, e.Method), cmp.Or(c.Path, e.Path)
	c.Loose = cmp.Or(c.Loose, e.Loose())
	if e.Kind == store.KindSpent {
		return // the call was over before
	}
	c.By, c.Code, c.Status = cmp.Or(e.By, c.By), cmp.Or(e.Code, c.Code), cmp.Or(e.Status, c.Status)
	switch {
	case e.Kind == store.KindHold:
		c.Decision = "hold" // and stays so: what comes of it is told by the last entry
	case c.Decision == "" && e.Kind == store.KindDenied:
		c.Decision = "deny"
	case c.Decision == "":
		c.Decision = cmp.Or(e.Decision, "allow")
	}
	c.Last = string(e.Kind)
}

// ours reports whether an entry is about a call of the person's own agents, or
// was decided by them.
func ours(e store.Entry, s session) bool {
	return e.Principal == s.who.Name() || e.By == s.who.Name()
}

// calls reads the newest calls that the person may see since a time, newest
// first. whole is false if the log goes back further than was read.
func (in *Inbox) calls(r *http.Request, s session, since time.Time) (calls []*loggedCall, whole bool, err error) {
	byTxn := map[string]*loggedCall{}
	n := 0
	first := time.Time{}
	err = in.c.Store.Newest(r.Context(), approval.ActivityEntries, func(e store.Entry) error {
		if n++; n == 1 {
			first = e.Time
		}
		if e.Time.Before(since) || e.Txn == "" {
			return nil
		}
		c, ok := byTxn[e.Txn]
		if !ok {
			c = &loggedCall{}
			byTxn[e.Txn] = c
			calls = append(calls, c)
		}
		c.add(e)
		c.ours = c.ours || ours(e, s)
		return nil
	})
	calls = slices.DeleteFunc(calls, func(c *loggedCall) bool { return !c.ours })
	slices.Reverse(calls)
	return calls, n < approval.ActivityEntries || first.Before(since), err
}

// callCount counts calls by what was decided.
type callCount struct {
	Name                  string
	Allowed, Held, Denied int
}

func (t *callCount) count(decision string) {
	switch decision {
	case "hold":
		t.Held++
	case "deny":
		t.Denied++
	default:
		t.Allowed++
	}
}

func (t callCount) total() int { return t.Allowed + t.Held + t.Denied }

// block is a rectangle of the picture.
type block struct {
	Class, Title string
	X, Y, W, H   int
}

type activityPage struct {
	frame
	Spans                 []stretch
	Span                  stretch
	Decision, Agent, Tool string // what is asked for, by key; "" is all
	Credential            string // loose: only calls whose credential was good for more
	Search                string // a word of what the page says of a call, in small letters
	Loose                 int    // how many of them there are
	Agents, Tools         []string
	Calls                 []*loggedCall
	More                  int  // calls that are not listed
	Whole                 bool // the log was read as far back as asked for
	Columns               []callCount
	ByTool                []callCount
	Blocks                []block
	Highest               int
	Habits                approval.Habits
}

func (in *Inbox) activity(w http.ResponseWriter, r *http.Request, s session) error {
	q := r.URL.Query()
	p := activityPage{frame: in.newFrame("Activity", s), Spans: stretches, Span: stretches[1], Decision: q.Get("decision"), Agent: q.Get("agent"), Tool: q.Get("tool"), Credential: q.Get("credential"), Search: searched(q.Get("q"))}
	for _, x := range stretches {
		if x.Key == q.Get("since") {
			p.Span = x
		}
	}
	now := in.now()
	since := now.Add(-p.Span.length)
	all, whole, err := in.calls(r, s, since)
	if err != nil {
		return err
	}
	p.Whole = whole
	if p.Habits, err = in.holds.Habits(r.Context(), s.who); err != nil {
		return err
	}
	for _, c := range all {
		c.Ago = now.Sub(c.At)
	}
	p.fill(all, since)
	return render(w, http.StatusOK, "activity.html", p)
}

// fill chooses, counts and draws.
func (p *activityPage) fill(all []*loggedCall, since time.Time) {
	p.Columns = make([]callCount, activityColumns)
	width := p.Span.length / activityColumns
	for i := range p.Columns {
		p.Columns[i].Name = since.Add(time.Duration(i) * width).Local().Format("2 Jan 15:04")
	}
	agents, byTool := map[string]bool{}, map[string]*callCount{}
	for _, c := range all {
		agents[c.Agent] = true
		name := c.API + "/" + c.Tool
		if byTool[name] == nil {
			byTool[name] = &callCount{Name: name}
		}
		if p.Decision != "" && p.Decision != c.Decision || p.Agent != "" && p.Agent != key(c.Agent) || p.Tool != "" && p.Tool != key(name) || !c.says(p.Lang, p.Search) {
			continue
		}
		if c.Loose != "" {
			p.Loose++
		} else if p.Credential == "loose" {
			continue
		}
		byTool[name].count(c.Decision)
		p.Columns[min(max(0, int(c.At.Sub(since)/width)), activityColumns-1)].count(c.Decision)
		if len(p.Calls) < activityCalls {
			p.Calls = append(p.Calls, c)
		} else {
			p.More++
		}
	}
	p.Agents, p.Tools = slices.Sorted(maps.Keys(agents)), slices.Sorted(maps.Keys(byTool))
	for _, name := range p.Tools {
		if byTool[name].total() > 0 {
			p.ByTool = append(p.ByTool, *byTool[name])
		}
	}
	slices.SortStableFunc(p.ByTool, func(a, b callCount) int { return b.total() - a.total() })
	p.draw()
}

// The picture's size, in its own units.
const (
	columnWidth  = 20
	pictureHigh  = 120
	betweenBlock = 3
)

// draw stacks the columns from the ground up: allowed, held, denied.
func (p *activityPage) draw() {
	for _, c := range p.Columns {
		p.Highest = max(p.Highest, c.total())
	}
	for i, c := range p.Columns {
		y := pictureHigh
		for _, part := range []struct {
			class, name string
			n           int
		}{{"allow", "allowed", c.Allowed}, {"hold", "held", c.Held}, {"deny", "denied", c.Denied}} {
			if part.n == 0 {
				continue
			}
			high := max(1, part.n*pictureHigh/p.Highest)
			y -= high
			p.Blocks = append(p.Blocks, block{part.class, fmt.Sprintf("%s: %d %s", c.Name, part.n, part.name), i * columnWidth, y, columnWidth - betweenBlock, high})
		}
	}
}
