package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // not every machine has one

	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi"
	"github.com/exeat/exeat/openapi/reach"
	"github.com/exeat/exeat/tools"
)

// loadDocs reads every document of the configuration.
func loadDocs(ctx context.Context, cfg config) ([]*openapi.API, error) {
	if len(cfg.APIs) == 0 {
		return nil, errors.New("no document given: name an OpenAPI file, folder or https URL, or pass --config exeat.yaml")
	}
	cache := "" // without a state folder, nothing is kept
	if dir, err := statePath(); err == nil {
		cache = filepath.Join(dir, "documents")
	}
	var docs []*openapi.API
	byName := map[string]string{}
	for _, a := range cfg.APIs {
		effects := map[string]openapi.Effect{}
		for op, e := range a.Effects {
			switch e := openapi.Effect(e); e {
			case openapi.Read, openapi.Write, openapi.Delete:
				effects[op] = e
			default:
				return nil, fmt.Errorf("effects: %s is %q; it can be read, write or delete", op, e)
			}
		}
		zone, err := loadZone(a.Zone)
		if err != nil {
			return nil, err
		}
		options := openapi.Options{Name: a.Name, BaseURL: a.BaseURL, Include: a.Include, Exclude: a.Exclude, Rename: a.Rename, Parameters: a.Parameters,
			Effects: effects, ContentTypes: a.ContentTypes, Marks: a.Marks, Titles: a.Titles, Overlays: a.Overlays, SHA256: a.SHA256, Refs: a.Refs, Zone: zone, Cache: cache}
		if err := a.headers(&options); err != nil {
			return nil, err
		}
		doc, err := openapi.Load(ctx, a.Spec, options)
		if err != nil {
			return nil, err
		}
		if other, ok := byName[doc.Name]; ok {
			return nil, fmt.Errorf("%s and %s are both named %q: give one another name (name: in exeat.yaml)", other, a.Spec, doc.Name)
		}
		byName[doc.Name] = a.Spec
		docs = append(docs, doc)
	}
	return docs, nil
}

// loadZone is a time zone by its name; none has nil. That of this machine would make
// policies decide in another way elsewhere.
func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return nil, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fmt.Errorf("zone: %q is no time zone; name one of the IANA database, such as Europe/Berlin or UTC", name)
	}
	return zone, nil
}

// newDialer says where in this network calls may go: to what the configuration
// names, and to what a document on this machine's disk writes out as an address
// of this machine or network.
func newDialer(cfg config, docs []*openapi.API) (*reach.Dialer, error) {
	named := slices.Clone(cfg.AllowPrivate)
	for i, d := range docs {
		a := cfg.APIs[i]
		local := !strings.Contains(a.Spec, "://")
		switch {
		case a.BaseURL != "":
			named = append(named, a.BaseURL)
		case !local:
			named = append(named, a.Spec)
		case reach.Inside(d.BaseURL):
			named = append(named, d.BaseURL)
		}
	}
	r, err := reach.New(net.Dialer{Timeout: 10 * time.Second}, named...)
	if err != nil {
		return nil, fmt.Errorf("allow_private: %w", err)
	}
	return r, nil
}

// loadPolicies reads Cedar files and the *.cedar files of folders.
func loadPolicies(paths []string) ([]authz.PolicyFile, error) {
	var files []authz.PolicyFile
	for _, p := range paths {
		names := []string{p}
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			names, err = filepath.Glob(filepath.Join(p, "*.cedar"))
			if err != nil || len(names) == 0 {
				return nil, fmt.Errorf("the policy folder %s holds no *.cedar file", p)
			}
			slices.Sort(names)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("read the policy: %w", err)
			}
			files = append(files, authz.PolicyFile{Name: name, Text: text})
		}
	}
	return files, nil
}

// newEngine compiles the policies over the documents.
func newEngine(cfg config, docs []*openapi.API) (*authz.Engine, error) {
	files, err := loadPolicies(cfg.Policy)
	if err != nil {
		return nil, err
	}
	var apis []authz.API
	for _, d := range docs {
		apis = append(apis, tools.PolicyAPI(d))
	}
	return authz.New(apis, files)
}
