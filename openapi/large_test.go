package openapi

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// largeDocuments make documents of the kinds that cost most, of n parts each: their
// bytes grow with n.
var largeDocuments = map[string]func(n int) string{
	"deep bodies":      deepBodies,
	"shared by all":    sharedByAll,
	"many operations":  manyOperations,
	"alternatives":     alternativesOfParts,
	"just over":        justOver,
	"one giant":        oneGiant,
	"chained":          chained,
	"long texts":       longTexts,
	"required of many": requiredOfMany,
}

// documentOf is a document of operations, which are written by path, and of schemas.
func documentOf(paths, schemas string) string {
	return `{"openapi":"3.0.3","info":{"title":"Large","version":"1"},"servers":[{"url":"https://api.example.com"}],"paths":{` + paths +
		`},"components":{"schemas":{` + schemas + `}}}`
}

// postsOf writes n operations that take a body each.
func postsOf(n int, body func(i int) string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"/things/%d/{id}":{"post":{"operationId":"things/make-%d","summary":"Makes thing %d","description":"Makes a thing of kind %d, and says what became of it.",`+
			`"parameters":[{"name":"id","in":"path","required":true,"description":"Of the thing.","schema":{"type":"string"}}],`+
			`"requestBody":{"content":{"application/json":{"schema":%s}}},"responses":{"200":{"description":"ok"}}}}`, i, i, i, i, body(i)))
	}
	return strings.Join(list, ",")
}

// schemasOf writes n shared schemas.
func schemasOf(n int, schema func(i int) string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"Schema%04d":%s`, i, schema(i)))
	}
	return strings.Join(list, ",")
}

func refTo(i int) string { return fmt.Sprintf(`{"$ref":"#/components/schemas/Schema%04d"}`, i) }

// tree is an object of wide members, of deep levels of such.
func tree(deep, wide int) string {
	if deep == 0 {
		return `{"type":"string","description":"A leaf of the tree, with words about it that fill a line.","maxLength":200}`
	}
	below := tree(deep-1, wide)
	return `{"type":"object","description":"One of the branches.","required":["field_0000"],"properties":{` + members(wide, func(int) string { return below }) + `}}`
}

// deepBodies have n bodies of some 40 KB, nested six deep.
func deepBodies(n int) string {
	body := tree(6, 3)
	return documentOf(postsOf(n, func(int) string { return body }), "")
}

// sharedByAll is like Kubernetes: n operations, and 3n schemas that refer to each other, so
// that each operation reaches sixty.
func sharedByAll(n int) string {
	all := 3 * n
	return documentOf(postsOf(n, func(i int) string { return refTo(i) }), schemasOf(all, func(i int) string {
		group := i / 60 * 60 // what a tool reaches does not grow with the document
		return fmt.Sprintf(`{"type":"object","description":"Schema %d has words that say at length what it is for, and when it should not be used.","required":["name"],"properties":{`+
			`"name":{"type":"string","description":"Its name."},"count":{"type":"integer","format":"int32","description":"How many there are."},`+
			`"a":%s,"b":%s,"list":{"type":"array","description":"More of them.","items":%s}}}`,
			i, refTo(group+(i*2+1)%60), refTo(group+(i*2+2)%60), refTo(group+(i*7)%60))
	}))
}

// manyOperations is like Microsoft Graph: 10n operations that need little cut, and n schemas.
func manyOperations(n int) string {
	schemas := schemasOf(n, func(i int) string {
		return fmt.Sprintf(`{"allOf":[%s,{"type":"object","title":"entity%d","properties":{"@odata.type":{"type":"string"},"displayName":{"type":"string","description":"What people call it.","nullable":true},`+
			`"next":{"anyOf":[%s,{"type":"object","nullable":true}]}}}]}`, refTo(i/10*10), i, refTo(min(i/10*10+(i+1)%10, n-1)))
	})
	for i := 0; i < n; i += 10 { // what the others of its ten have in common
		schemas = strings.Replace(schemas, fmt.Sprintf(`"Schema%04d":{"allOf":[%s,`, i, refTo(i)), fmt.Sprintf(`"Schema%04d":{"allOf":[`, i), 1)
	}
	return documentOf(postsOf(10*n, func(i int) string {
		if i%10 == 0 {
			return refTo(i / 10)
		}
		return `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer"},"on":{"type":"boolean","default":false}}}`
	}), schemas)
}

