// Package nearest finds what a misspelt word was meant to be.
package nearest

// Find is the first candidate that is nearest to a word, of those that at most within
// letters have to be put in, taken out or replaced for; "" if there is none. Words are
// compared as plain gives them, which may be nil. A candidate that is the word itself
// is not a correction.
func Find(word string, candidates []string, within int, plain func(string) string) string {
	best := ""
	if plain == nil {
		plain = func(s string) string { return s }
	}
	from := []rune(plain(word))
	for _, c := range candidates {
		if c == word {
			continue
		}
		if d := distance(from, []rune(plain(c)), within); d <= within {
			best, within = c, d-1
		}
		if within < 0 {
			break
		}
	}
	return best
}

// distance is how many letters have to be put in, taken out or replaced to make one
// word of the other (Levenshtein); anything above most if it is more than that.
func distance(a, b []rune, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		before, least := row[0], i+1
		row[0] = i + 1
		for j, y := range b {
			cost := before
			if x != y {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
			least = min(least, cost)
		}
		if least > most {
			return most + 1
		}
	}
	return row[len(b)]
}
