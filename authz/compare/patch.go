package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of applying the operations of a patch: values that are looked at or copied,
// and how many there may be in the end.
const (
	maxWork   = 4 << 20
	maxValues = 1 << 20
)

// Merge applies a merge patch (RFC 7396 §2) to a value, which stays as it is.
func Merge(doc, patch *Value) *Value {
	if patch.Kind != Object {
		return patch
	}
	out := &Value{Kind: Object}
	had := map[string]*Value{}
	if doc != nil && doc.Kind == Object {
		had = named(doc)
		with := named(patch)
		for _, m := range doc.Members {
			switch x := with[m.Name]; {
			case x == nil:
				out.Members = append(out.Members, m)
			case x.Kind != Null:
				out.Members = append(out.Members, Member{m.Name, Merge(m.Value, x)})
			}
		}
	}
	for _, m := range patch.Members {
		if had[m.Name] == nil && m.Value.Kind != Null {
			out.Members = append(out.Members, Member{m.Name, Merge(nil, m.Value)})
		}
	}
	return out
}

// Operation is one of a JSON Patch (RFC 6902 §4).
type Operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from"`
	Value json.RawMessage `json:"value"`
}

// ErrWork is a patch that would take too long to apply.
var ErrWork = errors.New("the operations of this patch copy or compare too much")

// Patch applies the operations of a JSON Patch to a copy of a value. The error says
// which operation an API would refuse, and with it all of them.
func Patch(doc *Value, list []Operation) (*Value, error) {
	p := patcher{left: maxWork}
	p.root = p.clone(doc)
	for i, o := range list {
		if err := p.apply(o); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i+1, err)
		}
		if p.left < 0 {
			return nil, ErrWork
		}
	}
	if p.root.Size() > maxValues {
		return nil, ErrWork
	}
	return p.root, nil
}

type patcher struct {
	root *Value
	left int
}

// clone is a copy that can be changed.
func (p *patcher) clone(v *Value) *Value {
	out := *v
	if p.left--; p.left < 0 {
		return &out
	}
	out.Items, out.Members = slices.Clone(v.Items), slices.Clone(v.Members)
	for i, x := range out.Items {
		out.Items[i] = p.clone(x)
	}
	for i, m := range out.Members {
		out.Members[i].Value = p.clone(m.Value)
	}
	return &out
}

func (p *patcher) apply(o Operation) error {
	var v *Value
	var err error
	switch o.Op {
	case "add", "replace", "test":
		if v, err = Parse(o.Value); err != nil {
			return fmt.Errorf("%s has no value", o.Op)
		}
		p.left -= len(o.Value) / 16
	case "move", "copy":
		if o.Op == "move" && strings.HasPrefix(o.Path, o.From+"/") {
			return errors.New("nothing can be moved into itself")
		}
		if v, err = p.find(o.From); err != nil {
			return err
		}
		if o.Op == "copy" {
			v = p.clone(v)
		} else if err := p.remove(o.From); err != nil {
			return err
		}
	}
	switch o.Op {
	case "add", "move", "copy":
		return p.add(o.Path, v)
	case "replace":
		at, err := p.find(o.Path)
		if err == nil {
			*at = *v
		}
		return err
	case "remove":
		return p.remove(o.Path)
	case "test":
		at, err := p.find(o.Path)
		if err == nil && !p.equal(at, v) {
			err = fmt.Errorf("what is at %q is not what it tests for", o.Path)
		}
		return err
	}
	return fmt.Errorf("there is no operation %q", o.Op)
}

// missing is a place where nothing is.
func missing(path string) error { return fmt.Errorf("there is nothing at %q", path) }

// find is the value at a pointer (RFC 6901).
func (p *patcher) find(path string) (*Value, error) {
	v := p.root
	for _, step := range steps6901(path) {
		p.left -= 1 + len(v.Members)/64
		if v.Kind == List {
			i, ok := place(step, len(v.Items)-1)
			if !ok {
				return nil, missing(path)
			}
			v = v.Items[i]
		} else if v = v.Member(step); v == nil {
			return nil, missing(path)
		}
	}
	if path != "" && path[0] != '/' {
		return nil, missing(path)
	}
	return v, nil
}

