package swarm

import (
	"maps"
	"time"

	"porchlight/discovery"
)

// What Uploads does unless told otherwise.
const (
	uploadSlots  = 8    // the limit of the protocol
	uploadQueue  = 64   // waiting in all
	deviceQueue  = 16   // under way and waiting, of one device: the requests it may have open
	devicesMost  = 1024 // remembered for what they were given
	busyFirst    = 100 * time.Millisecond
	busyMost     = 5 * time.Second
	serviceGuess = 250 * time.Millisecond // of one request, while nothing was measured: what a Plan asks for at a time
)

// UploadConfig sets the limits of Uploads.
type UploadConfig struct {
	Slots int // served at a time; 8 if zero
	Queue int // waiting in all; 64 if zero
}

// Verdict says what becomes of a request that came in.
type Verdict uint8

// The verdicts.
const (
	Go   Verdict = iota // serve it now
	Wait                // Start will name it
	Full                // say busy, and when to come again
)

// Uploads is the serving side of the simulation: a queue with slots. The server of the protocol shares bytes, and not slots (package server, turns), which
// a simulation of whole pieces cannot tell apart. It decides whose request a serving device answers first: whoever has the fewest under way before the others, of those whoever was given
// least lately (start-time fair queueing, Goyal, Vin, Cheng 1996), where a piece that never went out counts for little; of one device the pieces first that went out least often.
// A value is not safe for concurrent use.
type Uploads struct {
	cfg     UploadConfig
	last    uint64
	calls   []upload // under way and waiting
	active  int
	devices map[discovery.DeviceID]*taker
	floor   float64 // turn of the device served last: who comes new starts here, not at zero
	service time.Duration
}

// upload is one request of a device.
type upload struct {
	id     uint64
	device discovery.DeviceID
	bytes  int64
	given  int
	began  time.Time // zero while it waits
}

// taker is a device with requests here.
type taker struct {
	turn   float64 // bytes it was given, counted from the floor when it came
	active int
	all    int
}

// NewUploads serves nobody yet.
func NewUploads(cfg UploadConfig) *Uploads {
	if cfg.Slots < 1 {
		cfg.Slots = uploadSlots
	}
	if cfg.Queue < 1 {
		cfg.Queue = uploadQueue
	}
	return &Uploads{cfg: cfg, devices: map[discovery.DeviceID]*taker{}, service: serviceGuess}
}

// Add takes a request for so many bytes; given says how often the piece of it that went out least went out, as Seed.Given knows.
// With Go and Wait the id stands for the request until Done; with Full there is none, and the device is told to come again after retry.
func (u *Uploads) Add(device discovery.DeviceID, bytes int64, given int, now time.Time) (id uint64, v Verdict, retry time.Duration) {
	d := u.devices[device]
	if d != nil && d.all >= deviceQueue || len(u.calls)-u.active >= u.cfg.Queue {
		waits := len(u.calls) / u.cfg.Slots
		return 0, Full, min(max(time.Duration(waits)*u.service/2, busyFirst), busyMost)
	}
	if d == nil {
		if len(u.devices) >= devicesMost {
			maps.DeleteFunc(u.devices, func(_ discovery.DeviceID, d *taker) bool { return d.all == 0 })
		}
		d = &taker{turn: u.floor}
		u.devices[device] = d
	}
	d.all++
	u.last++
	u.calls = append(u.calls, upload{id: u.last, device: device, bytes: bytes, given: given})
	if u.active == len(u.calls)-1 && u.active < u.cfg.Slots {
		u.begin(len(u.calls)-1, now)
		return u.last, Go, 0
	}
	return u.last, Wait, 0
}

// Start names a waiting request that is to be served now; false if all slots are taken or nobody waits. Call it after Done until it says false.
func (u *Uploads) Start(now time.Time) (id uint64, ok bool) {
	if u.active >= u.cfg.Slots || u.active == len(u.calls) {
		return 0, false
	}
	best := -1
	for i := range u.calls {
		if u.calls[i].began.IsZero() && (best < 0 || u.before(&u.calls[i], &u.calls[best])) {
			best = i
		}
	}
	u.begin(best, now)
	return u.calls[best].id, true
}

// before reports whether a waiting request comes before another.
func (u *Uploads) before(a, b *upload) bool {
	da, db := u.devices[a.device], u.devices[b.device]
	switch {
	case da.active != db.active:
		return da.active < db.active
	case a.device == b.device && a.given != b.given:
		return a.given < b.given
	}
	if ta, tb := da.turn+a.price(), db.turn+b.price(); ta != tb {
		return ta < tb
	}
	return a.id < b.id
}

// price is how far a request moves its device back. A piece that never went out helps everybody, and costs a quarter.
func (c *upload) price() float64 {
	if c.given == 0 {
		return float64(c.bytes) / 4
	}
	return float64(c.bytes)
}

func (u *Uploads) begin(i int, now time.Time) {
	c := &u.calls[i]
	c.began = now
	d := u.devices[c.device]
	d.active++
	u.active++
	u.floor = max(u.floor, d.turn)
	d.turn += c.price() // at once: two requests of one device must not both look cheap
}

// Done says that a request is over, served or not, begun or not; sent is how many bytes went out.
func (u *Uploads) Done(id uint64, sent int64, now time.Time) {
	for i := range u.calls {
		c := u.calls[i]
		if c.id != id {
			continue
		}
		d := u.devices[c.device]
		d.all--
		if !c.began.IsZero() {
			d.active--
			u.active--
			if sent < c.bytes {
				d.turn -= c.price() * float64(c.bytes-sent) / float64(c.bytes)
			}
			if sent == c.bytes {
				u.service += (now.Sub(c.began) - u.service) / 8
			}
		}
		if d.all == 0 && d.turn <= u.floor {
			delete(u.devices, c.device)
		}
		last := len(u.calls) - 1
		u.calls[i] = u.calls[last]
		u.calls = u.calls[:last]
		if last == 0 {
			clear(u.devices)
			u.floor = 0
		}
		return
	}
}

// Load returns how many requests are served and how many wait.
func (u *Uploads) Load() (active, waiting int) { return u.active, len(u.calls) - u.active }
