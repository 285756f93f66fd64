package inbox

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/store"
)

// choice is one line of a list to choose from.
type choice struct{ Value, Text string }

// grantPage offers a grant or a block, and then shows what it is.
type grantPage struct {
	frame
	HoldView
	Kind    string
	Tops    []choice // paths above that of the call
	Keep    []choice // arguments that can be kept
	Lengths []choice
	Job     bool // several tools, as a task
	approval.Proposal

	// Set for the second step.
	Rule  *approval.Rule
	Means []string // the tools of a job
	Cedar string
	Form  []choice // what was chosen, for the form
	signing
	typing
	Musts []string // to look at on the page of the call that waits
	Hits  int      // of the recent calls, those that it is about
	Of    int
}

var lengths = []time.Duration{time.Minute, 5 * time.Minute, 20 * time.Minute, time.Hour, 8 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour}

// lengthsTo lists how long a rule may be made to last, the shortest first.
func lengthsTo(longest time.Duration) []choice {
	var out []choice
	for _, d := range append(slices.DeleteFunc(slices.Clone(lengths), func(d time.Duration) bool { return d >= longest }), longest) {
		out = append(out, choice{d.String(), plaintext.Duration(d)})
	}
	return out
}

// tops are the paths that are above a path by whole segments, the nearest first.
func tops(path string) []string {
	var out []string
	for at := strings.LastIndex(strings.TrimSuffix(path, "/"), "/"); at > 0; at = strings.LastIndex(path[:at], "/") {
		out = append(out, path[:at])
	}
	return append([]string{strings.TrimSuffix(path, "/")}, out...)
}

// offer reads a choice from a form. Paths and arguments are named by their
// number: a form holds nothing that an agent wrote.
func offer(f url.Values, h store.Hold, could approval.Proposal) (approval.Offer, error) {
	o := approval.Offer{Kind: f.Get("kind"), Reach: f.Get("reach"), Args: f.Get("args"),
		Reason: strings.TrimSpace(strings.ReplaceAll(f.Get("reason"), "\r\n", "\n"))}
	var err error
	if o.For, err = time.ParseDuration(f.Get("for")); err != nil {
		return o, approval.ErrGrantForm
	}
	if o.Reach == approval.ReachBelow {
		n, err := strconv.Atoi(f.Get("top"))
		list := tops(h.Request.Path)
		if err != nil || n < 0 || n >= len(list) {
			return o, approval.ErrGrantForm
		}
		o.Path = list[n]
	}
	if o.Args == approval.ArgsSome {
		list := approval.Pointers(h.Args)
		for _, k := range f["keep"] {
			n, err := strconv.Atoi(k)
			if err != nil || n < 0 || n >= len(list) {
				return o, approval.ErrGrantForm
			}
			o.Keep = append(o.Keep, list[n].Pointer)
		}
	}
	if f.Get("job") != "" {
		if o.Task, err = task(f, could); err != nil {
			return o, err
		}
	}
	if m := f.Get("max"); m != "" {
		if o.Max, err = strconv.ParseInt(m, 10, 64); err != nil || o.Max < 1 {
			return o, approval.ErrGrantForm
		}
	}
	return o, nil
}

// task reads a task from a form.
func task(f url.Values, could approval.Proposal) (*approval.Task, error) {
	t := &approval.Task{Name: strings.TrimSpace(f.Get("name"))}
	pick := func(list []string, number string) (string, error) {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n >= len(list) {
			return "", approval.ErrGrantForm
		}
		return list[n], nil
	}
	for _, number := range f["tool"] {
		tool, err := pick(could.Tools, number)
		if err != nil {
			return nil, err
		}
		t.Tools = append(t.Tools, tool)
	}
	if number := f.Get("sum"); number != "" {
		pointer, err := pick(could.Sums, number)
		if err != nil {
			return nil, err
		}
		t.Sum = &approval.Sum{Pointer: pointer, Most: strings.TrimSpace(f.Get("most"))}
	}
	return t, nil
}

