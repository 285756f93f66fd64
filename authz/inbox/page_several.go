package inbox

import (
	"net/http"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/words"
	"github.com/exeat/exeat/store"
)

// Bounds of what is decided together: each call has been shown in full, on one
// page.
const (
	maxSeveralBytes = 1 << 20 // of arguments and bodies
)

// severalPage shows calls of one shape in full, to be decided together.
type severalPage struct {
	frame
	HoldView // of the first, for who asks
	Calls    []holdPage
	Left     int  // calls of the shape that are not on the page
	Look     bool // there are hidden values to look at first
	Twice    bool // some are on the same thing
	Within   time.Duration
	signing
	typing
	Done []became // what was decided, instead of a form
}

type became struct {
	HoldView
	Told words.Text // why the verdict did not count
}

// several shows the calls of the shape of one, the oldest first.
func (in *Inbox) several(w http.ResponseWriter, r *http.Request, s session) error {
	p, list, err := in.alike(r, s)
	if err != nil {
		return err
	}
	if s.signs {
		if p.signing, err = in.askToSign(w, r, s, "", "", approval.ChoiceOf(list)); err != nil {
			return err
		}
	}
	var files []FileView
	for _, c := range p.Calls {
		files = append(files, c.Files...)
	}
	allowFrames(w, files)
	return render(w, http.StatusOK, "several.html", p)
}

// alike are the pending calls of the shape of the one that the request names,
// which the person may decide.
func (in *Inbox) alike(r *http.Request, s session) (p severalPage, list []approval.Shown, err error) {
	views, _, err := in.waiting(r, s, false)
	if err != nil {
		return p, nil, err
	}
	var key shape
	for _, v := range views {
		if v.ID == r.URL.Query().Get("like") && v.State == string(store.Pending) && v.MayDecide && v.Approving == "" {
			key = v.shape()
		}
	}
	if key == (shape{}) {
		return p, nil, approval.ErrNotFound
	}
	p.frame, p.Within = in.newFrame("Calls of one kind", s), in.holds.ApprovalLife()
	bytes := 0
	var holds []store.Hold
	for _, v := range views {
		if v.State != string(store.Pending) || v.shape() != key {
			continue
		}
		if len(list) == approval.MaxSeveral || bytes > maxSeveralBytes {
			p.Left++
			continue
		}
		sight, err := in.holds.Show(r.Context(), s.who, v.ID, reveals(r))
		h := sight.Hold
		if err != nil || h.State != store.Pending {
			continue // it is settled by now, or its own page tells what is wrong
		}
		if bytes += len(h.Args) + len(h.Request.Body); bytes > maxSeveralBytes && len(list) > 0 {
			p.Left++
			continue
		}
		v := in.view(sight)
		p.Look = p.Look || v.Unseen
		for _, other := range holds {
			_, near := approval.Relation(h, other)
			p.Twice = p.Twice || near && h.Effect != "read"
		}
		holds = append(holds, h)
		p.Calls = append(p.Calls, in.holdPage(v, s))
		list = append(list, approval.Shown{ID: h.ID, Digest: h.Digest})
	}
	if len(list) == 0 {
		return p, nil, approval.ErrNotFound
	}
	differ := findDifferences(p.Calls)
	for i := range p.Calls {
		p.Calls[i].Differ = differ
	}
	p.HoldView = p.Calls[0].HoldView
	if p.Tired, err = in.tired(r, s); err != nil {
		return p, nil, err
	}
	p.Question.Answer = p.Tool
	return p, list, nil
}

// findDifferences names the arguments that are not the same in all calls.
func findDifferences(calls []holdPage) map[string]bool {
	values, times, differ := map[string]string{}, map[string]int{}, map[string]bool{}
	for _, c := range calls {
		for _, a := range c.Arguments {
			v, known := values[a.Name]
			differ[a.Name] = differ[a.Name] || known && v != a.Value
			values[a.Name] = a.Value
			times[a.Name]++
		}
	}
	for name, n := range times {
		differ[name] = differ[name] || n != len(calls)
	}
	return differ
}

// decideSeveral decides exactly the calls that the form names: what came after
// the page was made is not among them.
func (in *Inbox) decideSeveral(w http.ResponseWriter, r *http.Request, s session) error {
	list := []approval.Shown{}
	for _, x := range r.PostForm["hold"] {
		id, digest, _ := strings.Cut(x, " ")
		list = append(list, approval.Shown{ID: id, Digest: digest})
	}
	v := approval.Verdict{Reason: reasonOf(r.PostForm), Typed: r.PostForm.Get("typed")}
	switch r.PostForm.Get("verdict") {
	case "approve":
		v.Approve, v.Reason = true, ""
		var err error
		if v.Signed, err = in.signed(r, ""); err != nil {
			return err
		}
	case "deny":
	default:
		return errRequest
	}
	v.Together = list
	if v.Approve {
		var err error
		if v.Seen, err = in.readTogether(r, s, list, v.Signed != nil); err != nil {
			return err
		}
	}
	done, err := in.holds.Decide(r.Context(), s.who, v)
	if err != nil {
		return err
	}
	p := severalPage{frame: in.newFrame("Calls of one kind", s)}
	for _, d := range done {
		b := became{HoldView: outline(d.Hold)}
		if d.Err != nil {
			_, _, b.Told = in.failure(d.Err)
		}
		p.Done = append(p.Done, b)
	}
	return render(w, http.StatusOK, "several.html", p)
}
