package engine

import (
	"context"
	"sync"
	"time"

	"porchlight/app/store"
	"porchlight/discovery"
)

// verified are the devices whose key is known to be their own, since people compared pictures or gave a code once. It is about the
// key of the other one: it stays when this computer becomes a new one, and a device that does is not it any more. Safe for concurrent use.
type verified struct {
	kept   store.Verified
	change sync.Mutex // makes one change at a time, the store included

	mu sync.RWMutex // guards the field below
	of map[discovery.DeviceID]store.Verification
}

// load reads them from the store. It is called once, before anything else.
func (v *verified) load(kept store.Verified) error {
	all, err := kept.Verified()
	if err != nil {
		return err
	}
	v.kept, v.of = kept, map[discovery.DeviceID]store.Verification{}
	for _, x := range all {
		v.of[x.Device] = x
	}
	return nil
}

func (v *verified) has(id discovery.DeviceID) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	_, ok := v.of[id]
	return ok
}

// set notes how a device was verified; the last time counts.
func (v *verified) set(id discovery.DeviceID, how store.How) error {
	v.change.Lock()
	defer v.change.Unlock()
	x := store.Verification{Device: id, How: how, Since: time.Now().UTC()}
	if err := v.kept.PutVerified(x); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.of[id] = x
	return nil
}

// drop forgets that a device was verified; was says whether it was.
func (v *verified) drop(id discovery.DeviceID) (was bool, err error) {
	v.change.Lock()
	defer v.change.Unlock()
	if !v.has(id) {
		return false, nil
	}
	if err := v.kept.DeleteVerified(id); err != nil {
		return false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.of, id)
	return true, nil
}

// verify notes that the key of a device was proven by "code", "qr" or "pictures" (membership.Config.Verified).
func (e *Engine) verify(id discovery.DeviceID, how string) {
	by := map[string]store.How{"code": store.ByCode, "qr": store.ByQR, "pictures": store.ByPictures}[how]
	if by == 0 || id.IsZero() || id == e.selfID() {
		return
	}
	if err := e.verified.set(id, by); err != nil {
		e.log.Warn("a verified device is not kept", "peer", id.Short(), "err", err)
		return
	}
	e.changes.bump()
}

// doubted is Unverify for a device that a workgroup has let go (membership.Config.Doubted).
func (e *Engine) doubted(id discovery.DeviceID) {
	if was, err := e.verified.drop(id); err != nil {
		e.log.Warn("a device stays verified", "peer", id.Short(), "err", err)
	} else if was {
		e.changes.bump()
	}
}

// Unverify takes back that a device was verified; it is no error if it was not. What it had by that ends at once; what it has as a
// member of a workgroup, or as anyone nearby, stays.
func (e *Engine) Unverify(_ context.Context, id discovery.DeviceID) error {
	was, err := e.verified.drop(id)
	if err != nil || !was {
		return err
	}
	e.cut(func(dev discovery.DeviceID) bool { return dev == id })
	e.changes.bump()
	return nil
}
