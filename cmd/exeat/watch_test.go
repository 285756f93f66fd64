package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/exeat/exeat/authz/inbox"
	"github.com/exeat/exeat/tools"
)

// screen drives a watch without a terminal: it runs what Update asks for, except
// the next poll.
type screen struct {
	t *testing.T
	w *watch
}

func (s screen) send(msg tea.Msg) {
	s.t.Helper()
	for range 10 {
		_, cmd := s.w.Update(msg)
		if _, listed := msg.(holdsMsg); cmd == nil || listed {
			return
		}
		msg = cmd()
	}
	s.t.Fatal("the watch does not come to rest")
}

func (s screen) press(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		m := tea.KeyPressMsg{}
		switch k {
		case "enter":
			m.Code = tea.KeyEnter
		case "esc":
			m.Code = tea.KeyEscape
		case "space":
			m.Code, m.Text = tea.KeySpace, " "
		case "backspace":
			m.Code = tea.KeyBackspace
		default:
			m.Code, m.Text = rune(k[0]), k
		}
		s.send(m)
	}
}

func (s screen) want(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if got := s.w.View().Content; !strings.Contains(got, text) {
			s.t.Errorf("the screen does not show %q:\n%s", text, got)
		}
	}
}

func TestWatch(t *testing.T) {
	g, shop := newShopGateway(t)
	caller := terminal(g.cfg)
	caller.Agent.ID = "\x1b[2Jevil\u202e"
	held := func(args string) string {
		t.Helper()
		res := g.runner.Call(t.Context(), caller, "delete_pet", []byte(args))
		if res.Envelope.Status != tools.Pending {
			t.Fatalf("%s", res.JSON())
		}
		return res.Envelope.Handle
	}
	if code, out := exeat(t, g.inbox.LoginLink()+"\n", "approvals", "login"); code != 0 {
		t.Fatal(code, out)
	}
	b, err := os.ReadFile(filepath.Join(os.Getenv("XDG_STATE_HOME"), "exeat", "inbox-session.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c inbox.Client
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	s := screen{t, newWatch(t.Context(), &c)}
	s.send(s.w.list())
	s.want("0 calls wait", "User::alice")

	first, second := held(`{"petId":1}`), held(`{"petId":2}`)
	s.send(s.w.list())
	s.want("2 calls wait", "Delete pet 1", "Delete pet 2", `evil\u202e`)
	if strings.Contains(s.w.View().Content, "\x1b") {
		t.Error("an agent's name reaches the terminal as it is")
	}

	// On a small screen the call must be read to its end before it is approved.
	s.send(tea.WindowSizeMsg{Width: 60, Height: 8})
	s.press("enter", "a")
	s.want("read it to its end first")
	for range 40 {
		s.press("space")
	}
	s.press("a")
	digest := s.w.open.Digest
	s.want("approve? type the first 4 digits")
	s.press("z", "z", "z", "z", "enter")
	s.want("not approved")
	s.press("a", "esc")
	if shop.writes.Load() != 0 {
		t.Fatal("something was sent")
	}
	s.press(append(append([]string{"a", "z", "backspace"}, strings.Split(digest[:4], "")...), "enter")...)
	if res := g.runner.Resume(t.Context(), caller, first, tools.MaxWait, ""); res.Envelope.HTTPStatus != http.StatusNoContent {
		t.Errorf("%s", res.JSON())
	}

	// A larger screen shows all of it at once; the reason reaches the agent.
	s.send(tea.WindowSizeMsg{Width: 100, Height: 60})
	s.send(s.w.list())
	s.want("1 calls wait")
	s.press("enter", "d", "n", "o", "space", "n", "o", "w", "enter")
	if res := g.runner.Resume(t.Context(), caller, second, 0, ""); !strings.Contains(res.Envelope.Reason, "no now") || shop.writes.Load() != 1 {
		t.Errorf("%s, %d writes", res.JSON(), shop.writes.Load())
	}
	s.want("0 calls wait")

	// A call that arrives does not slip under the cursor.
	third := held(`{"petId":3}`)
	s.send(s.w.list())
	if held(`{"petId":2}`); s.w.selected != third {
		t.Errorf("selected %q, want %q", s.w.selected, third)
	}
	s.send(s.w.list())
	if s.w.selected != third {
		t.Errorf("selected %q, want %q", s.w.selected, third)
	}
}

// TestWatchProgram runs the whole program on a terminal of bytes.
func TestWatchProgram(t *testing.T) {
	newShopGateway(t)
	w := newWatch(t.Context(), &inbox.Client{Origin: "http://127.0.0.1:1", Person: "User::alice"})
	var out strings.Builder
	in := strings.NewReader("q")
	p := tea.NewProgram(w, tea.WithInput(in), tea.WithOutput(&out), tea.WithWindowSize(80, 24), tea.WithoutSignals())
	done := make(chan error, 1)
	go func() { _, err := p.Run(); done <- err }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("q does not end it")
	}
}
