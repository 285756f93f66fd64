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
		// Only what can be sent: exeat writes capitals, and encodes nothing more than it must.
		{"/projects/{p}", "/projects/group%2fname", false, false},
		{"/projects/{p}", "/projects/gr%6Fup", false, false},
		{"/projects/{p}", "/projects/my group", false, false},
		{"/projects/{p}", "/projects/my%20group", true, true},
		{"/projects/{p}", "/projects/é", false, false},
		{"/projects/{p}", "/projects/%C3%A9", true, true},
		{"/projects/{p}", "/projects/100%", false, false},
		{"/projects/{p}", "/projects/100%25", true, true},
		{"/projects/{p}", "/projects/a,b;c=d", true, true},
		{"/users/{u}", "/users/a@b.c", false, false},
		{"/users/{u}", "/users/a%40b.c", true, true},
		{"/users/{u}:{verb}", "/users/a:lock", true, true},
		{"/my files/{a}", "/my files/x", false, false},
		{"/a@b/{c}", "/a@b/x", true, true},
		{"/a%2fb/{a}", "/a%2fb/x", true, true},
		{"/a%2fb/{a}", "/a%2Fb/x", false, false},
		{"/x?y=1", "/anything", true, true}, // in doubt, yes
		{"/{+rest}", "/a/b/c", true, true},
	} {
		if below, exactly := pathFits(tt.template, tt.path, false), pathFits(tt.template, tt.path, true); below != tt.below || exactly != tt.exactly {
			t.Errorf("%s %s: below %t, exactly %t", tt.template, tt.path, below, exactly)
		}
	}
}
