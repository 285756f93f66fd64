package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/inbox"
)

func approvalsWatchCmd() *cobra.Command {
	var plain bool
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show held calls as they come, and decide them, on the full screen",
		Long: `Show held calls as they come and go, and decide them, on the full screen.

A call can be approved only once all of it has been on the screen, and by typing
the first four digits of its digest. "o" opens its page in the browser, for what
a terminal cannot do. Without a terminal, or with --plain, lines are printed.`,
		Args: cobra.NoArgs,
		RunE: loggedIn(func(cmd *cobra.Command, c *inbox.Client, _ []string) error {
			if plain || !isTerminal(cmd.InOrStdin()) || !isTerminal(cmd.OutOrStdout()) {
				return watchHolds(cmd.Context(), c, cmd.OutOrStdout())
			}
			_, err := tea.NewProgram(newWatch(cmd.Context(), c), tea.WithContext(cmd.Context())).Run()
			return ctxErr(cmd.Context(), err)
		}),
	}
	cmd.Flags().BoolVar(&plain, "plain", false, "print a line for each call that comes or goes")
	return cmd
}

func isTerminal(x any) bool {
	f, ok := x.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// pollEvery is how often a watch asks the inbox.
const pollEvery = 2 * time.Second

// watchHolds prints a line for each hold that comes or goes.
func watchHolds(ctx context.Context, c *inbox.Client, w io.Writer) error {
	seen := map[string]bool{}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		holds, err := c.Holds(ctx)
		if err != nil {
			return ctxErr(ctx, failed(err))
		}
		now := map[string]bool{}
		for _, h := range holds {
			now[h.ID] = true
			if !seen[h.ID] {
				fmt.Fprintf(w, "waits   %s  %.8s  %s  %s\n", printable(h.ID), h.Digest, printable(h.Agent), h.What())
			}
		}
		for id := range seen {
			if !now[id] {
				fmt.Fprintf(w, "settled %s\n", printable(id))
			}
		}
		seen = now
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// watch is the full-screen list. What it draws is ASCII: printable makes
// everything else visible, so a byte is a column.
type watch struct {
	ctx           context.Context
	client        *inbox.Client
	width, height int
	holds         []inbox.HoldView
	selected      string // by handle: a call that arrives must not slip under the cursor
	open          *inbox.HoldView
	top           int    // first line shown of the open one
	whole         bool   // all of the open one has been on the screen
	asking        string // "", approve or deny
	typed         string
	note          string
}

type (
	holdsMsg struct {
		holds []inbox.HoldView
		err   error
	}
	holdMsg struct {
		hold    inbox.HoldView
		decided bool
		err     error
	}
	pollMsg struct{}
)

func newWatch(ctx context.Context, c *inbox.Client) *watch {
	return &watch{ctx: ctx, client: c, width: 80, height: 24}
}

// Init implements tea.Model.
func (w *watch) Init() tea.Cmd { return w.list }

func (w *watch) list() tea.Msg {
	holds, err := w.client.Holds(w.ctx)
	return holdsMsg{holds, err}
}

func (w *watch) show(id string) tea.Cmd {
	return func() tea.Msg {
		h, err := w.client.Hold(w.ctx, id)
		return holdMsg{hold: h, err: err}
	}
}

func (w *watch) decide(v approval.Verdict) tea.Cmd {
	id := w.open.ID
	return func() tea.Msg {
		h, err := w.client.Decide(w.ctx, id, v)
		return holdMsg{hold: h, decided: true, err: err}
	}
}

// Update implements tea.Model.
func (w *watch) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		w.width, w.height = max(20, msg.Width), max(6, msg.Height)
		// What was on the screen may be cut in another way now.
		w.top, w.whole = 0, false
	case pollMsg:
		return w, w.list
	case holdsMsg:
		if w.note = ""; msg.err != nil {
			w.note = msg.err.Error()
		} else {
			w.holds = msg.holds
			w.move(0)
		}
		return w, tea.Tick(pollEvery, func(time.Time) tea.Msg { return pollMsg{} })
	case holdMsg:
		return w, w.got(msg)
	case tea.KeyPressMsg:
		return w, w.key(msg)
	}
	w.look()
	return w, nil
}

// got shows a hold that was fetched, or what became of a decision.
func (w *watch) got(m holdMsg) tea.Cmd {
	switch {
	case m.err != nil:
		w.note = m.err.Error()
	case m.decided:
		w.open, w.note = nil, m.hold.ID+": "+m.hold.State
		if others := othersOf(m.hold); others != "" && m.hold.State == "approved" {
			w.note += "; on the same thing: " + others
		}
	default:
		w.open, w.top, w.whole, w.asking, w.typed, w.note = &m.hold, 0, false, "", "", ""
		w.look()
		return nil
	}
	return w.list
}

// look notes whether the end of the open hold is on the screen. Lines are only
// ever passed one screen at a time, so then all of them have been.
func (w *watch) look() {
	if w.open != nil && w.top+w.page() >= len(w.lines()) {
		w.whole = true
	}
}

// page is how many lines of a hold fit.
func (w *watch) page() int { return w.height - 4 }

func (w *watch) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case w.asking != "":
		return w.answer(name, k.Text)
	case w.open != nil:
		return w.holdKey(name)
	}
	switch name {
	case "q":
		return tea.Quit
	case "j", "down":
		w.move(1)
	case "k", "up":
		w.move(-1)
	case "enter":
		if w.selected != "" {
			return w.show(w.selected)
		}
	}
	return nil
}

