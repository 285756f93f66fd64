package openapi

// maxWritten bounds a body that says a name for each value, in bytes: a form, a
// multipart form or XML. A few megabytes of arguments can stand for terabytes of
// these: a long name is written again for all that it holds.
const maxWritten = 32 << 20

// space is what is left of a bound.
type space struct{ left int }

// take uses some of it and reports whether there was enough.
func (s *space) take(n int) bool {
	s.left -= n
	return s.left >= 0
}

// fits reports whether v takes no more than the space, if each of its scalars is
// written with the names of all that it stands in and so many bytes beside. It
// walks no further than the space reaches.
func (s *space) fits(v any, names, each int) bool {
	switch v := v.(type) {
	case string:
		return s.take(names + each + 3*len(v))
	case []any:
		for _, item := range v {
			if !s.fits(item, names+12, each) {
				return false
			}
		}
	case map[string]any:
		for k, member := range v {
			if !s.fits(member, names+6+3*len(k), each) {
				return false
			}
		}
	default:
		return s.take(names + each + 32)
	}
	return true
}

func tooLarge(at string) *ArgumentError {
	return refuse(at, "would take more than %d bytes as it is sent, with a name for each value", maxWritten)
}
