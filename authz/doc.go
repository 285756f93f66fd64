// Package authz decides calls with Cedar. It is pure: policies and schema are
// compiled by [New], after which a decision does no I/O.
//
// One vocabulary is shared by all APIs, in the empty namespace: entity types
// User, Workload, Group, Agent, Api, Hold and the actions call_tool, read,
// write, delete and approve. What belongs to one API lives in its namespace
// (the API's name in CamelCase): Petstore::Action::"delete_pet",
// Petstore::Action::"tag:pets" and Petstore::Path::"/pets/42".
//
// To read a decision, begin with decide.go.
//
//	authz.go             the values that callers see
//	engine.go            New; which policies can match which action
//
//	load_scan.go         the text of a policy file, before anything parses it
//	load_policies.go     files to policies, and their annotations
//	load_validate.go     what the schema says against a policy
//	load_sense.go        what can be true for no operation: load_sense_texts.go what no text
//	                     can be, load_sense_entities.go what no entity is or is in
//	load_reach.go        which operations a policy can decide about
//	load_position.go     the line and column of a word in a policy
//
//	schema.go            the Cedar schema of the documents
//	schema_vocabulary.go what all APIs share in it
//	schema_typing.go     JSON Schema to types
//	schema_inputtype.go  the type of an argument
//
//	ask_entities.go      a call as Cedar is asked about it
//	ask_caller.go        what all calls of one caller have in common
//	ask_convert.go       arguments to Cedar values, and what Cedar cannot hold
//	ask_times.go         which texts are instants
//	ask_rounded.go       context.rounded
//
//	decide.go            Decide: allow, hold or deny
//	decide_unheld.go     a policy asks for what Cedar cannot hold
//	decide_partial.go    what an approval, a login, other arguments could change
//	decide_approvals.go  what people said, and what further people could
//	decide_truth.go      what a condition can still be
//
//	explain.go           a decision, for who writes policies
//	visible.go           which tools are listed
//	stepup.go            what a person who may not decide could do
//	stepup_call.go       what another access token would need, for a call to go
//	names.go             Cedar about one API, for people
package authz
