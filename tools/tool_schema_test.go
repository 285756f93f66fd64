package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/exeat/exeat/openapi"
)

// What exeat itself takes counts, too: no tool is over its budget.
func TestToolsKeepToTheirBudget(t *testing.T) {
	var fields []string
	for i := range 400 {
		fields = append(fields, fmt.Sprintf(`"field_%03d":{"type":"string","description":"what this field of the thing is for"}`, i))
	}
	document := `{"openapi":"3.0.3","info":{"title":"Wide","version":"1"},"servers":[{"url":"https://api.example.com"}],"paths":{"/things":{"post":{
"operationId":"make","description":"` + strings.Repeat("Makes a thing. ", 200) + `","requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{` + strings.Join(fields, ",") + `}}}}},
"responses":{"200":{"description":"ok","content":{"application/json":{}}}}}}}}`
	file := filepath.Join(t.TempDir(), "wide.json")
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	api, err := openapi.Load(t.Context(), file, openapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, budget := range []int{0, 3000, 6000, 12_000, 20_000} {
		for _, tool := range FromAPIs([]*API{{Document: api}}, Offer{Budget: budget}) {
			most := budget
			if most == 0 {
				most = openapi.DefaultBudget
			}
			if len(tool.InputSchema) > most || !strings.Contains(string(tool.InputSchema), `"exeat_reason"`) {
				t.Errorf("in %d: %d bytes: %.200s", most, len(tool.InputSchema), tool.InputSchema)
			}
			if !tool.Cut || len(tool.Description) > 1500 || !strings.Contains(tool.Description, "shortened: describe the tool") {
				t.Errorf("the description does not say that there is more: %s", tool.Description)
			}
		}
		if text := describe(api.Operations[0], api.Operations[0].WholeText()); strings.Count(text, "Makes a thing.") < 199 {
			t.Errorf("not all of the description is given: %d bytes", len(text))
		}
	}
}
