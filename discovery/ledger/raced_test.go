//go:build race

package ledger

// raced is whether the race detector watches, which makes everything ten times slower.
const raced = true
