package approval

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/store"
)

// Nobody gets past the door whom its own doorkeeper has not let in, or not any
// more: to see, to decide, to give or to take back.
func TestDoor(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k1"))
	r, _ := w.give(nil)
	until := w.Clock().Add(time.Hour)
	good := w.door.Admit(Person{Principal: alice}, until)
	for name, who := range map[string]Identity{
		"nobody":                     {},
		"made by hand":               {person: Person{Principal: alice}, until: until},
		"by another doorkeeper":      new(Doorkeeper).Admit(Person{Principal: alice}, until),
		"by no doorkeeper":           (*Doorkeeper)(nil).Admit(Person{Principal: alice}, until),
		"let in until now":           w.door.Admit(Person{Principal: alice}, w.Clock()),
		"let in until some time ago": w.door.Admit(Person{Principal: alice}, w.Clock().Add(-time.Hour)),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			before := w.Entries()
			verdict := Verdict{Approve: true, Hold: h.ID, Digest: h.Digest}
			offer := Offer{Kind: KindGrant, Reach: ReachAny, Args: ArgsAny, For: time.Minute}
			tries := map[string]func() error{
				"decides": func() error { _, err := w.Service.Decide(ctx, who, verdict); return err },
				"denies":  func() error { v := verdict; v.Approve = false; _, err := w.Service.Decide(ctx, who, v); return err },
				"several": func() error {
					_, err := w.Service.Decide(ctx, who, Verdict{Approve: true, Together: []Shown{{h.ID, h.Digest}}})
					return err
				},
				"gives":     func() error { v := verdict; v.Rule = &offer; _, err := w.Service.Decide(ctx, who, v); return err },
				"drafts":    func() error { _, err := w.Draft(ctx, who, h, offer); return err },
				"sees":      func() error { _, err := w.Show(ctx, who, h.ID, false); return err },
				"reveals":   func() error { _, err := w.Show(ctx, who, h.ID, true); return err },
				"watches":   func() error { _, err := w.State(ctx, who, h.ID); return err },
				"lists":     func() error { _, _, err := w.Waiting(ctx, who, true); return err },
				"rules":     func() error { _, err := w.Rules(ctx, who); return err },
				"agents":    func() error { _, err := w.Agents(ctx, who); return err },
				"revokes":   func() error { return w.Revoke(ctx, who, r.ID) },
				"stops":     func() error { return w.Stop(ctx, who, "claude-desktop") },
				"starts":    func() error { return w.Start(ctx, who, "claude-desktop") },
				"end a key": func() error { return w.RevokeOwnPasskey(ctx, who, "x") },
				"habits":    func() error { _, err := w.Habits(ctx, who); return err },
			}
			for what, try := range tries {
				if err := try(); !errors.Is(err, ErrStranger) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if d := cmp.Diff(before, w.Entries()); d != "" {
				t.Errorf("entries:\n%s", d)
			}
			if got := w.Stored(h.ID); got.State != store.Pending || got.Version != h.Version {
				t.Errorf("it is %s", got.State)
			}
		})
	}
	// The same, by the one who was let in.
	if _, err := One(w.Service.Decide(t.Context(), good, Verdict{Approve: true, Hold: h.ID, Digest: h.Digest})); err != nil {
		t.Error(err)
	}
}

// A service without a doorkeeper lets nobody decide.
func TestNoDoorkeeper(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k1"))
	w.restart(func(c *Config) { c.Door = nil })
	for _, who := range []Identity{{}, w.door.Admit(Person{Principal: alice}, w.Clock().Add(time.Hour)), (*Doorkeeper)(nil).Admit(Person{Principal: alice}, w.Clock().Add(time.Hour))} {
		if _, err := w.Service.Decide(t.Context(), who, Verdict{Approve: true, Hold: h.ID, Digest: h.Digest}); !errors.Is(err, ErrStranger) {
			t.Error(err)
		}
	}
}

// An identity says what it said when it was made: nothing that its maker or a
// reader holds on to changes it, and nobody calls themselves strong.
func TestIdentityIsFixed(t *testing.T) {
	var door Doorkeeper
	p := Person{Principal: authz.Principal{Type: "User", ID: "alice", Groups: []string{"readers"}}, AMR: []string{"otp"}, Strong: true}
	who := door.Admit(p, time.Now().Add(time.Hour))
	p.Principal.Groups[0], p.AMR[0] = "admins", "hwk"
	read := who.Person()
	read.Principal.Groups[0], read.AMR[0], read.Strong = "admins", "hwk", true
	want := Person{Principal: authz.Principal{Type: "User", ID: "alice", Groups: []string{"readers"}}, AMR: []string{"otp"}}
	if d := cmp.Diff(want, who.Person()); d != "" || who.Strong() {
		t.Error(d)
	}
	for name, use := range map[string]PasskeyUse{"nobody's": {}, "somebody else's": {"User::bob"}} {
		if got, err := door.AdmitByPasskey(want, use, time.Now()); !errors.Is(err, ErrPasskey) || got.Strong() || got.Name() != "::" {
			t.Errorf("%s passkey: %v", name, err)
		}
	}
	if got, err := door.AdmitByPasskey(want, PasskeyUse{"User::alice"}, time.Now()); err != nil || !got.Strong() {
		t.Errorf("her own: %v", err)
	}
}

