package engine

import (
	"sync"

	"porchlight/discovery"
)

// ups knows which devices are there. It outlives the mesh: who waits for a device may have begun before this one was on any
// network, and must hear of it all the same.
type ups struct {
	mu   sync.Mutex // guards the field below
	devs map[discovery.DeviceID]*up
}

type up struct {
	is   bool
	then chan struct{} // closed while it is
}

// get reports whether a device is there, and returns a channel that is closed when it is.
func (u *ups) get(id discovery.DeviceID) (bool, <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.of(id)
	return d.is, d.then
}

func (u *ups) set(id discovery.DeviceID, is bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	d := u.of(id)
	switch {
	case is && !d.is:
		close(d.then)
	case !is && d.is:
		d.then = make(chan struct{})
	}
	d.is = is
}

// of is called with mu held.
func (u *ups) of(id discovery.DeviceID) *up {
	if u.devs == nil {
		u.devs = map[discovery.DeviceID]*up{}
	}
	if u.devs[id] == nil {
		u.devs[id] = &up{then: make(chan struct{})}
	}
	return u.devs[id]
}
