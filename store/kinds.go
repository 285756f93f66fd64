package store

// Kind says what an entry of the audit log tells.
type Kind string

// The kinds of entries; [Kinds] says what each tells.
const (
	KindCall    Kind = "call"
	KindRetry   Kind = "retry"
	KindOutcome Kind = "outcome"
	KindEnded   Kind = "ended"
	KindSpent   Kind = "spent"
	KindDenied  Kind = "denied"
	KindPreview Kind = "preview"

	KindHold    Kind = "hold"
	KindApprove Kind = "approve"
	KindDeny    Kind = "deny"
	KindCancel  Kind = "cancel"
	KindExpire  Kind = "expire"
	KindSend    Kind = "send"
	KindKept    Kind = "kept"
	KindRefuse  Kind = "refuse"
	KindUnknown Kind = "unknown"
	KindReveal  Kind = "reveal"
	KindForget  Kind = "forget"

	KindGrant  Kind = "grant"
	KindBlock  Kind = "block"
	KindStop   Kind = "stop"
	KindStart  Kind = "start"
	KindRevoke Kind = "revoke"
	KindEnd    Kind = "end"

	KindLogin   Kind = "login"
	KindLogout  Kind = "logout"
	KindPasskey Kind = "passkey"
	KindPush    Kind = "push"

	KindAccept     Kind = "accept"
	KindConnect    Kind = "connect"
	KindDisconnect Kind = "disconnect"
	KindAccount    Kind = "account"
	KindAccountEnd Kind = "account_end"
)

// Kinds lists every kind with what it tells, in the order of a call's life. The
// table in docs/design.md is made of it.
var Kinds = []struct {
	Kind    Kind
	Meaning string
}{
	{KindCall, "a call that the policies allowed at once, before it is sent"},
	{KindRetry, "a read that is sent again"},
	{KindOutcome, "what came of a call, allowed at once or approved; a read that went well has none in the log: a later entry tells of it in `ended`"},
	{KindEnded, "reads went well, and no other entry came that could tell of them"},
	{KindSpent, "the credential of a call was revoked once the call had its answer; with a code: it could not be"},
	{KindDenied, "a call that was refused, by policy, by a rule or for its arguments; a login or a handle that was"},
	{KindPreview, "an agent tried out a call; nothing was sent"},
	{KindHold, "a call that waits for a person"},
	{KindApprove, "a person approved a hold"},
	{KindDeny, "a person denied a hold"},
	{KindCancel, "the agent took its held call back"},
	{KindExpire, "a hold that nobody decided, or that was not sent, in time"},
	{KindSend, "an approved call, before it is sent"},
	{KindKept, "an approved call for which no credential could be had, or whose API wants another login and did nothing: it is tried again while the approval lasts"},
	{KindRefuse, "an approved call that was not sent after all, or that the API did not take (412); code `tampered`: it was altered"},
	{KindUnknown, "an approved call whose answer was lost"},
	{KindReveal, "a person looked at hidden values"},
	{KindForget, "holds that ended more than 30 days ago were deleted, up to 100 at a time; their entries stay"},
	{KindGrant, "a person allowed calls to come"},
	{KindBlock, "a person denied calls to come"},
	{KindStop, "a person stopped an agent; without an agent: somebody stopped a user"},
	{KindStart, "a person let a stopped agent go on; without an agent: a user was let go on"},
	{KindRevoke, "a person took a grant or a block back"},
	{KindEnd, "what a user's name carries was ended: logins, grants, waiting calls, older tokens; `code` says why"},
	{KindLogin, "a person logged in"},
	{KindLogout, "a person ended logins"},
	{KindPasskey, "a passkey was added or revoked"},
	{KindPush, "a browser gets messages from now on"},
	{KindAccept, "whoever runs exeat said that a log that is not what exeat remembers is right, such as a backup that was put back"},
	{KindConnect, "a person let an OAuth client ask in their name, at the issuer in exeat"},
	{KindDisconnect, "that ended: the person or the client took it back, or a code or a refresh token of it came twice"},
	{KindAccount, "a person connected their account of an API, or more of it"},
	{KindAccountEnd, "that ended: the person took it back; code `invalid_grant`: the API's authorization server does not renew it any more"},
}
