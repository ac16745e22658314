package link

import "porchlight/discovery"

// Cut closes at once every connection of the devices of which which says so: what runs on them ends, whatever it waits for.
// They may connect anew.
func (l *Listener) Cut(which func(discovery.DeviceID) bool) {
	var out []*Conn
	for _, id := range l.entered() {
		if !which(id) { // without the lock: it may ask others
			continue
		}
		l.mu.Lock()
		out = append(out, l.devices[id]...)
		l.mu.Unlock()
	}
	for _, c := range out {
		c.Close() //nolint:errcheck // it is gone either way
	}
}

// entered returns the devices that have connections.
func (l *Listener) entered() (ids []discovery.DeviceID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.devices {
		ids = append(ids, id)
	}
	return ids
}
