package tools

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/itchyny/gojq"
)

func project(t testing.TB, program, body string) (string, error) {
	t.Helper()
	p, err := newProjection(program)
	if err != nil {
		return "", err
	}
	v, err := exact([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.run(t.Context(), v)
	if err != nil {
		return "", err
	}
	b, err := gojq.Marshal(out)
	return string(b), err
}

func TestSelect(t *testing.T) {
	const pets = `{"pets":[{"id":12345678901234567890,"name":"Mia","tags":["shy","indoor"],"fee":60.10},{"id":2,"name":"Bo","tags":[],"fee":5}],"next":null}`
	for program, want := range map[string]string{
		".":                                   `{"next":null,"pets":[{"fee":60.10,"id":12345678901234567890,"name":"Mia","tags":["shy","indoor"]},{"fee":5,"id":2,"name":"Bo","tags":[]}]}`,
		".pets[0].id":                         `12345678901234567890`,
		".pets[].name":                        `["Mia","Bo"]`,
		"[.pets[] | {id, name}]":              `[{"id":12345678901234567890,"name":"Mia"},{"id":2,"name":"Bo"}]`,
		".pets | map(select(.fee > 10).name)": `["Mia"]`,
		".pets | length":                      `2`,
		".pets | map(.fee) | add":             `65.1`,
		".pets[-1].name":                      `"Bo"`,
		".pets[1:][0].name":                   `"Bo"`,
		`.pets[0].tags | join(", ")`:          `"shy, indoor"`,
		`[.pets[] | select(.name | test("^m"; "i"))] | length`: `1`,
		`.pets | sort_by(.name) | first | .name`:               `"Bo"`,
		`.pets | group_by(.fee > 10) | map(length)`:            `[1,1]`,
		`.pets[] as $p | "\($p.name)=\($p.fee)"`:               `["Mia=60.10","Bo=5"]`,
		`.pets[0] | del(.tags, .fee) | keys`:                   `["id","name"]`,
		`.pets[0] | to_entries | map(.key)`:                    `["fee","id","name","tags"]`,
		`[.. | numbers] | length`:                              `4`,
		`if .next then "more" else "end" end`:                  `"end"`,
		`.next // "none"`:                                      `"none"`,
		`.pets[0].missing?`:                                    `null`,
		`.pets[0].fee * 2 - 0.2`:                               `120`,
		`.pets | map(.name | ascii_upcase) | @csv`:             `"\"MIA\",\"BO\""`,
		`limit(1; .pets[]) | .name`:                            `"Mia"`,
		`.pets | map({(.name): .fee}) | add`:                   `{"Bo":5,"Mia":60.10}`,
		`"12" | tonumber`:                                      `12`, `" 1.50" | tonumber`: `1.50`, `"0x1" | tonumber`: "", `"nan" | tonumber`: "",
		`try error catch 1`:              "",
		`try (.pets | .name) catch "no"`: `"no"`,
		`.pets | any(.fee > 50)`:         `true`,
		`.pets[0].name | contains("ia")`: `true`,
	} {
		got, err := project(t, program, pets)
		if err != nil && want != "" || err == nil && got != want {
			t.Errorf("%s: %s, %v; want %s", program, got, err, want)
		}
	}
}

// What reads the world, or has no bound, is refused before anything is sent.
func TestSelectRefuses(t *testing.T) {
	for _, program := range []string{
		`env`, `$ENV`, `$ENV.PATH`, `input`, `inputs`, `debug`, `stderr`, `input_filename`, `now`, `halt`, `halt_error`, `error("x")`, `$__loc__`, `$__prog_args`, `get_search_list`,
		`import "a" as a; .`, `include "a"; .`, `def f: f; f`, `range(1e9)`, `[range(1;2)]`, `repeat(.)`, `while(true; .)`, `until(false; .)`, `reduce .[] as $x (0; .+1)`, `foreach .[] as $x (0; .)`,
		`label $f | break $f`, `combinations`, `splits("a")`, `gsub("a"; "b")`, `scan("a")`, `explode`, `implode`, `walk(.)`, `path(..)`, `paths`, `getpath(["a"])`, `setpath([]; 1)`,
		`.a = 1`, `.a |= 2`, `.a += 1`, `ltrimstr`, `@base64d`, `@sh`, `.[.a]`, `.[[1]]`, `{"\(.a)": 1}`, `del(.[] | select(.a))`, `del(recurse)`, `tojson(1)`, `_charge`, `_number`, `recurse(.)`,
		`. as [$a] | $a`, `. as {a: $a} | $a`, `{$x}`, `limit(3)`, `infinite`, `nan`, `getpath`, `ascii`, `modulemeta`, `$x`, `.a[`, ``, "\x00", `@csv "\(env)"`, `"\(env)"`, `.["\(env)"]`, `{(env): 1}`, `{a: env}`, `[env]`, `-env`,
		`if env then 1 else 2 end`, `try env catch .`, `.a | env`, `select(env)`, `sort_by(env)`, `. as $x | env`, `"\(range(9))"`, strings.Repeat("[", 1000) + strings.Repeat("]", 1001), strings.Repeat(" ", maxProgram+1),
	} {
		if _, err := newProjection(program); err == nil {
			t.Errorf("%s is taken", program)
		} else if strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: %q", program, err)
		}
	}
}

// Programs that would grow or go on for ever end with an error, within bounds.
func TestSelectIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	for i := range 20_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"number %d"}`, i, i)
	}
	b.WriteString(`],"text":"` + strings.Repeat("x", 1<<20) + `"}`)
	body := b.String()
	for name, program := range map[string]string{
		"the square of the items":   `[{a: .items[], b: .items[]}] | length`,
		"a text doubled":            `.text` + strings.Repeat(`|.+.`, 100),
		"an array doubled":          `.items` + strings.Repeat(`|.+.`, 100),
		"a doubling under try":      `try (.text` + strings.Repeat(`|.+.`, 100) + `) catch 1`,
		"a doubling under ?":        `(.text` + strings.Repeat(`|.+.`, 100) + `)?`,
		"a long separator":          `.text as $t | .items | map(.name) | join($t) | length`,
		"the whole in every item":   `. as $all | [.items[] | $all | tojson]`,
		"the whole in every text":   `. as $all | [.items[] | "\($all)"]`,
		"comparing wholes":          `. as $all | [.items[] | $all == $all]`,
		"sorting wholes":            `[` + strings.Repeat(".,", 400) + `.] | sort | length`,
		"deep copies":               `[` + strings.Repeat(".,", 300) + `.] | [` + strings.Repeat(".,", 300) + `.] | tojson`,
		"many outputs":              `.items[], .items[], .items[], .items[], .items[], .items[] | ., .`,
		"numbers that grow":         `.items[1].id + 1e300` + strings.Repeat("|.*.", 100) + `| [.., ..] | [.[], .[]]` + strings.Repeat("|[.[], .[]]", 60),
		"whole numbers that grow":   `12345678901234567890` + strings.Repeat("|.*.", 200),
		"whole numbers that add up": `12345678901234567890` + strings.Repeat("|.+.", 300) + strings.Repeat("|.*.", 200),
		"a pattern for every item":  `. as $all | [.items[] | .name | test("(((a{1,30}){1,30}){1,30})")] | map($all.text | test("(x+x+)+y"))`,
		"keys of keys":              `. as $all | [.items[] | $all.items | map(.id) | sort]`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := project(t, program, body)
			if err == nil {
				t.Errorf("it gives %d bytes", len(got))
			}
		})
	}
}

func TestSelectEndsWithItsContext(t *testing.T) {
	p, err := newProjection(`[.[] | .]`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.run(ctx, make([]any, 1000)); err == nil {
		t.Error("it runs on")
	}
}

// FuzzSelect runs whatever programs there are over an answer of every type.
func FuzzSelect(f *testing.F) {
	for _, program := range []string{".", ".a[].b", `[.. | strings] | join("-")`, `. as $x | .a | map($x)`, `.a | sort_by(.b) | group_by(.c)`, `"\(.)\(.a)"`, `@csv "\([.b])"`, `del(.a[0].b)`, `try (.b | .+1) catch .`} {
		f.Add(program)
	}
	v, err := exact([]byte(`{"a":[{"b":1,"c":null},{"b":"two","c":[true,1.50,[]]}],"b":12345678901234567890,"c":{"":"\u0000"}}`))
	if err != nil {
		f.Fatal(err)
	}
	before := mustJSON(v)
	f.Fuzz(func(t *testing.T, program string) {
		// What hangs must say which program it is.
		defer time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("%q does not end", program)) }).Stop()
		p, err := newProjection(program)
		if err != nil {
			return
		}
		if out, err := p.run(t.Context(), v); err == nil {
			if _, err := gojq.Marshal(out); err != nil {
				t.Errorf("%s gives what is no JSON: %v", program, err)
			}
		}
		if after := mustJSON(v); string(after) != string(before) {
			t.Fatalf("%s changes the answer to %s", program, after)
		}
	})
}

func BenchmarkSelect(b *testing.B) {
	var body strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&body, `,{"id":%d,"name":"number %d","owner":{"login":"somebody","url":"https://api.example.com/users/somebody"}}`, i, i)
	}
	v, err := exact([]byte("[" + body.String()[1:] + "]"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := newProjection(`map({id, login: .owner.login})`)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.run(b.Context(), v); err != nil {
			b.Fatal(err)
		}
	}
}

// What is selected is no part of the call: the request, the digest and the hold
// are the same, and the policy's cuts come first.
func TestSelectInACall(t *testing.T) {
	r := newRig(t, rigOptions{policy: `@redact("/note,/pets/note") permit (principal, action in Action::"read", resource);
