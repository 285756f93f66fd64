// Package inbox is where people decide: the pages, the same as JSON for terminals,
// and the logins to both. It shows and asks; what a decision is and who may make
// it, package approval says.
//
// Which file answers what:
//
//	inbox.go              which routes are there, and what do requests have to be?
//	page.go               what do all pages have, and how is each error answered?
//	page_words.go         in which language is a page, and how does text get into it?
//	page_read.go          what has to be looked at before an approval?
//	page_hold.go          what is a held call shown as, and how is it decided?
//	page_list.go          what waits, and how is it put together?
//	page_list_amounts.go  which calls must not hide behind others?
//	page_several.go       the same for calls that are decided together
//	page_grant.go         what can be granted or denied for calls to come?
//	page_rules.go         which rules and agents are there?
//	page_activity.go      what have agents done?
//	page_call.go          which way did a call take, and how is it told in a line?
//	page_live.go          has what is on a page changed?
//	page_push.go          which browsers get messages?
//	page_login.go         how does somebody log in by link, and log out?
//	page_passkeys.go      how do passkeys sign people in, and what do pages ask them to sign?
//	page_connect.go       how does a person connect their account of an API?
//	page_accounts.go      which of their accounts are connected, for what, until when?
//	page_sessions.go      where is a person logged in?
//	page_settings.go      what can a person set up, and what is there of it?
//	page_client.go        may an OAuth client ask in their name?
//	login_session.go      which logins are there, and whose is this request?
//	login_oidc.go         which OpenID provider is there, and what can it do?
//	login_oidc_flow.go    which logins with it were begun here?
//	login_oidc_claims.go  what does its answer say, and is that enough?
//	login_oidc_pages.go   how do people get there and back?
//	view_hold.go          how is a held call shown?
//	view_before.go        what is compared to show what it changes?
//	view_diff.go          which lines tell the differences?
//	view_file.go          which files does it send?
//	page_diff.go          how are these written, and what has to be seen?
//	page_file.go          how are a file's bytes saved, and its picture drawn?
//	view_mask.go          which values are hidden, and how?
//	api.go                what do terminals ask, and how?
//	api_client.go         the other end of that
//	api_client_rules.go   the same, for rules and agents
package inbox
