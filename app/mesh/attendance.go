package mesh

import (
	"sync"

	"porchlight/discovery"
)

// Attendance knows which devices are there. It outlives the mesh: who waits for a device may have begun before this one was on any
// network, and must hear of it all the same. Its zero value knows nobody. Safe for concurrent use.
type Attendance struct {
	mu   sync.Mutex // guards the field below
	devs map[discovery.DeviceID]*up
}

type up struct {
	is   bool
	then chan struct{} // closed while it is
}

// Of reports whether a device is there, and returns a channel that is closed when it is.
func (a *Attendance) Of(id discovery.DeviceID) (bool, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.entry(id)
	return d.is, d.then
}

func (a *Attendance) set(id discovery.DeviceID, is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.entry(id)
	switch {
	case is && !d.is:
		close(d.then)
	case !is && d.is:
		d.then = make(chan struct{})
	}
	d.is = is
}

// entry is called with mu held.
func (a *Attendance) entry(id discovery.DeviceID) *up {
	if a.devs == nil {
		a.devs = map[discovery.DeviceID]*up{}
	}
	if a.devs[id] == nil {
		a.devs[id] = &up{then: make(chan struct{})}
	}
	return a.devs[id]
}
