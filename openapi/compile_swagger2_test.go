package openapi

import "testing"

func TestCollectionFormats(t *testing.T) {
	for _, tt := range []struct{ in, format, want string }{
		{"query", "", "/v1/a?l=x,y"}, {"query", "csv", "/v1/a?l=x,y"}, {"query", "ssv", "/v1/a?l=x%20y"}, {"query", "pipes", "/v1/a?l=x%7Cy"},
		{"query", "multi", "/v1/a?l=x&l=y"}, {"query", "tsv", "/v1/a?l=x%09y"}, {"query", "other", ""}, {"header", "csv", "/v1/a x,y"}, {"header", "multi", ""},
		{"formData", "csv", "/v1/a x,y"}, {"formData", "multi", "/v1/a x&l=y"}, {"formData", "tsv", ""},
	} {
		api := loadText(t, `{swagger: "2.0", info: {title: x, version: "1"}, host: a.test, basePath: /v1, paths: {/a: {post: {operationId: a,
  parameters: [{name: l, in: `+tt.in+`, type: array, items: {type: string}, collectionFormat: "`+tt.format+`"}]}}}}`, Options{})
		if tt.want == "" {
			if len(api.Operations) != 0 || len(api.Findings) != 1 || !api.Findings[0].LeftOut {
				t.Errorf("%v: %+v", tt, api.Findings)
			}
			continue
		}
		arguments := `{"l":["x","y"]}`
		if tt.in == "formData" {
			arguments = `{"body":` + arguments + `}`
		}
		r := encode(t, one(t, api), arguments)
		got := r.Target
		if tt.in == "header" {
			got += " " + r.Header.Get("L")
		} else if tt.in == "formData" {
			got += " " + string(r.Body[len("l="):])
		}
		if got != tt.want {
			t.Errorf("%v: %s", tt, got)
		}
	}
}
