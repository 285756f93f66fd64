// Package notify tells people and machines of held calls. Nothing in a message
// decides, and no argument of a call is in one.
//
// Which file answers what:
//
//	notify.go   what is sent to whom and when, and what if that fails?
//	text.go     what does a message say?
//	quiet.go    when are people left alone?
//	send.go     which channels are there, how does a message get there?
//	webhook.go  the same for machines
//	bounded.go  what bounds the libraries that send?
//	push.go     the same for browsers
package notify