func (w *watch) holdKey(name string) tea.Cmd {
	last := max(0, len(w.lines())-w.page())
	w.note = ""
	switch name {
	case "q", "esc":
		w.open = nil
	case "j", "down":
		w.top = min(w.top+1, last)
	case "space", "pgdown":
		w.top = min(w.top+w.page(), last)
	case "k", "up":
		w.top = max(w.top-1, 0)
	case "pgup":
		w.top = max(w.top-w.page(), 0)
	case "v":
		id := w.open.ID
		return func() tea.Msg {
			h, err := w.client.Reveal(w.ctx, id)
			return holdMsg{hold: h, err: err}
		}
	case "a":
		if w.open.Unseen {
			w.note = "some values are hidden: v shows them, which is recorded"
			break
		}
		if !w.whole {
			w.note = "read it to its end first (space)"
			break
		}
		w.asking = "approve"
	case "d":
		w.asking = "deny"
	case "o":
		url := w.client.Origin + "/h/" + w.open.ID
		w.note = url
		return func() tea.Msg { browse(url); return nil }
	}
	w.look()
	return nil
}

// answer reads the line that a decision asks for.
func (w *watch) answer(name, text string) tea.Cmd {
	switch {
	case name == "esc":
		w.asking, w.typed = "", ""
	case name == "backspace" && w.typed != "":
		w.typed = w.typed[:len(w.typed)-1]
	case name == "enter":
		asked, typed := w.asking, w.typed
		w.asking, w.typed = "", ""
		if asked == "deny" {
			return w.decide(approval.Verdict{Digest: w.open.Digest, Reason: typed})
		}
		if len(typed) < 4 || !strings.HasPrefix(w.open.Digest, typed) {
			w.note = "not approved: these are not the first digits of the digest"
			return nil
		}
		// The digits that were typed are what a tired person has to type elsewhere.
		return w.decide(approval.Verdict{Approve: true, Digest: w.open.Digest, Typed: w.open.ToType})
	case len(text) == 1 && text >= " " && text <= "~" && len(w.typed) < 200:
		w.typed += text
	}
	return nil
}

// move selects the hold some places further, or the first if the selected one
// is gone.
func (w *watch) move(by int) {
	at := slices.IndexFunc(w.holds, func(h inbox.HoldView) bool { return h.ID == w.selected })
	if at = min(max(0, at+by), len(w.holds)-1); at < 0 {
		w.selected = ""
		return
	}
	w.selected = w.holds[at].ID
}

// View implements tea.Model.
func (w *watch) View() tea.View {
	head, body, foot := w.listed()
	if w.open != nil {
		head, body, foot = w.opened()
	}
	note := w.note
	switch w.asking {
	case "approve":
		note = fmt.Sprintf("approve? type the first 4 digits of %.8s, then Enter: %s", w.open.Digest, w.typed)
	case "deny":
		note = "deny? say why to the agent, then Enter: " + w.typed
	}
	for len(body) < w.page() {
		body = append(body, "")
	}
	v := tea.NewView(strings.Join(slices.Concat([]string{w.cut(head), ""}, body, []string{w.tail(note), w.cut(foot)}), "\n"))
	v.AltScreen = true
	return v
}

// listed is the list: one line for each hold, the selected one in sight.
func (w *watch) listed() (head string, body []string, foot string) {
	at := 0
	for i, h := range w.holds {
		mark := "  "
		if h.ID == w.selected {
			mark, at = "> ", i
		}
		left := "-"
		if h.State == "pending" {
			left = time.Until(h.Expires).Round(time.Second).String()
		}
		body = append(body, w.cut(fmt.Sprintf("%s%-8.8s  %-9s  %-20s  %s", mark, h.Digest, left, bare(h.Agent), h.What())))
	}
	first := max(0, at-w.page()+1)
	body = body[first:min(len(body), first+w.page())]
	return fmt.Sprintf("exeat: %d calls wait for a person (%s)", len(w.holds), bare(w.client.Person)), body, "up/down choose  Enter read and decide  q quit"
}

func (w *watch) opened() (head string, body []string, foot string) {
	lines := w.lines()
	end := min(len(lines), w.top+w.page())
	more := ""
	if end < len(lines) {
		more = fmt.Sprintf("  (%d more lines)", len(lines)-end)
	}
	return w.open.What() + more, lines[min(w.top, end):end], "space further  a approve once  d deny  v hidden values  o open in the browser  Esc back"
}

// lines is the open hold in full, folded to the screen's width.
func (w *watch) lines() []string {
	var b strings.Builder
	if err := printHold(&b, *w.open); err != nil {
		return []string{err.Error()}
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		line = strings.TrimRight(line, "\n")
		for len(line) > w.width {
			lines, line = append(lines, line[:w.width]), line[w.width:]
		}
		lines = append(lines, line)
	}
	return lines
}

func (w *watch) cut(s string) string { return s[:min(len(s), w.width)] }

// tail keeps the end of a line in sight, where somebody types.
func (w *watch) tail(s string) string {
	s = bare(s)
	return s[max(0, len(s)-w.width):]
}

// bare is printable without quotes around plain words.
func bare(s string) string {
	p := printable(s)
	return strings.TrimSuffix(strings.TrimPrefix(p, `"`), `"`)
}

// browse opens a page in the person's browser. Where that cannot be done, its
// address is on the screen.
func browse(url string) {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	}
	if cmd := exec.Command(name, args...); cmd.Start() == nil {
		_ = cmd.Wait() // the address is on the screen
	}
}
