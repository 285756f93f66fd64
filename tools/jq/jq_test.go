package jq

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func run(t testing.TB, program, body string) (string, error) {
	t.Helper()
	p, err := Parse(program)
	if err != nil {
		return "", err
	}
	v, err := Read([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Run(t.Context(), v)
	return string(out), err
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
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
		got, err := run(t, program, pets)
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
		if _, err := Parse(program); err == nil {
			t.Errorf("%s is taken", program)
		} else if strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("%s: %q", program, err)
		}
	}
}

// Programs that would grow or go on for ever end with an error, within bounds.
func TestSelectIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
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
		"shared arrays":             `[.,.]` + strings.Repeat(`|[.,.]`, 39),
		"shared members":            `.items[0]` + strings.Repeat(`|{a:.,b:.}`, 60),
		"shared outputs":            `.items[0]` + strings.Repeat(`|[.,.]`, 40) + `|.,.,.`,
		"shared elements":           `[1` + strings.Repeat(`|[.,.]`, 40) + `]`,
		"shared under a name":       `1` + strings.Repeat(`|[.,.]`, 40) + `|{a:.}`,
		"shared in a variable":      `(1` + strings.Repeat(`|[.,.]`, 40) + `) as $x | [$x]`,
		"shared under try":          `try (1` + strings.Repeat(`|[.,.]`, 40) + `) catch 1`,
		"shared keys":               `.items | sort_by(1` + strings.Repeat(`|[.,.]`, 40) + `) | length`,
		"shared keys of groups":     `.items | group_by(1` + strings.Repeat(`|[.,.]`, 40) + `) | length`,
		"shared keys of a least":    `.items | min_by(1` + strings.Repeat(`|[.,.]`, 40) + `) | length`,
		"shared and compared":       `(1` + strings.Repeat(`|[.,.]`, 40) + `) as $x | $x == $x`,
		"shared and flattened":      `1` + strings.Repeat(`|[.,.]`, 40) + `|flatten | length`,
		"shared and a text":         `1` + strings.Repeat(`|[.,.]`, 40) + `|"\(.)" | length`,
		"shared and rows":           `[[1` + strings.Repeat(`|[.,.]`, 40) + `]] | .[] | @csv | length`,
		"shared and deleted":        `1` + strings.Repeat(`|[.,.]`, 40) + `|del(.[0][0])`,
		"shared and mapped":         `1` + strings.Repeat(`|[.,.]`, 40) + `|map_values(.)`,
		"long texts shared":         `[` + strings.Repeat(`.text,`, 40) + `.text]`,
		"escapes":                   `[.text` + strings.Repeat(`|tojson`, 40) + `]`,
		"split to the characters":   `[.text | split(""), split("")] | length`,
		"patterns of every size":    `[.items[] | .name as $n | "x" | test($n + "{900}")] | length`,
		"objects without end":       `[.items[] | ` + strings.Repeat(`{a:.}|`, 50) + `.] | length`,
		"entries of entries":        `[.items[] | ` + strings.Repeat(`to_entries|map(.value)|{a:.[0],b:.[1]}|`, 12) + `.] | length`,
		"keys of keys":              `. as $all | [.items[] | $all.items | map(.id) | sort]`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := run(t, program, body)
			if err == nil {
				t.Errorf("it gives %d bytes", len(got))
			}
		})
	}
}

func TestSelectEndsWithItsContext(t *testing.T) {
	p, err := Parse(`[.[] | .]`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Run(ctx, make([]any, 1000)); err == nil {
		t.Error("it runs on")
	}
}

// FuzzSelect runs whatever programs there are over an answer of every type.
func FuzzSelect(f *testing.F) {
	for _, program := range []string{".", ".a[].b", `[.. | strings] | join("-")`, `. as $x | .a | map($x)`, `.a | sort_by(.b) | group_by(.c)`, `"\(.)\(.a)"`, `@csv "\([.b])"`, `del(.a[0].b)`, `try (.b | .+1) catch .`} {
		f.Add(program)
	}
	v, err := Read([]byte(`{"a":[{"b":1,"c":null},{"b":"two","c":[true,1.50,[]]}],"b":12345678901234567890,"c":{"":"\u0000"}}`))
	if err != nil {
		f.Fatal(err)
	}
	before := encoded(f, v)
	f.Fuzz(func(t *testing.T, program string) {
		// What hangs must say which program it is.
		defer time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("%q does not end", program)) }).Stop()
		p, err := Parse(program)
		if err != nil {
			return
		}
		if out, err := p.Run(t.Context(), v); err == nil {
			if !json.Valid(out) {
				t.Errorf("%s gives what is not JSON: %s", program, out)
			}
		}
		if after := encoded(t, v); after != before {
			t.Fatalf("%s changes the answer to %s", program, after)
		}
	})
}

func BenchmarkSelect(b *testing.B) {
	var body strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&body, `,{"id":%d,"name":"number %d","owner":{"login":"somebody","url":"https://api.example.com/users/somebody"}}`, i, i)
	}
	v, err := Read([]byte("[" + body.String()[1:] + "]"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := Parse(`map({id, login: .owner.login})`)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Run(b.Context(), v); err != nil {
			b.Fatal(err)
		}
	}
}

// A small text can be a large value: it is weighed before it is decoded.
func TestReadWeighs(t *testing.T) {
	for name, body := range map[string]string{
		"small objects": `[` + strings.Repeat(`{"":0},`, 1<<20) + `0]`,
		"empty objects": `[` + strings.Repeat(`{},`, 1<<19) + `0]`,
		"empty arrays":  `[` + strings.Repeat(`[],`, 3<<20) + `0]`,
		"numbers":       `[` + strings.Repeat(`0,`, 6<<20) + `0]`,
	} {
		if _, err := Read([]byte(body)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	for name, body := range map[string]string{
		"a long text":       `"` + strings.Repeat(`{[,:\"`, 1<<20) + `"`,
		"objects of a list": `[` + strings.Repeat(`{"id":1,"name":"somebody","url":"https://api.example.com/users/somebody"},`, 100_000) + `0]`,
	} {
		if _, err := Read([]byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The shape of an answer is small, whatever the answer is.
func TestShapeIsBounded(t *testing.T) {
	var v any = 1
	for range 4 {
		m := map[string]any{}
		for i := range 100 {
			m[fmt.Sprint(strings.Repeat("n", 1000), i)] = v
		}
		v = m
	}
	if text := encoded(t, Shape(v)); len(text) > 64<<10 {
		t.Errorf("%d bytes", len(text))
	}
}
