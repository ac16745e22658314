package transfer

import (
	"time"

	"porchlight/discovery"
)

// MaxConduct is of how many devices a Conduct is remembered.
const MaxConduct = 4096

// Conduct is what is remembered of one device that content was fetched from: facts, kept here and told to nobody. A bad piece proves other data than its root
// stands for, not malice.
type Conduct struct {
	Device   discovery.DeviceID
	Bytes    int64        // received, all of it
	Rate     float64      // bytes per second of one request, smoothed
	Bad      [3]time.Time // when the last bad pieces came, the newest first
	BadCount int
	Late     [3]time.Time  // when the last requests timed out, likewise
	LateRest time.Duration // the last rest for time-outs
	RestTill time.Time     // asked for nothing before
	HelpTill time.Time     // not asked as a helper before
	Seen     time.Time     // last report of any kind
}
