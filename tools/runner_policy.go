package tools

import (
	"github.com/exeat/exeat/authz"
	"github.com/exeat/exeat/openapi"
)

// PolicyAPI is what the policies may know of a document.
func PolicyAPI(doc *openapi.API) authz.API {
	api := authz.API{Name: doc.Name, Zone: doc.Zone}
	for _, op := range doc.Operations {
		api.Actions = append(api.Actions, authz.Action{Name: op.Name, Effect: string(op.Effect), Tags: op.Tags, Path: op.Path, Input: op.Input})
	}
	return api
}
