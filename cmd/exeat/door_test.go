package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOneDoor fails if code outside of the room that decides could decide, by
// another way than its door: read a hold, write one, a rule or a
// passkey itself, or say who somebody is. (What leads where within that room, its own TestOneDoor says.)
func TestOneDoor(t *testing.T) {
	allowed := map[string][]string{ // by what is used: the packages that may
		"Swap": nil, "Insert": nil, "SwapRule": nil, "InsertRule": nil, "SwapPasskey": nil, "InsertPasskey": nil,
		"Admit": {"authz/inbox"}, "AdmitByPasskey": {"authz/inbox"}, "FinishSignIn": {"authz/inbox"},
		"Doorkeeper": {"authz/inbox", "cmd/exeat"}, "Decide": {"authz/inbox", "cmd/exeat"},
	}
	reads := []string{"Hold", "Outlines", "OpenHold", "Recent"} // of a transaction
	fset := token.NewFileSet()
	found := map[string]bool{}
	for _, f := range ourFiles(t) {
		if f.test || f.pkg == "authz/approval" || f.pkg == "store" || strings.HasPrefix(f.pkg, "store/") || f.pkg == "authz" || f.pkg == "authz/approval/approvaltest" {
			continue
		}
		parsed, err := parser.ParseFile(fset, filepath.Join("..", "..", f.name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if f, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(reads, f.Sel.Name) && ofTx(f) {
					t.Errorf("a hold is read by %s and not by Show", fset.Position(call.Pos()))
				}
			}
			selected, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := selected.Sel.Name
			packages, guarded := allowed[name]
			if !guarded || name == "Decide" && asksPolicies(selected) || name == "Swap" && !ofTx(selected) { // keys are swapped, too
				return true
			}
			found[name] = true
			if !slices.Contains(packages, f.pkg) {
				t.Errorf("%s uses %s, which is for %v and the room that decides", f.name, name, packages)
			}
			return true
		})
	}
	for name, packages := range allowed {
		if !found[name] && len(packages) > 0 {
			t.Errorf("nothing uses %s; does this test still look for the right names?", name)
		}
	}
}

// ofTx reports whether a method is that of a transaction, as all our code calls
// one.
func ofTx(s *ast.SelectorExpr) bool {
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "tx"
}

// asksPolicies reports whether a Decide is that of Cedar's engine, which every
// call asks.
func asksPolicies(s *ast.SelectorExpr) bool {
	switch x := s.X.(type) {
	case *ast.Ident:
		return strings.EqualFold(x.Name, "engine")
	case *ast.SelectorExpr:
		return strings.EqualFold(x.Sel.Name, "engine")
	}
	return false
}
