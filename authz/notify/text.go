package notify

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/phrase"
	"github.com/exeat/exeat/authz/plaintext"
	"github.com/exeat/exeat/authz/words"
	"github.com/exeat/exeat/store"
)

// Message is what a channel is told: words of exeat, of the document and the
// agent's cleaned name, no secret, and no argument unless Config.Details. Link is a page that asks for
// a login; nothing in a message decides.
type Message struct {
	ID    string // the same however often it is sent
	Title string
	Text  string // plain; lines end with \n
	Link  string

	at      time.Time
	event   *event // for machines; nil if it is about no hold, or several
	notices []store.Notice
}

// event is a held call as a machine is told of it.
type event struct {
	Hold     string    `json:"hold"`
	API      string    `json:"api"`
	Tool     string    `json:"tool"`
	Effect   string    `json:"effect"`
	Method   string    `json:"method"`
	Path     string    `json:"path"` // template
	Summary  string    `json:"summary"`
	Sentence string    `json:"sentence,omitempty"` // what it does; to what, only with details
	Marks    []string  `json:"marks,omitempty"`
	Subject  string    `json:"subject"`
	Agent    string    `json:"agent"`
	Verified bool      `json:"agent_verified"`
	Expires  time.Time `json:"expires"`
	URL      string    `json:"url"`
	// Approvals is how many people have approved it already; others have to, too.
	Approvals int `json:"approvals,omitempty"`
}

// Bounds of foreign text in messages, in characters.
const (
	maxAgent   = 60
	maxSummary = 160
	maxWhere   = 120
	maxLines   = 5 // of a digest
	maxLine    = 100
)

// what says what a call does: method, path and summary of the operation, without
// its arguments.
func (n *Notifier) what(h store.Hold) (method, path, summary string) {
	if n.c.Describe != nil {
		method, path, summary = n.c.Describe(h.API, h.Tool)
	}
	return cmp.Or(method, h.Request.Method), path, summary
}

// sentence is what the call does and to what, as its page says it, shortened; without
// details, without any value. Holds from before there were sentences have none.
func (n *Notifier) sentence(h store.Hold) string {
	s, ok := phrase.Parse(h.Phrase)
	switch {
	case !ok:
		return ""
	case n.c.Details:
		return phrase.Message(s.Short(words.Language{}))
	}
	return phrase.Message(s.Bare(words.Language{}))
}

// line is what in one line. The path does not begin with a slash, which would
// make a command of it in some chats.
func (n *Notifier) line(h store.Hold) string {
	method, path, summary := n.what(h)
	where := plaintext.Clean(h.API+path, maxWhere)
	if path == "" {
		where = plaintext.Clean(h.API+" "+h.Tool, maxWhere)
	}
	text := plaintext.Clean(method, 10) + " " + where
	if summary = plaintext.Clean(summary, maxSummary); summary != "" {
		text += ": " + summary
	}
	if said := n.sentence(h); said != "" {
		text = said + " (" + plaintext.Clean(h.API, maxWhere) + ")"
	}
	if n := len(h.Earlier); n > 0 {
		text += fmt.Sprintf(" (%d approved it; another person has to)", n)
	}
	return text
}

// sayWho says who asks.
func sayWho(h store.Hold) string {
	who, _ := approval.PartiesOf(h) // who cannot be read has no name
	agent := who.Agent
	name := plaintext.Clean(agent.ID, maxAgent)
	switch {
	case name == "":
		return "Asked by an agent without a name."
	case agent.Verified:
		return "Asked by " + name + "."
	}
	return "Asked by " + name + ", which is what it calls itself."
}

// messages makes messages of claimed notices: one for each call for machines,
// one for each group of like calls for people, and one about all if more than
// the digest's number wait.
func (n *Notifier) messages(c *Channel, notices []store.Notice, holds []store.Hold, now time.Time) []Message {
	if len(notices) == 0 {
		return nil
	}
	var out []Message
	if !c.People {
		for i, h := range holds {
			out = append(out, n.machine(notices[i], h, now))
		}
		return out
	}
	texts, groups := n.fold(notices, holds)
	if len(notices) > n.c.Digest || n.often(c, now) {
		return []Message{n.many(texts, groups, notices, holds, now)}
	}
	for _, text := range texts {
		out = append(out, n.few(text, groups[text], notices, holds, now))
	}
	return out
}

// fold puts calls together that differ in nothing that a message tells. The
// values are places in holds.
func (n *Notifier) fold(notices []store.Notice, holds []store.Hold) (texts []string, groups map[string][]int) {
	groups = map[string][]int{}
	for i, h := range holds {
		text := n.line(h) + "\n" + sayWho(h)
		if groups[text] == nil {
			texts = append(texts, text)
		}
		groups[text] = append(groups[text], i)
	}
	return texts, groups
}

func (n *Notifier) machine(notice store.Notice, h store.Hold, now time.Time) Message {
	method, path, summary := n.what(h)
	who, _ := approval.PartiesOf(h)
	agent := who.Agent
	link := n.c.URL + "/h/" + h.ID
	return Message{ID: notice.ID, Title: "exeat: a call waits for you", Text: n.line(h) + "\n" + sayWho(h), Link: link, at: now, notices: []store.Notice{notice},
		event: &event{Hold: h.ID, API: h.API, Tool: h.Tool, Effect: h.Effect, Method: method, Path: path, Summary: plaintext.Clean(summary, maxSummary), Sentence: n.sentence(h), Marks: h.Marks,
			Subject: h.Subject, Agent: plaintext.Clean(agent.ID, maxAgent), Verified: agent.Verified, Expires: h.Expires, URL: link, Approvals: len(h.Earlier)}}
}

// few is a message about one call or several like ones.
func (n *Notifier) few(text string, places []int, notices []store.Notice, holds []store.Hold, now time.Time) Message {
	first := holds[places[0]]
	m := Message{ID: notices[places[0]].ID, Title: "exeat: a call waits for you", Link: n.c.URL + "/h/" + first.ID, at: now}
	for _, i := range places {
		m.notices = append(m.notices, notices[i])
	}
	ends := soonest(holds, places)
	m.Text = text + "\n" + plaintext.Left(ends, now) + " left to decide."
	if len(places) > 1 {
		m.Title, m.Link = fmt.Sprintf("exeat: %d calls wait for you", len(places)), n.c.URL+"/"
		m.Text = fmt.Sprintf("%d × %s\nThe first ends in %s.", len(places), text, plaintext.Left(ends, now))
	}
	return m
}

// many is a message about all that waits.
func (n *Notifier) many(texts []string, groups map[string][]int, notices []store.Notice, holds []store.Hold, now time.Time) Message {
	var b strings.Builder
	var all []int
	for i, text := range texts {
		all = append(all, groups[text]...)
		if what, _, _ := strings.Cut(text, "\n"); i < maxLines {
			fmt.Fprintf(&b, "%d × %s\n", len(groups[text]), plaintext.Shorten(what, maxLine))
		}
	}
	if more := len(texts) - maxLines; more > 0 {
		fmt.Fprintf(&b, "and %d kinds more\n", more)
	}
	fmt.Fprintf(&b, "The first ends in %s.", plaintext.Left(soonest(holds, all), now))
	return Message{ID: notices[0].ID, Title: fmt.Sprintf("exeat: %d calls wait for you", len(notices)), Text: b.String(), Link: n.c.URL + "/", at: now, notices: notices}
}

func soonest(holds []store.Hold, places []int) time.Time {
	end := holds[places[0]].Expires
	for _, i := range places {
		if holds[i].Expires.Before(end) {
			end = holds[i].Expires
		}
	}
	return end
}
