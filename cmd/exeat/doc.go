// Command exeat serves REST APIs to LLM agents over MCP, asks Cedar about every
// call, and holds the calls that only a person may release.
//
// The packages beside it do the work; here they are wired up, and each command
// has its file.
//
// From the command line to a running server:
//
//	main.go            one command line, its exit code, and the list of commands
//	flags.go           what flags say, merged with the configuration
//	config.go          exeat.yaml; config_oauth.go has whose tokens are
//	                   taken, config_credential.go what calls leave with,
//	                   config_explain.go says what is wrong with it
//	config_value.go    values that stand elsewhere: proxies, headers of every call
//	issuer.go          the authorization server of this process (issuer: dev)
//	documents.go       documents, policies, and where calls may go
//	credentials.go     what leaves with the calls of a document
//	strategies.go      the ways in which calls get a credential, one strategy_*.go each
//	strategy_connected.go tokens of accounts that people connect
//	strategy_id_jag.go  identity assertions for the servers of other companies
//	strategy_exchange.go  tokens made of the caller's
//	strategy_github_app.go  tokens of a GitHub App for one call
//	strategy_gcp_downscope.go tokens of Google that are cut down to one call
//	strategy_signed.go tokens of exeat's own, and what they are bound to
//	strategy_vault.go  secrets of a vault, leased for one call
//	strategy_entra_obo.go tokens of Entra on behalf of the caller
//	strategy_aws_sts.go keys of AWS for one call; a JWT that says to a cloud who exeat is
//	txn_token.go       transaction tokens beside the credentials of an API
//	secrets.go         where secrets are read from: environment, file, command
//	credentials_need.go  which of its security schemes have a credential
//	credential_hint.go what to do where an API will not take exeat's tokens
//	ways.go            how APIs and token endpoints are reached: proxies, certificates
//	gateway.go         everything that takes calls, wired up and run
//	edge.go            how MCP and the inbox are reached: TLS, proxies, sockets
//	listen.go          the ports, and HTTP on them; listen_localhost.go takes both
//	                   addresses of localhost
//	callers.go         who calls over HTTP
//	bearer.go          the token that MCP clients send, and exeat keys bearer
//	tokens.go          tokens for single people and programs
//	database.go        opening the database; heads.go remembers beside the keys how long
//	                   its log was, and refuses one that is not that any more
//	oidc.go            logins with a provider
//	signals.go         whose signals of ended sessions and accounts are heard
//	announce.go        what a start tells the terminal
//	observe.go         the log line of a call; observe_cut.go cuts long ones, observe_join.go
//	                   writes those together that come together, observe_console.go for terminals
//	hangup.go          what SIGHUP does
//	pprof.go           where the time goes, for whoever looks
//	memory.go          how much memory calls may take before it is collected
//
// Commands that serve: serve.go (stdio, http, inbox), guard.go with
// guard_enroll.go (whose tokens a guard believes), guard_check.go (a proxy that
// asks), guard_sender.go (who may send a token), guard_api.go (what goes on to the
// API, and how) and guard_log.go; and demo.go with play.go, which acts it out; with
// Keycloak these are demo_keycloak.go, demo_keycloak_fetch.go (the download) and
// demo_keycloak_play.go (the acts).
//
// Commands for whoever decides: approvals.go with approvals_decide.go, watch.go (the
// same on the full screen), grants.go, agents.go and passkeys.go for what outlives one decision.
//
// Commands for whoever runs it: users.go (stops users), doctor.go with doctor_edge.go,
// doctor_oauth.go, doctor_credential.go and doctor_ways.go, inspect.go (tools), policy.go,
// policy_explain.go, call.go, audit.go with audit_verify.go and audit_accept.go, backup.go, keys.go, notify.go, version.go and man.go for manual pages.
package main
