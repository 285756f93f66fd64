package inbox

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/authz/words"
	"github.com/exeat/exeat/store"
)

// maxSearch bounds what is searched for, in characters.
const maxSearch = 100

// searched is what a person looks for, without what tells nothing apart.
func searched(q string) string {
	runes := []rune(strings.ToLower(strings.TrimSpace(strings.ToValidUTF8(q, ""))))
	return string(runes[:min(len(runes), maxSearch)])
}

// says reports whether a text is in what the page says of the call.
func (c loggedCall) says(l words.Language, search string) bool {
	if search == "" {
		return true
	}
	said := []string{c.API + "/" + c.Tool, c.Agent, c.Method + " " + c.Path, plaintext.Name(c.By)}
	for _, text := range c.Told() {
		said = append(said, text.In(l))
	}
	return strings.Contains(strings.ToLower(strings.Join(said, "\n")), search)
}

// becameOf say what became of a held call, by the kind of its last entry.
var becameOf = map[string]string{
	"hold": "waits for a person", "approve": "approved", "deny": "denied by a person", "expire": "ran out of time", "cancel": "withdrawn",
	"refuse": "approved and then refused", "unknown": "sent, and no answer came", "send": "being sent",
}

// Told says what was decided of the call and what became of it.
func (c loggedCall) Told() []words.Text {
	decided := map[string]string{"hold": "held", "deny": "denied"}
	told := []words.Text{words.T(cmp.Or(decided[c.Decision], "allowed"))}
	if became := becameOf[c.Last]; became != "" {
		told = append(told, words.T(became))
	}
	if c.Status != 0 {
		told = append(told, words.T("status %d", c.Status))
	}
	if c.Code != "" {
		told = append(told, words.T(c.Code))
	}
	return told
}

// Picture is how the call is drawn: what went well, what did not go, what waits, and what
// somebody should look at.
func (c loggedCall) Picture() string {
	switch {
	case c.Last == string(store.KindUnknown):
		return "look"
	case c.Decision == "deny", c.Last == string(store.KindDeny), c.Last == string(store.KindExpire), c.Last == string(store.KindCancel), c.Last == string(store.KindRefuse):
		return "bad"
	case c.Last == string(store.KindHold), c.Last == string(store.KindApprove):
		return "wait"
	case c.Status >= 400, c.Code != "":
		return "look"
	}
	return "good"
}

type chainPage struct {
	frame
	Call    loggedCall
	Hold    string
	Steps   []step
	Entries []store.Entry
}

// step is one of the five on a call's way.
type step struct {
	Name, Class string     // good, bad or "": it was not taken
	At          time.Time  // zero: it was not taken
	Said        words.Text // how it went
}

// The places of the steps on the way.
const (
	stepAsked = iota
	stepDecided
	stepToken
	stepSent
	stepAnswered
)

// wayOf tells the way of a call from its entries: asked, decided, token, sent, answered.
func wayOf(entries []store.Entry) []step {
	way := []step{{Name: "Asked"}, {Name: "Decided"}, {Name: "Token"}, {Name: "Sent"}, {Name: "Answered"}}
	take := func(i int, e store.Entry, class string, said words.Text) {
		if way[i].At.IsZero() || way[i].Class == "" {
			way[i].At, way[i].Class, way[i].Said = e.Time, class, said
		}
	}
	for i, e := range entries {
		if i == 0 {
			take(stepAsked, e, "good", words.T("by %s", e.Agent))
		}
		if e.Kind != store.KindSpent && e.Strategy != "" {
			take(stepToken, e, "good", words.T(e.Credentials()))
		}
		switch e.Kind {
		case store.KindCall:
			take(stepDecided, e, "good", words.T("allowed at once by the policies"))
			take(stepSent, e, "good", words.Text{})
		case store.KindDenied:
			take(stepDecided, e, "bad", words.T("refused: %s", e.Code))
		case store.KindHold:
			take(stepDecided, e, "", words.T("waits for a person"))
		case store.KindApprove:
			take(stepDecided, e, "good", words.T("approved by %s", plaintext.Name(e.By)))
		case store.KindDeny:
			take(stepDecided, e, "bad", words.T("denied by %s", plaintext.Name(e.By)))
		case store.KindExpire, store.KindCancel:
			take(stepDecided, e, "bad", words.T(becameOf[string(e.Kind)]))
		case store.KindRefuse:
			take(stepSent, e, "bad", words.T("approved and then refused"))
		case store.KindSend:
			take(stepSent, e, "good", words.Text{})
		case store.KindUnknown:
			take(stepAnswered, e, "bad", words.T("sent, and no answer came"))
		case store.KindOutcome:
			take(stepAnswered, e, answerClass(e), outcomeOf(e))
		}
	}
	return way
}

func answerClass(e store.Entry) string {
	if e.Code != "" || e.Status >= 400 {
		return "bad"
	}
	return "good"
}

func outcomeOf(e store.Entry) words.Text {
	switch {
	case e.Status == 0:
		return words.T(e.Code)
	case e.Code == "":
		return words.T("status %d", e.Status)
	}
	return words.T("status %d, %s", e.Status, e.Code)
}

// chain is the page of one call: asked, decided, token, sent, answered.
func (in *Inbox) chain(w http.ResponseWriter, r *http.Request, s session) error {
	p := chainPage{frame: in.newFrame("A call", s)}
	mine := false
	err := in.c.Store.Chain(r.Context(), r.PathValue("txn"), func(e store.Entry) error {
		p.Call.add(e)
		p.Hold = cmp.Or(p.Hold, e.Hold)
		mine = mine || ours(e, s)
		p.Entries = append(p.Entries, e)
		return nil
	})
	if err != nil {
		return err
	}
	if !mine {
		return approval.ErrNotFound
	}
	p.Steps = wayOf(p.Entries)
	return render(w, http.StatusOK, "chain.html", p)
}
