// Package tools offers operations as tools and takes every call along the one
// way there is: [Runner.Call] looks up the tool, checks the arguments, encodes
// the request, asks the policies, and then refuses, holds or sends. A held call
// goes on in [Runner.Run] once a person has decided. Every request leaves through
// one function, attempt, with its credential, its entry and its outcome.
//
// To read the way of a call, begin with call.go and go on with send_attempt.go.
//
//	runner.go          what a Runner is made of
//	runner_policy.go   what policies may know of a document
//
//	call.go            Call: the way of a call; what a call is, and its course
//	call_prepare.go    arguments to request: the first thing that can fail
//	call_decide.go     what Cedar says
//	call_usage.go      the usage that Cedar is told
//	call_rule.go       what people said of calls to come: grants, blocks, stops
//	call_hold.go       keeping a call until a person decides
//	call_phrase.go     the sentence that says what a call does; call_phrase_path.go to what
//	call_lacks.go      what a person has to do before there can be a credential
//	call_preview.go    what a call would do
//	call_entry.go      a call as a line of the audit log and of the operator's
//
//	send_attempt.go    attempt: credential, entry, send, outcome, for every call
//	send_mint.go       the HTTP request and its credential
//	send_wire.go       one request and its answer, or what is known without one
//	send_transport.go  the connections that requests leave on
//	send_retry.go      when a read is sent again
//	send_spend.go      what is told of a credential, and its end after the call
//
//	hold_run.go        Run: finds approved calls
//	hold_revive.go     a hold back to a call
//	hold_release.go    from the second decision to the end of the hold
//	hold_keep.go       approved calls without a credential, and those that wait for their caller
//	hold_resume.go     Resume, Cancel, Open: what an agent learns of its holds
//
//	look.go            a call that exeat makes to look at something
//	look_snapshot.go   what a call changes, before and when it is sent
//	look_state.go      reading that
//	look_after.go      what became of a write whose answer was lost
//
//	send_claims.go       what the caller's login lacks for a credential
//	answer_challenge.go  what an API asks for where it refuses a credential
//	answer.go          the envelope that every tool answers with
//	answer_write.go    the envelope as bytes
//	answer_respond.go  from the API's answer to the agent's
//	answer_redact.go   fields that a policy cuts out
//	answer_scrub.go    credentials that an API sends back
//	answer_headers.go  headers that an agent gets
//	answer_page.go     how to get more
//	answer_select.go   _select: less of an answer
//
//	tool.go            operations as tools
//	tool_schema.go     the schemas that they are offered with
//	tool_reason.go     exeat_reason
//	tool_search.go     find_tools
//	tool_index.go      which tools fit words
//	tool_signature.go  a schema in a line
//	tool_describe.go   one tool whole, or a part of its schema
package tools
