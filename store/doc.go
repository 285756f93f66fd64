// Package store keeps what must outlive a process: holds, spent token ids and
// the audit log, in SQLite. Every state change is a compare-and-swap, and the
// entry of a change commits in the same transaction as the change.
//
//	store.go            Open, migrations, View and Update
//	conn.go             a connection that keeps what it has compiled
//	scan.go             values of rows, and arguments of statements
//	credential.go       what an entry says of the credential of its request
//	records.go          what a hold, a request and an approval are
//	holds.go            holds and their compare-and-swap
//	snapshot.go         a snapshot of what a call changes
//	things.go           which open holds are on the same thing
//	grants.go           rules, and the clock that only goes forward
//	entries.go          the chain, and how it is appended to
//	entries_encode.go   what is written of an entry
//	entries_read.go     whole entries from what was written
//	entries_verify.go   the whole chain, checked
//	entries_export.go   the chain for who checks it without exeat
//	entries_first.go    entries of the first format
//	ended.go            reads that went well
//	entries_cut.go      what an entry keeps of long texts
//	follow.go           what is new in the chain, and seals of entries
//	kinds.go            what an entry tells
//	log.go              many entries in one commit
//	usage.go            how often a principal did what, for budgets
//	usage_tally.go      how that is counted
//	outbox.go           messages that are to be sent
//	subscriptions.go    browsers that get messages
//	passkeys.go         passkeys of people
//	pins.go             keys of issuers that a guard relies on
//	issuer.go           clients of the issuer in this process, and what people let them do
//	accounts.go         accounts that people connected
//	moment.go           whether what people have said is what it was
//	watch.go            who waits for a change
//	backup.go           a whole copy, while running
package store
