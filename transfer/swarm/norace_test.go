//go:build !race

package swarm

// raceEnabled: the race detector makes everything slow.
const raceEnabled = false
