// Package approval decides: it holds calls until a person decides, keeps the rules
// that people give for calls to come, and checks who says so.
//
//	            ┌────────▶ denied
//	            ├────────▶ expired
//	pending ────┼────────▶ cancelled
//	            └▶ approved ─▶ sending ─┬▶ done      (any HTTP answer, kept for the handle)
//	                   │                ├▶ refused   (not sent after all, or the API answered 412: it did nothing)
//	                   │                └▶ unknown   (the answer was lost)
//	                   ├▶ refused  (the approval is not what a person made, or that person may not decide)
//	                   └▶ expired
//
// Which file answers what:
//
//	approval.go         what is a verdict, and which errors are there?
//	identity.go         who is a person, and who says so?
//	show.go             who may see a hold, and what of it?
//	service.go          how is a hold made, read, listed and withdrawn?
//	hold_state.go       which event is legal in which state, and what comes of it?
//	hold_parties.go     for whom and by whom a held call is made
//	hold_seal.go        is a stored hold, its state and its approval what exeat made?
//	hold_alarm.go       what becomes of one that is not, and who is told?
//	hold_limit.go       how many may a principal have, and what is noted of the rest?
//	hold_wait.go        is the same call waiting already?
//	hold_notice.go      which channels are to be told of a new hold?
//	hold_release.go     who may send an approved hold, and what is recorded of that?
//	hold_sweep.go       what does time do to holds, and when are they forgotten?
//	show_others.go      which other calls are on the same thing?
//	show_masked.go      which hidden values have to be looked at before an approval?
//	decide.go           may this person decide, and what is recorded?
//	decide_lacks.go     can the call have its credential, once it is approved?
//	decide_weigh.go     what would an approval do, after those of others?
//	decide_several.go   the same, for several holds at once
//	decide_signed.go    what does a passkey sign, and did it sign this?
//	decide_question.go  and what are they asked where they may not?
//	decide_fatigue.go   does this person still read what they approve?
//	passkey.go          how are passkeys made, and how do people sign in with them?
//	passkey_kept.go     whose passkeys are there, and how are they revoked?
//	rule.go             what is a rule, which calls is it about, is it what was stored?
//	rule_cedar.go       how does Cedar say what a rule is?
//	rule_give.go        what can a person give, and how does it decide their hold?
//	rule_task.go        what is a bounded job, and what do its calls come to?
//	rule_signed.go      what of a grant does a passkey sign?
//	rule_kept.go        what is as it was read before?
//	rule_use.go         which rules are in force, and may this call use this grant?
//	log_said.go         what does the log say of passkeys and rules?
//	log_fresh.go        does it know better than the rows?
//	log_lost.go         what is lost with a log that is not what it was?
//	rule_recent.go      which calls of late would a rule have been about?
//	rule_stop.go        how are rules revoked, and agents stopped and started?
//	user.go             what ends with a user, and who may go on?
package approval
