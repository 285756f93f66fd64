package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const ourModule = "github.com/exeat/exeat"

// arrows are the imports that each package may have of the others. They run one
// way:
//
//	cmd ─┬▶ mcpserver ─▶ tools ─┬─▶ openapi
//	     │                      ├─▶ authz/token
//	     │                      ├─▶ authz/approval ─▶ authz, store
//	     │                      ├─▶ authz
//	     │                      └─▶ store
//	     └▶ authz/inbox ─▶ authz/notify ─▶ authz/approval
//
// mcpserver knows authz for the values that name a caller, no more. What decides
// does not know who shows or tells of it, so tools reaches no page, no login and
// no message. authz/plaintext, authz/words, authz/tally and authz/refresh are leaves; authz/claims,
// authz/issuer and authz/dpop, what issuers say and publish and what clients prove,
// stand on leaves alone. Below openapi are three more:
// strictjson, which mcpserver reads with too, reach, which every dial asks, and nearest,
// which finds what a misspelt word was meant to be.
var arrows = map[string][]string{
	"authz":                 {"openapi/nearest"},
	"authz/token":           {"authz/dpop", "authz/refresh", "openapi/reach", "openapi/strictjson"},
	"openapi":               {"openapi/nearest", "openapi/reach", "openapi/strictjson"},
	"openapi/nearest":       {},
	"openapi/reach":         {},
	"openapi/strictjson":    {},
	"store":                 {},
	"authz/plaintext":       {},
	"authz/words":           {},
	"authz/phrase":          {"authz/plaintext", "authz/words"},
	"authz/claims":          {"openapi/strictjson"},
	"authz/refresh":         {},
	"authz/issuer":          {"authz/claims", "authz/refresh", "openapi/reach"},
	"authz/dpop":            {"authz/claims", "authz/issuer"},
	"authz/tally":           {},
	"authz/compare":         {},
	"authz/attachment":      {},
	"authz/credential":      {"authz/claims", "authz/dpop", "authz/issuer", "authz/token", "openapi/reach"},
	"authz/account":         {"authz/credential", "authz/issuer", "authz/token", "store"},
	"authz/approval":        {"authz", "authz/plaintext", "authz/tally", "authz/words", "store"},
	"authz/notify":          {"authz", "authz/approval", "authz/phrase", "authz/plaintext", "authz/tally", "authz/words", "openapi/reach", "store"},
	"authz/devissuer":       {"authz", "authz/approval", "authz/tally", "authz/token", "openapi/reach", "store"},
	"authz/inbox":           {"authz", "authz/account", "authz/approval", "authz/attachment", "authz/claims", "authz/compare", "authz/devissuer", "authz/notify", "authz/phrase", "authz/plaintext", "authz/tally", "authz/words", "openapi/reach", "store"},
	"authz/signals":         {"authz/approval", "authz/claims", "authz/issuer", "authz/tally", "store"},
	"tools":                 {"authz", "authz/approval", "authz/phrase", "authz/tally", "authz/token", "openapi", "openapi/reach", "store", "tools/jq", "tools/scrub"},
	"tools/jq":              {},
	"tools/scrub":           {},
	"mcpserver/edge":        {"authz/refresh"},
	"mcpserver":             {"authz", "openapi/strictjson", "tools"},
	"mcpserver/oauth":       {"authz", "authz/claims", "authz/dpop", "authz/issuer", "authz/refresh", "authz/token", "mcpserver", "tools"},
	"mcpserver/statictoken": {"authz", "mcpserver", "tools"},
	"cmd/exeat":             {"authz", "authz/account", "authz/approval", "authz/credential", "authz/devissuer", "authz/dpop", "authz/inbox", "authz/issuer", "authz/notify", "authz/refresh", "authz/signals", "authz/tally", "authz/token", "examples/petstore", "mcpserver", "mcpserver/edge", "mcpserver/oauth", "mcpserver/statictoken", "openapi", "openapi/nearest", "openapi/reach", "store", "tools"},
	"store/storetest":       {"store"},

	"authz/approval/approvaltest": {"authz", "store"},
	"authz/credential/githubtest": {},
	"examples":                    {"authz", "openapi", "tools"},
	"examples/conformance":        {"examples/petstore"},
	"examples/petstore":           {},
	"examples/petstore/serve":     {"examples/petstore"},
}

// testArrows are further imports that the tests of any package may have, besides
// everything that lies downstream of it: something to call, and how to read it.
var testArrows = []string{"examples/petstore", "openapi", "store/storetest", "authz/approval/approvaltest", "authz/credential/githubtest"}

