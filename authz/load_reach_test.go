package authz

import "testing"

func TestPathFits(t *testing.T) {
	for _, tt := range []struct {
		template, path string
		below, exactly bool // whether a call can be below the path, or at it
	}{
		{"/pets", "/pets", true, true},
		{"/pets/{id}", "/pets", true, false},
		{"/pets/{id}", "/pets/7", true, true},
		{"/pets/{id}", "/pets/7/x", false, false},
		{"/pets/{id}", "/pest/7", false, false},
		{"/pets/{id}/", "/pets/7", true, true},
		{"/", "/pets", false, false},
		{"/files/{name}.{ext}", "/files/a.pdf", true, true},
		{"/files/{name}.{ext}", "/files/a.b.pdf", true, true},
		{"/files/{name}.{ext}", "/files/.pdf", false, false},
		{"/files/{name}.{ext}", "/files/a.", false, false},
		{"/files/v{n}", "/files/v2", true, true},
		{"/files/v{n}", "/files/v", false, false},
		{"/files/{a}-{b}-{c}", "/files/1-2-3", true, true},
		{"/files/{a}-{b}-{c}", "/files/1-2", false, false},
		{"/my files/{a}", "/my%20files/x", true, true},
		{"/projects/{p}", "/projects/group%2Fname", true, true},
		{"/x?y=1", "/anything", true, true}, // in doubt, yes
		{"/{+rest}", "/a/b/c", true, true},
	} {
		if below, exactly := pathFits(tt.template, tt.path, false), pathFits(tt.template, tt.path, true); below != tt.below || exactly != tt.exactly {
			t.Errorf("%s %s: below %t, exactly %t", tt.template, tt.path, below, exactly)
		}
	}
}