// parent is the value in which a pointer's last step is, and that step.
func (p *patcher) parent(path string) (*Value, string, error) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return nil, "", missing(path)
	}
	v, err := p.find(path[:i])
	return v, unescape.Replace(path[i+1:]), err
}

func (p *patcher) add(path string, v *Value) error {
	if path == "" {
		p.root = v
		return nil
	}
	in, step, err := p.parent(path)
	if err != nil {
		return err
	}
	p.left -= (len(in.Items) + len(in.Members)) / 64
	switch in.Kind {
	case Object:
		if i := in.index(step); i >= 0 {
			in.Members[i].Value = v
		} else {
			in.Members = append(in.Members, Member{step, v})
		}
		return nil
	case List:
		if step == "-" {
			in.Items = append(in.Items, v)
			return nil
		}
		if i, ok := place(step, len(in.Items)); ok {
			in.Items = slices.Concat(in.Items[:i], []*Value{v}, in.Items[i:])
			return nil
		}
	}
	return missing(path)
}

func (p *patcher) remove(path string) error {
	in, step, err := p.parent(path)
	if err != nil {
		return err
	}
	p.left -= (len(in.Items) + len(in.Members)) / 64
	if i := in.index(step); in.Kind == Object && i >= 0 {
		in.Members = slices.Delete(in.Members, i, i+1)
		return nil
	}
	if i, ok := place(step, len(in.Items)-1); in.Kind == List && ok {
		in.Items = slices.Delete(in.Items, i, i+1)
		return nil
	}
	return missing(path)
}

// equal is equality as RFC 6902 §4.6 has it.
func (p *patcher) equal(a, b *Value) bool {
	if p.left--; p.left < 0 || a.Kind != b.Kind || len(a.Items) != len(b.Items) || len(a.Members) != len(b.Members) {
		return false
	}
	for i := range a.Items {
		if !p.equal(a.Items[i], b.Items[i]) {
			return false
		}
	}
	other := named(b)
	for _, m := range a.Members {
		if x := other[m.Name]; x == nil || !p.equal(m.Value, x) {
			return false
		}
	}
	return a.Text == b.Text || a.Kind == Number && SameNumber(a.Text, b.Text)
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func steps6901(path string) []string {
	if path == "" {
		return nil
	}
	list := strings.Split(path, "/")[1:]
	for i, s := range list {
		list[i] = unescape.Replace(s)
	}
	return list
}

// place is an index of at most last.
func place(step string, last int) (int, bool) {
	i, err := strconv.Atoi(step)
	return i, err == nil && i >= 0 && i <= last && strconv.Itoa(i) == step
}

// SameNumber reports whether two JSON numbers that may be written in different ways are
// the same, to the last digit.
func SameNumber(a, b string) bool {
	x, xe, ok := decimal(a)
	y, ye, same := decimal(b)
	return ok && same && x == y && xe == ye
}

// decimal is a number as its digits without zeros around them, with its sign, and the
// power of ten of the last.
func decimal(s string) (digits string, exponent int64, ok bool) {
	minus := strings.HasPrefix(s, "-")
	mantissa, power, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(s, "-")), "e")
	if power != "" {
		var err error
		if exponent, err = strconv.ParseInt(power, 10, 32); err != nil {
			return "", 0, false
		}
	}
	whole, part, _ := strings.Cut(mantissa, ".")
	digits = whole + part
	exponent -= int64(len(part))
	short := strings.TrimRight(digits, "0")
	exponent += int64(len(digits) - len(short))
	if short = strings.TrimLeft(short, "0"); short == "" {
		return "0", 0, true
	}
	if minus {
		short = "-" + short
	}
	return short, exponent, true
}