// downstream reports whether arrows lead from one package to another.
func downstream(from, to string) bool {
	return from == to || slices.ContainsFunc(arrows[from], func(next string) bool { return downstream(next, to) })
}

// module is a dependency: why we have it, and the packages that use it outside
// of tests. No packages means tests only.
type module struct {
	why      string
	packages []string
}

// modules are all that we depend on directly. Each has its reason here; there is no
// number of them. A new one needs a page in docs/decisions, too, if there was a
// choice. What they cost is in docs/decisions/0025.
var modules = map[string]module{
	"github.com/cedar-policy/cedar-go":         {"the policy language: parser, validator, evaluator", []string{"authz"}},
	"github.com/go-jose/go-jose/v4":            {"signs and verifies tokens; measured as the strictest", []string{"authz/credential", "authz/dpop", "authz/issuer", "authz/signals", "authz/token", "mcpserver/oauth"}},
	"github.com/gowebpki/jcs":                  {"RFC 8785, the canonical form that digests are made over", []string{"authz/token"}},
	"golang.org/x/oauth2":                      {"client credentials (RFC 6749 §4.4), authorization codes, and tokens of Google", []string{"authz/account", "authz/credential", "authz/inbox", "cmd/exeat"}},
	"github.com/coreos/go-oidc/v3":             {"logins with an OpenID provider", []string{"authz/inbox"}},
	"github.com/zitadel/oidc/v3":               {"the authorization server of issuer: dev: its endpoints, parameters and errors", []string{"authz/devissuer"}},
	"github.com/santhosh-tekuri/jsonschema/v6": {"checks arguments against JSON Schema 2020-12", []string{"openapi"}},
	"go.yaml.in/yaml/v3":                       {"documents and configuration in YAML, with positions", []string{"cmd/exeat", "openapi"}},
	"golang.org/x/text":                        {"Unicode that deceives the eye, in documents and in what people are shown; message catalogues", []string{"authz/phrase", "authz/plaintext", "authz/words", "openapi", "openapi/strictjson"}},
	"github.com/mark3labs/mcp-go":              {"the MCP protocol", []string{"cmd/exeat", "mcpserver"}},
	"modernc.org/sqlite":                       {"the database, without cgo", []string{"authz/approval/approvaltest", "store", "store/storetest"}},
	"github.com/SherClockHolmes/webpush-go":    {"encrypts and signs Web Push", []string{"authz/notify"}},
	"github.com/spf13/cobra":                   {"the command line", []string{"cmd/exeat"}},
	"github.com/andybalholm/brotli":            {"answers that are packed as br", []string{"openapi"}},
	"github.com/itchyny/gojq":                  {"_select: jq over an API's answer", []string{"tools/jq"}},
	"github.com/go-webauthn/webauthn":          {"passkeys: WebAuthn, with its formats and algorithms", []string{"authz/approval"}},
	"github.com/spiffe/go-spiffe/v2":           {"JWT-SVIDs and their bundles, by those who write the standard; brings no other module", []string{"mcpserver/oauth"}},
	"github.com/aws/aws-sdk-go-v2":             {"Signature Version 4, by those who verify it; brings smithy-go alone", []string{"authz/credential", "cmd/exeat"}},
	"github.com/chromedp/chromedp":             {"a real browser, for tests of the pages", nil},
	"github.com/chromedp/cdproto":              {"the browser's virtual authenticator, in tests", nil},
	"github.com/pb33f/libopenapi":              {"OpenAPI Overlays", []string{"openapi"}},
	"github.com/pb33f/go-yaml":                 {"the node type of libopenapi's overlays. A fork with other words in its errors, by which config_explain.go explains; so yaml/v3 reads all else", []string{"openapi"}},
	"charm.land/bubbletea/v2":                  {"exeat approvals watch on the full screen", []string{"cmd/exeat"}},
	"github.com/rs/zerolog":                    {"the log on stderr", []string{"cmd/exeat"}},
	"golang.org/x/sync":                        {"errgroup: what runs together ends together; a semaphore over bytes", []string{"cmd/exeat", "mcpserver"}},
	"golang.org/x/time":                        {"the token bucket of each principal", []string{"mcpserver"}},
	"github.com/google/go-cmp":                 {"differences in tests", nil},
	"github.com/rogpeppe/go-internal":          {"testscript, for tests of the command line", nil},
}

// goFile is one of our source files.
type goFile struct {
	name    string
	pkg     string // relative to the module
	test    bool
	imports []string
}

