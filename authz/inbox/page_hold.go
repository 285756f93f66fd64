package inbox

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/authz/words"
)

type holdPage struct {
	frame
	row
	Arguments []arg
	Differ    map[string]bool // arguments that are not the same in calls that are shown together
	Within    time.Duration   // how long an approval lasts
	Again     string          // the link to sign in again, if that could help
	signing
	typing
	Asks     bool // for a decision on this call alone
	Deceives bool // something was spelt out
	Escaped  bool // so much that all of it is written with escapes
}

// Mine reports whether the call is in the name of who looks.
func (p holdPage) Mine() bool { return p.Subject == p.Person }

// maxPieces bounds how many pieces a page shows text in: each is an element, and
// an agent could have a browser drown in them.
const maxPieces = 20_000

// spell finds out how the texts of the call have to be shown.
func (p *holdPage) spell() {
	texts := append([]*string{&p.Summary, &p.Agent, &p.Origin, &p.URL, &p.ContentType, &p.Says}, p.Before.texts()...)
	if p.Inline() {
		texts = append(texts, &p.Body)
	}
	for i := range p.Files {
		f := &p.Files[i]
		texts = append(texts, &f.Field, &f.Name, &f.Claimed, &f.Text)
	}
	for i := range p.Arguments {
		texts = append(texts, &p.Arguments[i].Name, &p.Arguments[i].Value)
	}
	header := map[string][]string{}
	for k, values := range p.Header {
		values = slices.Clone(values)
		for i := range values {
			texts = append(texts, &values[i])
		}
		header[k] = values
	}
	n := 0
	for _, t := range texts {
		pieces := plaintext.Pieces(*t)
		n += len(pieces)
		p.Deceives = p.Deceives || plaintext.Deceives(pieces)
	}
	if p.Escaped = n > maxPieces; !p.Escaped {
		return
	}
	for _, t := range texts {
		if len(plaintext.Pieces(*t)) > 1 {
			*t = strconv.QuoteToASCII(*t)
		}
	}
	p.Header = header
	p.Before.unweave()
}

// maxInline is how long a body may be that a page shows as it is sent, in bytes. Of a
// longer one, and of files, it shows the parts, and lets people save the whole.
const maxInline = 16 << 10

// Inline reports whether the page shows the body as it is sent.
func (v HoldView) Inline() bool {
	return len(v.Files) == 0 && v.BodyBase64 == "" && len(v.Body) <= maxInline
}

// typing is what a tired person is asked to type.
type typing struct {
	Tired words.Text // why; of no key if nothing
	approval.Question
}

// tired says why the person has to type the next approval. Who signs approvals
// with a passkey has not.
func (in *Inbox) tired(r *http.Request, s session) (words.Text, error) {
	if s.signs {
		return words.Text{}, nil
	}
	return in.holds.Tired(r.Context(), s.who.Name())
}

// holdPage is a hold as its page shows it, but for what is asked of the person.
func (in *Inbox) holdPage(v HoldView, s session) holdPage {
	p := holdPage{frame: in.newFrame("A held call", s), row: row{v, v.Expires.Sub(in.now())},
		Arguments: arguments(withoutBytes(v.Args, v.Files)), Within: in.holds.ApprovalLife()}
	p.spell()
	return p
}

func (in *Inbox) hold(w http.ResponseWriter, r *http.Request, s session) error {
	h, v, err := in.look(r, s)
	if in.c.OIDC != nil && errors.Is(err, approval.ErrBetterLogin) {
		in.askAgain(w, r, s, r.URL.Path)
		return nil
	}
	if err != nil {
		return err
	}
	if v.MayDecide {
		_, err := in.holds.Longest(h, in.now())
		v.MayGrant = err == nil && len(v.Approvals) == 0
	}
	return in.showHold(w, r, http.StatusOK, s, v, words.Text{})
}

func (in *Inbox) showHold(w http.ResponseWriter, r *http.Request, status int, s session, v HoldView, problem words.Text) error {
	p := in.holdPage(v, s)
	p.Error, p.Asks = problem, v.MayDecide
	if in.c.OIDC != nil && v.StepUp == string(approval.StepUpLogin) {
		p.Again = oidcLink("/h/"+v.ID, true)
	}
	if v.State == "approved" || v.State == "sending" {
		p.Refresh, p.Every = "/h/"+v.ID+"?auto=1", 3
	}
	if v.MayDecide {
		var err error
		if p.Tired, err = in.tired(r, s); err != nil {
			return err
		}
		p.Question = question(v)
	}
	if s.signs && v.MayDecide {
		var err error
		if p.signing, err = in.askToSign(w, r, s, p.ID, p.Digest, approval.ChoiceOnce); err != nil {
			return err
		}
	}
	allowLive(w)
	allowFrames(w, v.Files)
	return render(w, status, "hold.html", p)
}

func (in *Inbox) decide(w http.ResponseWriter, r *http.Request, s session) error {
	v := approval.Verdict{Digest: r.PostForm.Get("digest"), Reason: reasonOf(r.PostForm), Typed: r.PostForm.Get("typed")}
	switch r.PostForm.Get("verdict") {
	case "approve":
		v.Approve, v.Reason = true, ""
		var err error
		if v.Signed, err = in.signed(r, approval.ChoiceOnce); err != nil {
			return err
		}
	case "deny":
	default:
		return errRequest
	}
	err := error(nil)
	if v.Approve {
		v.Seen, err = in.readBefore(r, s, v.Signed != nil)
	}
	if err == nil {
		err = in.verdict(r, s, v)
	}
	if err != nil {
		_, now, lookErr := in.look(r, s)
		if lookErr != nil {
			return lookErr
		}
		status, _, text := in.failure(err)
		return in.showHold(w, r, status, s, now, text)
	}
	http.Redirect(w, r, "/h/"+r.PathValue("id"), http.StatusSeeOther)
	return nil
}

// reasonOf is the reason in a form, with the line breaks of text.
func reasonOf(form url.Values) string {
	return strings.TrimSpace(strings.ReplaceAll(form.Get("reason"), "\r\n", "\n"))
}

// verdict records what the person says.
func (in *Inbox) verdict(r *http.Request, s session, v approval.Verdict) error {
	v.Hold = r.PathValue("id")
	_, err := approval.One(in.holds.Decide(r.Context(), s.who, v))
	return err
}
