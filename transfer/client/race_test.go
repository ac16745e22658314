//go:build race

package client_test

// raceEnabled: the race detector makes everything slow.
const raceEnabled = true
