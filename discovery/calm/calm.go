// Package calm tells tests what a time or a rate is worth on the computer they run on.
//
// Beside a test run other tests, the compiler and whatever else the computer does, and the race detector makes everything about ten times
// slower. A tight limit on real time then fails by chance. So a test asserts it on a calm computer, which only who starts the tests knows
// (`make release-check` sets PORCHLIGHT_CALM), and everywhere else a wide one, that only what hangs or grows out of all proportion reaches.
package calm

import (
	"os"
	"time"
)

// Is reports whether this computer does nothing else, so that rates and shares mean what they say.
func Is() bool { return os.Getenv("PORCHLIGHT_CALM") != "" }

// Most is how long something may take that takes at most d on a calm computer.
func Most(d time.Duration) time.Duration {
	if Is() {
		return d
	}
	return 10*d + 20*time.Second
}
