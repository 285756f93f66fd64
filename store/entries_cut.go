package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Longest texts of an entry, in bytes. Some come from whoever calls, or from an API or
// a provider, who must not fill the disk with them; what exactly was called is in the
// digest.
const (
	maxEntryPath   = 512
	maxEntryNote   = 1000
	maxEntryName   = 256
	maxEntryPerson = 1024
	maxEntryNames  = 50        // of a list
	maxEntrySigned = 256 << 10 // a proof is whole, or the entry is refused
)

var errLongProof = errors.New("the proof of an approval is larger than 256 KiB")

// shorten cuts the texts of an entry.
func (e *Entry) shorten() error {
	if len(e.Signed) > maxEntrySigned {
		return errLongProof
	}
	e.Path, e.Note = shortenText(e.Path, maxEntryPath), shortenText(e.Note, maxEntryNote)
	e.Principal, e.By = shortenText(e.Principal, maxEntryPerson), shortenText(e.By, maxEntryPerson)
	for _, text := range [...]*string{
		(*string)(&e.Kind), &e.Txn, &e.Agent, &e.Session, &e.API, &e.Tool, &e.Effect, &e.Method, &e.Digest, &e.Decision, &e.PolicySet, &e.Hold,
		&e.Code, &e.Strategy, &e.JTI, &e.Grant,
	} {
		*text = shortenText(*text, maxEntryName)
	}
	e.Policies = shortenList(e.Policies)
	if e.Credential != nil {
		short := *e.Credential
		for _, text := range []*string{&short.Issuer, &short.Audience, &short.Scope, &short.Narrowed, &short.Wider} {
			*text = shortenText(*text, maxEntryPath)
		}
		e.Credential = &short
	}
	if e.Login != nil {
		short := *e.Login
		short.ACR, short.AMR = shortenText(short.ACR, maxEntryName), shortenList(short.AMR)
		e.Login = &short
	}
	return nil
}

func shortenText(text string, most int) string {
	if len(text) > most {
		text = fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(text[:most], ""), len(text))
	}
	return text
}

// shortenList cuts a list of names, and each of them. The list that was given stays.
func shortenList(list []string) []string {
	if len(list) <= maxEntryNames && !slices.ContainsFunc(list, func(s string) bool { return len(s) > maxEntryName }) {
		return list
	}
	short := slices.Clone(list[:min(len(list), maxEntryNames)])
	for i := range short {
		short[i] = shortenText(short[i], maxEntryName)
	}
	if more := len(list) - len(short); more > 0 {
		short = append(short, fmt.Sprintf("… and %d more", more))
	}
	return short
}

// NameInEntry is an agent's name as an entry has it: cut if it is long, and with
// U+FFFD for what is not UTF-8.
func NameInEntry(name string) string { return string([]rune(shortenText(name, maxEntryName))) }

// PersonInEntry is the same of a principal's.
func PersonInEntry(name string) string { return string([]rune(shortenText(name, maxEntryPerson))) }
