//go:build race

package download

// raced: the race detector makes everything slow, and tests of hundreds of pulls take a part of them.
const raced = true
