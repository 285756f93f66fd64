package inbox

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/exeat/exeat/authz/approval"
	"github.com/exeat/exeat/authz/approval/approvaltest"
	"github.com/exeat/exeat/store"
)

const strongPolicies = `permit (principal, action in Action::"read", resource);
permit (principal, action, resource) when { context has approval && context.approval.phishing_resistant };
permit (principal, action == Action::"approve", resource) when { context.approval.phishing_resistant };`

// giveSigned gives a grant in the browser, where the passkey signs it.
func giveSigned(t *testing.T, s *site, ctx context.Context) (approval.Rule, store.Hold) {
	t.Helper()
	h := s.open(call(alice, "k"+rand.Text()))
	browse(t, ctx, chromedp.Navigate(s.inbox.c.URL+"/h/"+h.ID+"/grant?kind=grant"), chromedp.Click(`form button.primary`),
		chromedp.WaitVisible(`form[data-passkey] button.primary`), chromedp.Click(`form[data-passkey] button.primary`), chromedp.WaitVisible(`.outcome.approved`))
	rules, err := s.Rules(t.Context(), s.as(approval.Person{Principal: alice}))
	if err != nil || len(rules) != 1 {
		t.Fatal(rules, err)
	}
	return rules[0], s.Stored(h.ID)
}

// A grant that a passkey signs approves the call that waits and those to come,
// also where the policies want the passkey, and can be checked elsewhere.
func TestSignedGrant(t *testing.T) {
	s, ctx := keyed(t, strongPolicies)
	s.enrol(ctx)
	r, h := giveSigned(t, s, ctx)
	if !r.Signed || !r.Approval().PhishingResistant || h.State != store.Approved || h.Approval.Grant != r.ID || len(h.Approval.Signed) == 0 {
		t.Fatalf("%+v, %+v", r, h.Approval)
	}
	if _, err := s.Claim(t.Context(), []string{h.API}, anyHold, "us", time.Minute); err != nil {
		t.Errorf("claim: %v", err)
	}
	if err := s.use(r); err != nil {
		t.Errorf("use: %v", err)
	}
	pins, err := s.Pins(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]int{}
	check := func(e store.Entry) error {
		signed, err := approval.CheckEntry(e, pins)
		if err != nil {
			t.Error(err)
		}
		if !signed {
			return nil
		}
		checked[string(e.Kind)]++
		for name, change := range map[string]func(*store.Entry){
			"another tool": func(e *store.Entry) { e.Tool = "delete_owner" }, "another agent": func(e *store.Entry) { e.Agent = "x" },
			"no grant": func(e *store.Entry) { e.Grant = "" }, "another principal": func(e *store.Entry) { e.Principal = "User::bob" },
			"another hold": func(e *store.Entry) { e.Hold = "hold_x" }, "another digest": func(e *store.Entry) { e.Digest = "x" },
		} {
			changed := e
			change(&changed)
			if _, err := approval.CheckEntry(changed, pins); err == nil {
				t.Errorf("the signature of a %s stands for %s", e.Kind, name)
			}
		}
		return nil
	}
	if err := s.DB.Entries(t.Context(), 0, check); err != nil {
		t.Fatal(err)
	}
	if checked["approve"] != 1 || checked["grant"] != 1 {
		t.Errorf("signed entries: %v", checked)
	}
}

// signIn logs in with the passkey and nothing else.
func (s *site) signIn(ctx context.Context) approval.Identity {
	s.T.Helper()
	t := s.T.(*testing.T)
	logOut(t, ctx)
	browse(t, ctx, chromedp.Click(`form[action="/login/passkey"] button`), chromedp.WaitVisible(`details.me`))
	who := s.inbox.logins.of("User::alice", s.Clock())[0].who
	if !who.Strong() {
		s.T.Fatal("the passkey did not recognise her")
	}
	return who
}

// Who has a passkey gives nothing without it, and what it signed is not a
// signature of anything wider, longer, or for another call.
func TestGrantNeedsItsSignature(t *testing.T) {
	s, ctx := keyed(t)
	s.enrol(ctx)
	r, _ := giveSigned(t, s, ctx)
	h := s.open(call(alice, "another"))
	strong := s.signIn(ctx)
	give := func(change func(*approval.Offer), signed *approval.Signed) error {
		o := narrow(h)
		o.For = r.Ends.Sub(r.Created)
		if change != nil {
			change(&o)
		}
		_, err := approval.One(s.Service.Decide(t.Context(), strong, approval.Verdict{Approve: true, Hold: h.ID, Digest: h.Digest, Signed: signed, Rule: &o}))
		return err
	}
	if err := give(nil, nil); !errors.Is(err, approval.ErrNeedPasskey) {
		t.Errorf("by a login with the passkey alone: %v", err)
	}
	for name, change := range map[string]func(*approval.Offer){
		"another call": nil,
		"longer":       func(o *approval.Offer) { o.For += time.Minute },
		"wider":        func(o *approval.Offer) { o.Reach = approval.ReachAny },
		"any argument": func(o *approval.Offer) { o.Args = approval.ArgsAny },
		"counted":      func(o *approval.Offer) { o.Max = 5 },
	} {
		if err := give(change, s.signatureOf(r)); !errors.Is(err, approval.ErrPasskey) {
			t.Errorf("signed for %s: %v", name, err)
		}
	}
	if rules, err := s.Rules(t.Context(), strong); err != nil || len(rules) != 1 || s.Stored(h.ID).State != store.Pending {
		t.Errorf("%d rules, %v", len(rules), err)
	}
	// A block takes something from the agent and needs no key.
	o := narrow(h)
	o.Kind = approval.KindBlock
	if _, err := s.Give(t.Context(), approval.Person{Principal: alice, AMR: []string{"otp"}}, h, o, approval.Verdict{}); err != nil {
		t.Errorf("a denial: %v", err)
	}
}

