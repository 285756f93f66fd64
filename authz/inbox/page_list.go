package inbox

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
)

// Bounds of what waits on one page.
const (
	perPage = 50 // lines of a page
	perFold = 20 // holds that one line opens to
)

// waiting lists the pending holds that a person may see, oldest first, and
// after them those that were found to be changed behind exeat's back: of these
// nothing but the handle is worth showing. unseen says, if it is asked, that a
// better login could show others.
func (in *Inbox) waiting(r *http.Request, s session, ask bool) (views []HoldView, unseen bool, err error) {
	sights, unseen, err := in.holds.Waiting(r.Context(), s.who, ask)
	views = []HoldView{}
	for _, x := range sights {
		v := outline(x.Hold)
		v.MayDecide, v.StepUp = x.May, in.stepUp(x)
		v.Approvals, v.Approving = x.Given, string(x.Weight)
		views = append(views, v)
	}
	return append(views, in.alarming()...), unseen, err
}

func (in *Inbox) alarming() (views []HoldView) {
	for _, a := range in.holds.Alarms() {
		views = append(views, HoldView{ID: a.ID, State: approval.Tampered, Summary: tamperedText, Expires: a.At})
	}
	return views
}

// listPage is what waits, with one line for all calls of one shape.
type listPage struct {
	frame
	Alarms []HoldView
	Groups []waitingGroup
	Key    string   // of all that waits, for live
	Calls  int      // that wait, on all pages
	First  bool     // this is the first page
	Next   string   // the cursor of the next one, or ""
	Down   []string // channels that do not work
	Again  string   // the link to a login that may show more, or ""
}

// waitingGroup is the calls of one agent in one session.
type waitingGroup struct {
	HoldView // of one of them, for who asks
	Lines    []line
}

// line is the calls of one tool in a group.
type line struct {
	row           // the oldest
	Key    string // of all that waits, for live
	Calls  int    // that it stands for
	Larger []row  // of the others, those with a larger amount: they are not folded
	Others []row  // the next ones after the oldest, as many as one line opens to
}

// Rest is how many calls the line stands for besides those that it shows; More says
// that it opens to the next of them only.
func (l line) Rest() int  { return l.Calls - 1 - len(l.Larger) }
func (l line) More() bool { return l.Rest() > len(l.Others) }

// Many says that they are too many to be decided at once.
func (l line) Many() bool { return l.Calls > approval.MaxSeveral }

// row is a hold in the list.
type row struct {
	HoldView
	Left time.Duration
}

// asker is who asks, as lists group by it; shape is what for.
type asker struct {
	subject, agent, session string
	verified                bool
}

type shape struct {
	asker
	api, tool     string
	effect, marks string // what is more dangerous does not hide behind what is less
	may           bool
	approved      string // by whom
}

func (v HoldView) asker() asker { return asker{v.Subject, v.Agent, v.Session, v.Verified} }
func (v HoldView) shape() shape {
	return shape{v.asker(), v.API, v.Tool, v.Effect, strings.Join(v.Marks, "\n"), v.MayDecide, strings.Join(v.approvers(), " ")}
}

// approvers are the people who have approved it already.
func (v HoldView) approvers() (names []string) {
	for _, a := range v.Approvals {
		names = append(names, a.By)
	}
	return names
}

// fold makes one line of all calls that differ in their arguments only, in the
// order of the oldest of each.
func fold(views []HoldView, now time.Time) (lines []line) {
	at, rest := map[shape]int{}, map[int][]row{}
	for _, v := range views {
		key := v.shape()
		i, ok := at[key]
		if !ok {
			at[key] = len(lines)
			lines = append(lines, line{row: row{v, v.Expires.Sub(now)}, Calls: 1})
			continue
		}
		lines[i].Calls++
		rest[i] = append(rest[i], row{v, v.Expires.Sub(now)})
	}
	for i, others := range rest {
		lines[i] = lines[i].unfold(others)
	}
	return lines
}

// groups puts the lines of one agent in one session together, in the order of
// the oldest call of each.
func groups(lines []line) (out []waitingGroup) {
	at := map[asker]int{}
	for _, l := range lines {
		i, ok := at[l.asker()]
		if !ok {
			i = len(out)
			at[l.asker()], out = i, append(out, waitingGroup{HoldView: l.HoldView})
		}
		out[i].Lines = append(out[i].Lines, l)
	}
	return out
}

// cursor is a place in the order of lines: that of a line's oldest call. Lines
// that come or go before it move nothing after it.
func (v HoldView) cursor() string { return fmt.Sprintf("%d-%s", v.Created.UnixMicro(), v.ID) }

// behind is the lines behind a cursor; all of them if it is none.
func behind(lines []line, cursor string) []line {
	micros, id, ok := strings.Cut(cursor, "-")
	n, err := strconv.ParseInt(micros, 10, 64)
	if !ok || err != nil {
		return lines
	}
	i := slices.IndexFunc(lines, func(l line) bool {
		return cmp.Or(cmp.Compare(l.Created.UnixMicro(), n), strings.Compare(l.ID, id)) > 0
	})
	if i < 0 {
		return nil
	}
	return lines[i:]
}

func (in *Inbox) list(w http.ResponseWriter, r *http.Request, s session) error {
	views, unseen, err := in.waiting(r, s, in.c.OIDC != nil)
	if err != nil {
		return err
	}
	p := listPage{frame: in.newFrame("Waiting for you", s), Down: in.down(r.Context())}
	key := listKey(views)
	// What was changed stands first, and is no call.
	alarms := slices.IndexFunc(views, func(v HoldView) bool { return v.State == approval.Tampered })
	if alarms >= 0 {
		views, p.Alarms = views[:alarms], views[alarms:]
	}
	p.Calls = len(views)
	p.Key = key
	all := fold(views, in.now())
	from := r.URL.Query().Get("after")
	lines := behind(all, from)
	p.First = len(lines) == len(all)
	if len(lines) > perPage {
		lines = lines[:perPage]
		p.Next = lines[perPage-1].cursor()
	}
	p.Groups = groups(lines)
	p.Refresh, p.Every = "/?auto=1", 15
	if !p.First {
		p.Refresh = "" // a page further on stays as it is under the reader's eyes
	}
	if unseen {
		p.Again = oidcLink("/", true)
	}
	allowLive(w)
	return render(w, http.StatusOK, "list.html", p)
}
