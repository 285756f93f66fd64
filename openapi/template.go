package openapi

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxPath bounds a path template, in bytes.
const maxPath = 1024

var templateName = regexp.MustCompile(`\{([^{}]+)\}`)

// legalPath refuses path templates that somebody between here and the API
// could read as another path. A query such as ?beta=true is allowed, since
// documents tell operations of one path apart by it; it cannot hold variables.
func legalPath(path string) error {
	plain, query, _ := strings.Cut(path, "?")
	switch {
	case len(path) > maxPath:
		return fmt.Errorf("the path is longer than %d bytes", maxPath)
	case clean(path, len(path)+1) != path || hasControl(path):
		return errors.New("the path holds characters that cannot be seen")
	case !strings.HasPrefix(plain, "/") || strings.Contains(plain, "//"):
		return errors.New("a path begins with one slash, and has no two beside each other")
	case strings.ContainsAny(path, "#\\") || strings.ContainsAny(query, "{}?") || strings.HasSuffix(path, "?"):
		return errors.New("the path holds a fragment, a backslash, or a query that is empty or has a variable")
	}
	if _, whole := unpercent(query); !whole {
		return errors.New("the query in the path is not percent-encoded well")
	}
	for segment := range strings.SplitSeq(plain[1:], "/") {
		bare := templateName.ReplaceAllString(segment, "x")
		if strings.ContainsAny(bare, "{}") {
			return errors.New("the path's braces do not match")
		}
		if _, whole := unpercent(bare); !whole {
			return errors.New("the path is not percent-encoded well")
		}
		if reason := unsafeSegment(bare); bare != "" && reason != "" {
			return fmt.Errorf("the path segment %q %s", segment, reason)
		}
	}
	return nil
}

// wholePath is the path as the document has it.
func (op *Operation) wholePath() string {
	if op.query == "" {
		return op.Path
	}
	return op.Path + "?" + op.query
}

// fixedQuery has the folded names that the path's own query gives.
func (op *Operation) fixedQuery() map[string]bool {
	names := map[string]bool{}
	for pair := range strings.SplitSeq(op.query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name, _ = unpercent(strings.ReplaceAll(name, "+", " "))
		names[fold(name)] = true
	}
	return names
}
