package openapi

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// A name that is written again for all that it holds makes terabytes of
// megabytes: what would be too large is refused before it is made.
func TestFormsAreBounded(t *testing.T) {
	leaves := "[" + strings.Repeat("[0],", 50_000) + "0]"
	deep := leaves
	for range 40 {
		deep = `{"` + strings.Repeat("n", 60_000) + `":` + deep + `}`
	}
	long := strings.Repeat("n", 1000)
	names := map[string]string{
		"a form in brackets":  `requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object}}}}`,
		"a multipart form":    `requestBody: {content: {multipart/form-data: {schema: {type: object, properties: {` + long + `: {type: array, items: {type: string, format: binary}}}}}}}`,
		"a long name of many": `requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {` + long + `: {type: array, items: {type: integer}}}}}}}`,
		"a query in brackets": `parameters: [{name: q, in: query, style: deepObject, explode: true, schema: {type: object}}]`,
		"XML of a namespace":  `requestBody: {content: {application/xml: {schema: {type: object, xml: {name: r}, properties: {i: {type: array, items: {type: integer, xml: {namespace: "http://` + long + `", prefix: p}}}}}}}}`,
	}
	args := map[string]string{
		"a form in brackets":  `{"body":` + deep + `}`,
		"a multipart form":    `{"body":{"` + long + `":[` + strings.Repeat(`"",`, 150_000) + `""]}}`,
		"a long name of many": `{"body":{"` + long + `":[` + strings.Repeat(`0,`, 150_000) + `0]}}`,
		"a query in brackets": `{"q":` + deep + `}`,
		"XML of a namespace":  `{"body":{"i":[` + strings.Repeat(`0,`, 150_000) + `0]}}`,
	}
	for name, place := range names {
		t.Run(name, func(t *testing.T) {
			op := one(t, loadText(t, v30+fmt.Sprintf("paths: {/a: {post: {operationId: a, %s}}}", place), Options{}))
			parsed, err := op.Parse([]byte(args[name]))
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = op.Encode(parsed)
			runtime.ReadMemStats(&after)
			var bad *ArgumentError
			if !errors.As(err, &bad) || !strings.Contains(bad.Error(), "bytes") {
				t.Errorf("%.300v", err)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > 8*maxWritten {
				t.Errorf("%d bytes were made", made)
			}
		})
	}
}
