// Package notify tells people and machines of held calls. Nothing in a message
// decides, and no argument of a call is in one.
//
// Which file answers what:
//
//	notify.go   what is sent to whom and when, and what if that fails?
//	text.go     what does a message say?
//	quiet.go    when are people left alone?
//	send.go     what is said of a message that did not arrive?
//	channel.go  which channels for people are there, and what is in their URLs?
//	            (chats, phones and mail are in files of their own)
//	webhook.go  the same for machines
//	client.go   what bounds what is sent, and what comes back?
//	push.go     the same for browsers
package notify
