package approval

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exeat/exeat/authz/words"
	"github.com/exeat/exeat/store"
)

// Fatigue says when a person has approved so much, or so fast, that the next
// approval has to be typed: people who are asked often stop reading. A passkey's
// signature does instead. Zero fields mean the defaults.
type Fatigue struct {
	Streak     int           // approvals in a row, each faster than FasterThan; 0 means 5
	FasterThan time.Duration // from the page to the decision; 0 means 3 s
	Most       int           // approvals within Within; 0 means 30
	Within     time.Duration // 0 means 10 min
}

func (f Fatigue) withDefaults() Fatigue {
	if f.Streak == 0 {
		f.Streak = 5
	}
	if f.FasterThan == 0 {
		f.FasterThan = 3 * time.Second
	}
	if f.Most == 0 {
		f.Most = 30
	}
	if f.Within == 0 {
		f.Within = 10 * time.Minute
	}
	return f
}

// ErrConfirm is an approval that has to be typed.
var ErrConfirm = errors.New("this approval has to be typed")

// typedNote begins the note of an approval that was typed, seenNote what it tells of
// what was looked at.
const (
	typedNote = "typed"
	seenNote  = "seen: "
)

// noteOf is the note of an approval.
func noteOf(v Verdict, tired bool) string {
	var notes []string
	if tired && v.Signed == nil {
		notes = append(notes, typedNote)
	}
	if len(v.Seen) > 0 {
		notes = append(notes, seenNote+strings.Join(v.Seen, ", "))
	}
	return strings.Join(notes, "; ")
}

// Bounds of what is remembered of people.
const (
	decisionsKept = 100    // of one person
	openedKept    = 10_000 // pages
	newestEntries = 2_000  // of the log, after a start
)

// decided is one decision of a person.
type decided struct {
	at      time.Time
	approve bool
	took    time.Duration // from the page to the decision; 0 if there was no page
	typed   bool
}

// pace is what is remembered of how people decide.
type pace struct {
	mu     sync.Mutex
	opened map[[2]string]time.Time // first, by person and hold; guarded by mu
	order  [][2]string             // guarded by mu
	recent map[string][]decided    // oldest first, by person; guarded by mu
}

// opened tells that a person has a hold before their eyes.
func (s *Service) opened(person, hold string) {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	k := [2]string{person, hold}
	if _, ok := s.pace.opened[k]; ok {
		return
	}
	if s.pace.opened == nil {
		s.pace.opened = map[[2]string]time.Time{}
	}
	s.pace.opened[k] = s.Now()
	if s.pace.order = append(s.pace.order, k); len(s.pace.order) > openedKept {
		delete(s.pace.opened, s.pace.order[0])
		s.pace.order = s.pace.order[1:]
	}
}

// took is how long a person had a hold before their eyes; 0 if they had not, or
// if a clock that jumped cannot tell.
func (s *Service) took(person, hold string, now time.Time) time.Duration {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	at, ok := s.pace.opened[[2]string{person, hold}]
	if !ok {
		return 0
	}
	return max(0, now.Sub(at))
}

// recall reads from the log, once after a start, how a person decided lately: a
// restart makes nobody fresh again.
func (s *Service) recall(ctx context.Context, person string) error {
	s.pace.mu.Lock()
	_, known := s.pace.recent[person]
	s.pace.mu.Unlock()
	if known || s.c.Fatigue == nil {
		return nil
	}
	var list []decided
	err := s.c.Store.Newest(ctx, newestEntries, func(e store.Entry) error {
		if e.By == person && e.Code == "" && (e.Kind == store.KindApprove || e.Kind == store.KindDeny) {
			list = append(list, decided{e.Time, e.Kind == store.KindApprove, time.Duration(e.Took) * time.Millisecond, strings.HasPrefix(e.Note, typedNote) || len(e.Signed) > 0})
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	if s.pace.recent == nil {
		s.pace.recent = map[string][]decided{}
	}
	if _, known := s.pace.recent[person]; !known {
		s.pace.recent[person] = list[max(0, len(list)-decisionsKept):]
	}
	return nil
}

// note remembers a decision.
func (s *Service) noteDecision(person string, d decided) {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	if s.pace.recent == nil {
		s.pace.recent = map[string][]decided{}
	}
	list := append(s.pace.recent[person], d)
	s.pace.recent[person] = list[max(0, len(list)-decisionsKept):]
}

// Tired says why the next approval of a person has to be typed; it has no key if it
// has not.
func (s *Service) Tired(ctx context.Context, person string) (words.Text, error) {
	err := s.recall(ctx, person)
	return s.tired(person, s.Now()), err
}

// tired is Tired of what is remembered. Times in the future count as now: a
// clock that jumps makes nobody fresh.
func (s *Service) tired(person string, now time.Time) (why words.Text) {
	if s.c.Fatigue == nil {
		return why
	}
	f := s.c.Fatigue.withDefaults()
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	list := s.pace.recent[person]
	streak, many, inRow := 0, 0, true
	for i := len(list) - 1; i >= 0 && !list[i].typed; i-- {
		d := list[i]
		if inRow = inRow && d.approve && d.took < f.FasterThan; inRow {
			streak++
		}
		if d.approve && now.Sub(d.at) < f.Within {
			many++
		}
	}
	switch {
	case streak >= f.Streak:
		return words.T("You approved the last %d calls within %s of seeing each.", streak, f.FasterThan)
	case many >= f.Most:
		return words.T("You approved %d calls within %s.", many, f.Within)
	}
	return why
}

// confirm is ErrConfirm if an approval had to be typed and was not. signed says
// that a passkey signed it.
func (s *Service) confirm(person string, signed bool, q Question, typed string, now time.Time) error {
	if signed || s.tired(person, now).Key == "" || strings.TrimSpace(typed) == q.Answer {
		return nil
	}
	return Mistyped{q, strings.TrimSpace(typed)}
}

// Habits are how a person has decided.
type Habits struct {
	Decisions, Approved, Fast, Timed int
	Median                           string // from the page to the decision
}

// Share is how many of a hundred decisions were approvals.
func (h Habits) Share() int { return h.Approved * 100 / max(1, h.Decisions) }

// Habits sums up a person's decisions of the last 7 days, so far as the log's
// newest entries tell.
func (s *Service) Habits(ctx context.Context, who Identity) (h Habits, err error) {
	p, err := s.admit(ctx, who)
	if err != nil {
		return h, err
	}
	now := s.Now()
	fast := Fatigue{}.withDefaults().FasterThan
	if s.c.Fatigue != nil {
		fast = s.c.Fatigue.withDefaults().FasterThan
	}
	var took []time.Duration
	err = s.c.Store.Newest(ctx, ActivityEntries, func(e store.Entry) error {
		if e.By != p.Name() || e.Code != "" || e.Kind != store.KindApprove && e.Kind != store.KindDeny || now.Sub(e.Time) > 7*24*time.Hour {
			return nil
		}
		h.Decisions++
		if e.Kind == store.KindApprove {
			h.Approved++
		}
		if e.Took > 0 {
			d := time.Duration(e.Took) * time.Millisecond
			took = append(took, d)
			if d < fast {
				h.Fast++
			}
		}
		return nil
	})
	slices.Sort(took)
	if h.Timed = len(took); h.Timed > 0 {
		h.Median = took[len(took)/2].Round(100 * time.Millisecond).String()
	}
	return h, err
}

const ActivityEntries = 5_000