// A grant stands as long as the key that signed it, and for what it signed: also
// where whoever changed it had the key of the seals.
func TestSignedGrantIsCheckedAtEachUse(t *testing.T) {
	for name, spoil := range map[string]func(*testing.T, *site, approval.Rule){
		"revoked": func(t *testing.T, s *site, _ approval.Rule) {
			keys, err := s.PasskeysOf(t.Context(), "User::alice")
			if err != nil || len(keys) != 1 {
				t.Fatal(keys, err)
			}
			s.revoke(keys[0])
		},
		"wider": func(t *testing.T, s *site, r approval.Rule) {
			s.reseal(r, func(scope map[string]any, _ *store.Rule) { scope["args"] = approval.ArgsAny })
		},
		"longer": func(t *testing.T, s *site, r approval.Rule) {
			s.reseal(r, func(_ map[string]any, row *store.Rule) { row.Ends = row.Ends.Add(time.Hour) })
		},
		"further": func(t *testing.T, s *site, r approval.Rule) {
			s.reseal(r, func(scope map[string]any, _ *store.Rule) { scope["reach"] = approval.ReachAny })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := keyed(t)
			s.enrol(ctx)
			r, _ := giveSigned(t, s, ctx)
			if err := s.use(r); err != nil {
				t.Fatal(err)
			}
			rules, err := s.Rules(t.Context(), s.as(approval.Person{Principal: alice}))
			if err != nil || len(rules) != 1 {
				t.Fatal(rules, err)
			}
			spoil(t, s, rules[0])
			if err := s.use(r); !errors.Is(err, approval.ErrNoGrant) {
				t.Errorf("use: %v", err)
			}
		})
	}
}

// ruleRow is a rule as it is stored, with what of it is written as JSON.
func (s *site) ruleRow(id string) (row store.Rule, fixed map[string]any) {
	s.T.Helper()
	err := s.DB.View(s.T.Context(), func(tx *store.Tx) (err error) {
		row, err = tx.Rule(id)
		return err
	})
	if err == nil {
		err = json.Unmarshal(row.Fixed, &fixed)
	}
	if err != nil {
		s.T.Fatal(err)
	}
	return row, fixed
}

// signatureOf is what a passkey signed of a stored rule.
func (s *site) signatureOf(r approval.Rule) *approval.Signed {
	s.T.Helper()
	row, _ := s.ruleRow(r.ID)
	var fixed struct {
		Proof struct {
			Signed approval.Signed `json:"signed"`
		} `json:"proof"`
	}
	if err := json.Unmarshal(row.Fixed, &fixed); err != nil || len(fixed.Proof.Signed.Answer) == 0 {
		s.T.Fatal("it is not signed", err)
	}
	return &fixed.Proof.Signed
}

// reseal changes a stored rule as somebody with the key of the seals could.
func (s *site) reseal(r approval.Rule, change func(scope map[string]any, row *store.Rule)) {
	s.T.Helper()
	row, fixed := s.ruleRow(r.ID)
	change(fixed["scope"].(map[string]any), &row)
	var err error
	if row.Fixed, err = json.Marshal(fixed); err != nil {
		s.T.Fatal(err)
	}
	row.Mark, row.Created, row.Ends, row.Revoked = nil, row.Created.UTC(), row.Ends.UTC(), row.Revoked.UTC()
	form, err := json.Marshal(row)
	if err != nil {
		s.T.Fatal(err)
	}
	mac := hmac.New(sha256.New, approvaltest.Key)
	mac.Write([]byte("exeat rule 1\n"))
	mac.Write(form)
	s.SQL("UPDATE rules SET fixed = ?, ends = ?, mark = ?", row.Fixed, row.Ends.UnixMicro(), mac.Sum(nil))
	rules, err := s.Rules(s.T.Context(), s.as(approval.Person{Principal: alice}))
	if err != nil || len(rules) != 1 || rules[0].Damaged {
		s.T.Fatal("its seal is not good", err)
	}
}