// grantable returns a hold that the person may decide now.
func (in *Inbox) grantable(r *http.Request, s session) (store.Hold, HoldView, error) {
	h, v, err := in.look(r, s)
	switch {
	case err != nil:
	case h.State != store.Pending:
		err = approval.ErrDecided
	case !v.MayDecide:
		err = approval.ErrForbidden
	}
	return h, v, err
}

// grantForm shows what can be chosen; with a choice, what it amounts to.
func (in *Inbox) grantForm(w http.ResponseWriter, r *http.Request, s session) error {
	h, v, err := in.grantable(r, s)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	p := grantPage{frame: in.newFrame("Calls like this one", s), HoldView: v, Kind: q.Get("kind"), Job: q.Get("job") != ""}
	if p.Job {
		if p.Proposal, err = in.holds.Propose(r.Context(), h); err != nil {
			return err
		}
	}
	longest := approval.BlockMax
	switch p.Kind {
	case approval.KindGrant:
		if longest, err = in.holds.Longest(h, in.now()); err != nil {
			return err
		}
	case approval.KindBlock:
	default:
		return errRequest
	}
	if q.Get("reach") != "" {
		return in.confirmGrant(w, r, s, h, p)
	}
	p.Lengths = lengthsTo(longest)
	for i, path := range tops(h.Request.Path) {
		p.Tops = append(p.Tops, choice{strconv.Itoa(i), path})
	}
	for i, e := range hideRule(approval.Rule{Scope: approval.Scope{Equal: approval.Pointers(h.Args)}, Masked: h.Masked}).Scope.Equal {
		p.Keep = append(p.Keep, choice{strconv.Itoa(i), e.Pointer + " = " + e.Value})
	}
	return render(w, http.StatusOK, "grant.html", p)
}

func (in *Inbox) confirmGrant(w http.ResponseWriter, r *http.Request, s session, h store.Hold, p grantPage) error {
	q := r.URL.Query()
	o, err := offer(q, h, p.Proposal)
	if err != nil {
		return err
	}
	rule, err := in.holds.Draft(r.Context(), s.who, h, o)
	if err != nil {
		return err
	}
	shown := hideRule(rule)
	p.Rule, p.Cedar, p.Means = &shown, shown.Cedar(), in.holds.ToolsOf(rule)
	for _, name := range []string{"kind", "reach", "top", "args", "for", "max", "reason", "keep", "job", "name", "tool", "sum", "most"} {
		for _, v := range q[name] {
			p.Form = append(p.Form, choice{name, v})
		}
	}
	if p.Hits, p.Of, err = in.holds.WouldCover(r.Context(), h, rule); err != nil {
		return err
	}
	if p.Kind == approval.KindGrant {
		if p.Tired, err = in.tired(r, s); err != nil {
			return err
		}
		p.Question, p.Musts = question(p.HoldView), in.holdPage(p.HoldView, s).Musts()
		if p.signing, err = in.askToSign(w, r, s, h.ID, h.Digest, rule.Terms()); err != nil {
			return err
		}
	}
	return render(w, http.StatusOK, "grant.html", p)
}

func (in *Inbox) give(w http.ResponseWriter, r *http.Request, s session) error {
	h, _, err := in.grantable(r, s)
	if err != nil {
		return err
	}
	could, err := in.holds.Propose(r.Context(), h)
	if err != nil {
		return err
	}
	o, err := offer(r.PostForm, h, could)
	if err != nil {
		return err
	}
	v := approval.Verdict{Approve: o.Kind == approval.KindGrant, Hold: h.ID, Digest: r.PostForm.Get("digest"), Typed: r.PostForm.Get("typed"), Rule: &o}
	if v.Signed, err = in.signed(r, ""); err != nil {
		return err
	}
	if v.Approve {
		if v.Seen, err = in.readBefore(r, s, v.Signed != nil); err != nil {
			return err
		}
	}
	if _, err := approval.One(in.holds.Decide(r.Context(), s.who, v)); err != nil {
		return err
	}
	http.Redirect(w, r, "/h/"+h.ID, http.StatusSeeOther)
	return nil
}