// What somebody who may not see a hold does to it looks like what never was, and
// is recorded where it would be.
func TestHiddenFromTheDoor(t *testing.T) {
	w := newWorld(t)
	h := w.open(call(alice, "k1"))
	who := w.as(Person{Principal: bob})
	list, err := w.Service.Decide(t.Context(), who, Verdict{Approve: true, Together: []Shown{{h.ID, h.Digest}, {"hold_unknown", "x"}}})
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for _, d := range list {
		if !errors.Is(d.Err, ErrNotFound) || d.Hold.ID != "" {
			t.Errorf("%+v", d)
		}
	}
	if got := w.Entries(); got[len(got)-1] != "approve forbidden User::bob" {
		t.Errorf("entries %v", got)
	}
	if _, err := w.Show(t.Context(), who, h.ID, true); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// The code that decides is reached through one door. Of the exported methods of
// the package, only Decide leads to an approval, only Decide, Stop and EndUser to a
// denial, and only those below change a stored hold at all.
func TestOneDoor(t *testing.T) {
	all := readPackage(t)
	for what, tt := range map[string]struct {
		to   func(*function) bool
		want []string
	}{
		"an approval":   {func(f *function) bool { return f.makes["Approve"] }, []string{"Service.Decide"}},
		"a denial":      {func(f *function) bool { return f.makes["Deny"] }, []string{"Service.Decide", "Service.EndUser", "Service.Stop"}},
		"a new rule":    {func(f *function) bool { return f.selects["InsertRule"] }, []string{"Service.Decide", "Service.Stop"}},
		"a new hold":    {func(f *function) bool { return f.selects["Insert"] }, []string{"Service.Open"}},
		"a new passkey": {func(f *function) bool { return f.selects["InsertPasskey"] }, []string{"Passkeys.Register"}},
		// All but Decide, Stop and EndUser end holds: by their maker, by time, by a send, or
		// because they were altered.
		"a changed hold": {func(f *function) bool { return f.selects["Swap"] }, []string{"Service.Cancel", "Service.Claim", "Service.Decide", "Service.EndUser", "Service.Finish",
			"Service.Get", "Service.List", "Service.Open", "Service.Show", "Service.State", "Service.Stop", "Service.Sweep", "Service.Wait", "Service.Waiting", "Service.Waits"}},
	} {
		var got []string
		for name, f := range all {
			if ast.IsExported(name[strings.LastIndex(name, ".")+1:]) && f.leads(all, tt.to, map[*function]bool{}) {
				got = append(got, name)
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
}

// function is what a function of this package uses.
type function struct {
	calls   map[string]bool // of this package, whether called or handed on
	makes   map[string]bool // structs
	selects map[string]bool // by name, whatever it is selected from
}

// leads reports whether a function is one that to names, or uses one.
func (f *function) leads(all map[string]*function, to func(*function) bool, seen map[*function]bool) bool {
	if f == nil || seen[f] {
		return false
	}
	seen[f] = true
	if to(f) {
		return true
	}
	for name := range f.calls {
		if all[name].leads(all, to, seen) {
			return true
		}
	}
	return false
}

// readPackage says what every function of this package uses.
func readPackage(t *testing.T) map[string]*function {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	// Nothing is imported, so what is of other packages has no type; what is of
	// this one has, and that is what counts.
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	ours, _ := (&types.Config{Importer: nothing{}, Error: func(error) {}}).Check("approval", fset, files, info)
	all := map[string]*function{}
	for _, file := range files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			use := &function{map[string]bool{}, map[string]bool{}, map[string]bool{}}
			all[declared(f)] = use
			ast.Inspect(f.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.Ident:
					if callee, ok := info.Uses[n].(*types.Func); ok && callee.Pkg() == ours {
						use.calls[nameOf(callee)] = true
					}
				case *ast.SelectorExpr:
					use.selects[n.Sel.Name] = true
				case *ast.CompositeLit:
					if id, ok := n.Type.(*ast.Ident); ok {
						use.makes[id.Name] = true
					}
				}
				return true
			})
		}
	}
	if len(all) < 100 {
		t.Fatalf("%d functions; can this test still read them?", len(all))
	}
	return all
}

// nothing imports empty packages.
type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	p.MarkComplete()
	return p, nil
}

// declared is the name of a function as nameOf gives it.
func declared(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	kind := f.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	return kind.(*ast.Ident).Name + "." + f.Name.Name
}

func nameOf(f *types.Func) string {
	recv := f.Type().(*types.Signature).Recv()
	if recv == nil {
		return f.Name()
	}
	kind := recv.Type()
	if pointer, ok := kind.(*types.Pointer); ok {
		kind = pointer.Elem()
	}
	return kind.(*types.Named).Obj().Name() + "." + f.Name()
}
