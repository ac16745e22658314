package download

import (
	"sync"

	"porchlight/transfer/pace"
)

// disks are those that pulls write to now. The zero value is ready; safe for concurrent use.
type disks struct {
	mu     sync.Mutex // guards the field below
	byName map[string]*usedDisk
}

// usedDisk is a disk and the number of pulls that write to it.
type usedDisk struct {
	pace.Disk
	pulls int
}

// use returns the disk of a name, the same one to all who use it at the time, and what ends that. Disks that have no name are not the same.
func (d *disks) use(name string) (disk *pace.Disk, done func()) {
	if name == "" {
		return &pace.Disk{}, func() {}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byName == nil {
		d.byName = map[string]*usedDisk{}
	}
	u := d.byName[name]
	if u == nil {
		u = &usedDisk{}
		d.byName[name] = u
	}
	u.pulls++
	return &u.Disk, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if u.pulls--; u.pulls == 0 {
			delete(d.byName, name)
		}
	}
}