permit (principal, action, resource) when { context has approval };`})
	r.run(t)
	call := func(tool, args string) Envelope {
		t.Helper()
		return r.Call(t.Context(), caller("alice"), tool, []byte(args)).Envelope
	}
	for _, tt := range []struct{ tool, args, response, note string }{
		{"get_pet", `{"petId":1,"_select":"{id, name}"}`, `{"id":1,"name":"Mia"}`, ""},
		{"get_pet", `{"petId":1,"_select":".note"}`, `null`, ""},
		{"get_pet", `{"petId":1,"_select":"[.. | strings | select(test(\"paw\"))]"}`, `[]`, ""},
		{"list_pets", `{"_select":"[.pets[].note]"}`, `[null,null,null,null,null,null,null,null]`, ""},
		{"list_pets", `{"_select":".pets | length"}`, `8`, ""},
		{"get_pet", `{"petId":1,"_select":".name + 1"}`, "", "_select cannot add"},
		{"get_pet", `{"petId":1,"_select":"empty"}`, "", "_select gives nothing"},
		{"get_pet", `{"petId":404,"_select":".name"}`, "whole", ""},
	} {
		e := call(tt.tool, tt.args)
		if tt.response == "whole" {
			if e.HTTPStatus != 404 || !strings.Contains(string(e.Response), "title") {
				t.Errorf("%s: %s", tt.args, e.Response)
			}
			continue
		}
		if string(e.Response) != tt.response || !strings.Contains(e.Note, tt.note) || (tt.note == "") != (e.Shape == nil) {
			t.Errorf("%s: %s, %q, %v", tt.args, e.Response, e.Note, e.Shape)
		}
	}
	for _, bad := range []string{`1`, `"env"`, `".["`, `["."]`} {
		if e := call("get_pet", `{"petId":1,"_select":`+bad+`}`); e.Code != InvalidArguments || len(e.Problems) != 1 || e.Problems[0].Pointer != "/_select" {
			t.Errorf("%s: %+v", bad, e)
		}
	}
	before := r.shop.writes.Load()
	first := call("update_pet", `{"petId":1,"body":{"name":"Mia","species":"cat","status":"available"},"_select":".name"}`)
	second := call("update_pet", `{"petId":1,"body":{"name":"Mia","species":"cat","status":"available"},"_select":".id"}`)
	if first.Status != Pending || first.Handle != second.Handle || r.shop.writes.Load() != before {
		t.Fatalf("%+v %+v", first, second)
	}
	if err := r.decideHold(t, first.Handle, true, ""); err != nil {
		t.Fatal(err)
	}
	whole := r.wait(t, first.Handle).Envelope
	part := r.Resume(t.Context(), caller("alice"), first.Handle, 0, ".name").Envelope
	if string(part.Response) != `"Mia"` || !strings.Contains(string(whole.Response), `"species"`) {
		t.Errorf("%s, %s", part.Response, whole.Response)
	}
	if e := r.Resume(t.Context(), caller("alice"), first.Handle, 0, "env").Envelope; e.Code != InvalidArguments {
		t.Errorf("%+v", e)
	}
}