// alternativesOfParts is like Cloudflare: bodies that are trees of oneOf, anyOf and allOf.
func alternativesOfParts(n int) string {
	var choice func(deep int) string
	choice = func(deep int) string {
		if deep == 0 {
			return `{"type":"object","required":["kind"],"properties":{"kind":{"type":"string","enum":["one","two","three"]},"value":{"type":"string","description":"What it is set to."}}}`
		}
		below := choice(deep - 1)
		word := []string{"oneOf", "allOf", "anyOf"}[deep%3]
		return fmt.Sprintf(`{%q:[%s,%s,{"type":"object","properties":{"level_%d":%s}}]}`, word, below, below, deep, below)
	}
	body := choice(5)
	return documentOf(postsOf(n, func(int) string { return body }), "")
}

// justOver has 10n bodies that are a little larger than the budget.
func justOver(n int) string {
	body := `{"type":"object","properties":{` + members(210, func(i int) string { return `{"type":"string","description":"Says what it is."}` }) + `}}`
	return documentOf(postsOf(10*n, func(int) string { return body }), "")
}

// oneGiant has one body of n times 40 KB.
func oneGiant(n int) string {
	part := tree(3, 5)
	return documentOf(postsOf(1, func(int) string {
		return `{"type":"object","properties":{` + members(2*n, func(int) string { return part }) + `}}`
	}), "")
}

// chained has schemas each of which refers to the next.
func chained(n int) string {
	return documentOf(postsOf(1, func(int) string { return refTo(0) }), schemasOf(20*n, func(i int) string {
		return fmt.Sprintf(`{"type":"object","properties":{"name":{"type":"string","maxLength":40},"next":%s}}`, refTo((i+1)%(20*n)))
	}))
}

// longTexts have bodies whose descriptions are long, and hold what is not ASCII.
func longTexts(n int) string {
	words := strings.TrimSpace(strings.Repeat("many wörds of `it` ", 50))
	body := `{"type":"object","properties":{` + members(40, func(i int) string {
		return fmt.Sprintf(`{"type":"string","description":%q}`, strings.ToValidUTF8(words[:len(words)-i], ""))
	}) + `}}`
	return documentOf(postsOf(n, func(int) string { return body }), "")
}

// requiredOfMany has one body of 100n members, most of them required.
func requiredOfMany(n int) string {
	var names []string
	for i := range 80 * n {
		names = append(names, fmt.Sprintf(`"field_%04d"`, i))
	}
	return documentOf(postsOf(1, func(int) string {
		return `{"type":"object","required":[` + strings.Join(names, ",") + `],"properties":{` + members(100*n, func(i int) string { return `{"type":"integer"}` }) + `}}`
	}), "")
}

// makeAndOffer loads a document and offers its tools.
func makeAndOffer(t testing.TB, file string) {
	api, err := Load(context.Background(), file, Options{BaseURL: "https://api.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range api.Operations {
		if raw, _ := op.Offer(Generic, 0); len(raw) > DefaultBudget {
			t.Fatalf("%s is offered in %d bytes", op.Name, len(raw))
		}
	}
}

// writeLarge puts a large document into a file.
func writeLarge(t testing.TB, text string) string {
	file := filepath.Join(t.TempDir(), "large.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Twice the document is twice the work: what is allocated from the file to the offers of
// all tools, which no other program of the machine changes.
func TestWorkIsLinear(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("it takes seconds, and the race detector allocates too")
	}
	const n = 20
	for _, kind := range slices.Sorted(maps.Keys(largeDocuments)) {
		var bytes, work [2]float64
		for i := range work {
			text := largeDocuments[kind](n * (i + 1))
			file := writeLarge(t, text)
			bytes[i] = float64(len(text))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			makeAndOffer(t, file)
			runtime.ReadMemStats(&after)
			work[i] = float64(after.TotalAlloc - before.TotalAlloc)
		}
		grown, more := bytes[1]/bytes[0], work[1]/work[0]
		t.Logf("%s: %.1f times the bytes, %.2f times the work", kind, grown, more)
		if more > 1.2*grown {
			t.Errorf("%s: %.1f times the document is %.2f times the work", kind, grown, more)
		}
	}
}

// BenchmarkFit is loading large documents and offering their tools in the default budget.
func BenchmarkFit(b *testing.B) {
	for _, kind := range slices.Sorted(maps.Keys(largeDocuments)) {
		for _, n := range []int{40, 80} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				text := largeDocuments[kind](n)
				file := writeLarge(b, text)
				b.ReportAllocs()
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					makeAndOffer(b, file)
				}
			})
		}
	}
}
