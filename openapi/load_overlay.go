package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	goyaml "github.com/pb33f/go-yaml"
	highoverlay "github.com/pb33f/libopenapi/datamodel/high/overlay"
	"github.com/pb33f/libopenapi/datamodel/low"
	lowoverlay "github.com/pb33f/libopenapi/datamodel/low/overlay"
	"github.com/pb33f/libopenapi/overlay"
)

// Bounds of an overlay file.
const (
	maxOverlay = 1 << 20
	maxActions = 2000
)

// applyOverlays gives the root document after the overlays (OpenAPI Overlay
// Specification 1.x), in order. An overlay that does not apply is an *Error; an
// action that matches nothing is a finding.
func (l *loader) applyOverlays(root *document, files []string) (*document, []Finding, *Error) {
	var notes []Finding
	data := root.data
	if root.yaml == nil {
		// JSON has escapes that YAML parsers refuse, surrogates for one.
		readAll(root.root)
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(root.root); err != nil {
			return nil, nil, &Error{File: root.name, Message: "it cannot be written anew for an overlay: " + err.Error()}
		}
		data = bytes.ReplaceAll(b.Bytes(), []byte("\x7f"), []byte(`\u007f`))
	}
	for _, file := range files {
		raw, bad := readOverlay(file)
		if bad != nil {
			return nil, nil, bad
		}
		l.sum.Write(raw)
		after, more, bad := applyOverlay(file, raw, data)
		if bad != nil {
			return nil, nil, bad
		}
		if len(after) > maxBytes {
			return nil, nil, &Error{File: file, Message: "with this overlay the document is larger than 64 MiB"}
		}
		data, notes = after, append(notes, more...)
	}
	d := &document{name: root.name, file: root.file, url: root.url, found: root.found, data: data, dupes: root.dupes, original: root}
	if bad := d.parseYAML(); bad != nil {
		return nil, nil, &Error{File: files[len(files)-1], Message: "what the overlay makes of the document cannot be read: " + bad.Message}
	}
	if x, ok := l.docs[root.file]; ok && x.doc == root {
		l.docs[root.file] = loaded{doc: d}
	}
	return d, notes, nil
}

func readOverlay(file string) ([]byte, *Error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, &Error{File: file, Message: reason(err), Hint: "check the path of the overlay"}
	case !info.Mode().IsRegular():
		return nil, &Error{File: file, Message: "it is no regular file", Hint: "name an overlay file"}
	case info.Size() > maxOverlay:
		return nil, &Error{File: file, Message: "the overlay is larger than 1 MiB"}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, &Error{File: file, Message: reason(err)}
	}
	if len(raw) > maxOverlay {
		return nil, &Error{File: file, Message: "the overlay is larger than 1 MiB"}
	}
	// Our own parser says where a mistake is, and bounds aliases and depth.
	if _, bad := parseDocument(file, raw); bad != nil {
		return nil, bad
	}
	return raw, nil
}

// applyOverlay applies one overlay to a document.
func applyOverlay(file string, raw, data []byte) (after []byte, notes []Finding, fail *Error) {
	defer func() {
		// The library is foreign code on foreign bytes.
		if r := recover(); r != nil {
			fail = &Error{File: file, Message: "the overlay could not be applied: the library could not cope with it or with the document"}
		}
	}()
	model, err := overlayModel(raw)
	if err != nil {
		return nil, nil, &Error{File: file, Message: "it is no overlay: " + oneLine(err.Error(), 300), Hint: "see the OpenAPI Overlay Specification 1.0"}
	}
	if len(model.Actions) > maxActions {
		return nil, nil, &Error{File: file, Message: fmt.Sprintf("the overlay has more than %d actions", maxActions)}
	}
	res, err := overlay.Apply(data, model)
	if err != nil {
		e := &Error{File: file, Message: oneLine(err.Error(), 500), Hint: "mend the overlay"}
		var at *overlay.OverlayError
		if errors.As(err, &at) && at.Action != nil {
			e.Message = oneLine(fmt.Sprintf("the action for %s does not apply: %v", at.Action.Target, at.Cause), 500)
			e.Line, e.Column, e.Pointer = actionAt(model, at.Action)
		}
		return nil, nil, e
	}
	for _, w := range res.Warnings {
		if len(notes) == maxFindings {
			break
		}
		f := Finding{File: file, Message: oneLine(fmt.Sprintf("the overlay's target %s: %s", w.Target, w.Message), 500)}
		f.Line, f.Column, f.Pointer = actionAt(model, w.Action)
		notes = append(notes, f)
	}
	return res.Bytes, notes, nil
}

// overlayModel reads an overlay as the library wants it.
func overlayModel(raw []byte) (*highoverlay.Overlay, error) {
	var node goyaml.Node
	if err := goyaml.Unmarshal(raw, &node); err != nil {
		return nil, err
	}
	if len(node.Content) == 0 || node.Content[0].Kind != goyaml.MappingNode {
		return nil, errors.New("it is not an object")
	}
	var model lowoverlay.Overlay
	if err := low.BuildModel(node.Content[0], &model); err != nil {
		return nil, err
	}
	if err := model.Build(context.Background(), nil, node.Content[0], nil); err != nil {
		return nil, err
	}
	return highoverlay.NewOverlay(&model), nil
}

// actionAt is where an action stands in its file.
func actionAt(model *highoverlay.Overlay, action *highoverlay.Action) (line, column int, pointer string) {
	for i, a := range model.Actions {
		if a != action {
			continue
		}
		pointer = fmt.Sprintf("/actions/%d", i)
		if l := a.GoLow(); l != nil && l.Target.KeyNode != nil {
			line, column = l.Target.KeyNode.Line, l.Target.KeyNode.Column
		}
	}
	return line, column, pointer
}