// ourFiles parses the imports of every Go file of the module.
func ourFiles(t *testing.T) []goFile {
	root := filepath.Join("..", "..")
	var files []goFile
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != root && (n == "testdata" || strings.HasPrefix(n, ".") || strings.HasPrefix(n, "_")) {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); path != root && err == nil {
				return filepath.SkipDir // a module of its own
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f := goFile{name: filepath.ToSlash(rel), pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(path, "_test.go")}
		for _, spec := range parsed.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, p)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestImportDirection fails on any arrow that the diagram does not have.
func TestImportDirection(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range ourFiles(t) {
		allowed, known := arrows[f.pkg]
		if !known {
			t.Errorf("%s: the package %s has no place in the diagram", f.name, f.pkg)
			continue
		}
		seen[f.pkg] = true
		for _, p := range f.imports {
			target, ours := strings.CutPrefix(p, ourModule+"/")
			if !ours || slices.Contains(allowed, target) {
				continue
			}
			if f.test && (downstream(f.pkg, target) || slices.Contains(testArrows, target)) {
				continue
			}
			t.Errorf("%s: %s must not import %s", f.name, f.pkg, target)
		}
	}
	for pkg := range arrows {
		if !seen[pkg] {
			t.Errorf("the diagram has the package %s, and there is none", pkg)
		}
	}
}

// TestToolsReachNoPages fails if what takes an agent's calls could reach what
// shows people something, logs them in or sends them messages, by whatever way.
func TestToolsReachNoPages(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../tools").Output()
	if err != nil {
		t.Fatal(err)
	}
	for p := range strings.Lines(string(out)) {
		p = strings.TrimSpace(p)
		for _, never := range []string{"html/template", "github.com/coreos/go-oidc", "github.com/SherClockHolmes/webpush-go", "net/smtp",
			ourModule + "/authz/inbox", ourModule + "/authz/notify"} {
			if p == never || strings.HasPrefix(p, never+"/") {
				t.Errorf("what takes calls depends on %s", p)
			}
		}
	}
	if !strings.Contains(string(out), ourModule+"/authz/approval\n") {
		t.Error("go list did not say what tools depends on")
	}
}

// TestDefaultClient fails if anything changes what all libraries of the process
// share: a bound that is right for one is wrong for another.
func TestDefaultClient(t *testing.T) {
	for _, f := range ourFiles(t) {
		text, err := os.ReadFile(filepath.Join("..", "..", f.name))
		if err != nil {
			t.Fatal(err)
		}
		if shared := regexp.MustCompile(`http\.Default(Transport|Client(\.\w+)?)(\.\(\*http\.Transport\)(\.\w+)?)? *=[^=]`).Find(text); shared != nil {
			t.Errorf("%s changes what others use: %s", f.name, shared)
		}
	}
}

// TestModules fails on a direct dependency that is not on the list, on one that
// is used elsewhere than the list says, and on a line of the list without use.
func TestModules(t *testing.T) {
	required, direct := goMod(t)
	for _, m := range direct {
		if modules[m].why == "" {
			t.Errorf("go.mod requires %s directly, and the list has no reason for it", m)
		}
	}
	used := map[string]map[string]bool{}
	for _, f := range ourFiles(t) {
		for _, p := range f.imports {
			if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") || p == ourModule || strings.HasPrefix(p, ourModule+"/") {
				continue
			}
			m := moduleOf(p, required)
			entry, ok := modules[m]
			switch {
			case !ok:
				t.Errorf("%s imports %s of the module %q, which is not on the list", f.name, p, m)
				continue
			case !f.test && !slices.Contains(entry.packages, f.pkg):
				t.Errorf("%s imports %s: %s is not among the packages that may use it", f.name, p, f.pkg)
			}
			if used[m] == nil {
				used[m] = map[string]bool{}
			}
			if !f.test {
				used[m][f.pkg] = true
			}
		}
	}
	for m, entry := range modules {
		if used[m] == nil {
			t.Errorf("%s is on the list, and nothing imports it", m)
			continue
		}
		if got := slices.Sorted(maps.Keys(used[m])); !slices.Equal(got, entry.packages) {
			t.Errorf("%s is used by %v, and the list says %v", m, got, entry.packages)
		}
	}
}

// moduleOf is the required module with the longest path that holds a package.
func moduleOf(pkg string, required []string) string {
	best := ""
	for _, m := range required {
		if (pkg == m || strings.HasPrefix(pkg, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// goMod lists the modules that go.mod requires, and those without "// indirect".
func goMod(t *testing.T) (required, direct []string) {
	text, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "v") {
			continue
		}
		required = append(required, fields[0])
		if !strings.Contains(line, "// indirect") {
			direct = append(direct, fields[0])
		}
	}
	if len(required) == 0 {
		t.Fatal("go.mod requires nothing; can this test still read it?")
	}
	return required, direct
}
