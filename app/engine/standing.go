package engine

import (
	"context"

	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
)

// Block has this computer have nothing to do with a device: it sees no share, whoever that is for, and nothing of it is asked.
// presence.ErrUnknown if it is not known.
func (e *Engine) Block(_ context.Context, id discovery.DeviceID) error {
	was, err := e.sight.Block(id)
	if err != nil || was {
		return err
	}
	if m, err := e.mesh(); err == nil {
		m.Blocked(id)
	}
	e.cut(func(dev discovery.DeviceID) bool { return dev == id })
	e.changes.bump()
	return nil
}

// Unblock takes a block back; it is no error if there is none. What is for everyone is for the device again.
func (e *Engine) Unblock(_ context.Context, id discovery.DeviceID) error {
	was, err := e.sight.Unblock(id)
	if err != nil || !was {
		return err
	}
	if m, err := e.mesh(); err == nil {
		if _, err := e.roster.Get(id); err == nil {
			if n := m.Start(id); n != nil {
				n.Try()
			}
		}
	}
	e.changes.bump()
	return nil
}

// proven notes that people made sure whose key it is (membership.Config.Verified).
func (e *Engine) proven(id discovery.DeviceID, via ledger.Via) {
	how := map[ledger.Via]store.How{ledger.ViaCode: store.ByCode, ledger.ViaQR: store.ByQR, ledger.ViaPictures: store.ByPictures}[via]
	if how == 0 || id.IsZero() || id == e.selfID() {
		return
	}
	if err := e.sight.Verify(id, how); err != nil {
		e.log.Warn("a verified device is not kept", "peer", id.Short(), "err", err)
		return
	}
	e.changes.bump()
}

// doubted is Unverify for a device that a workgroup has let go (membership.Config.Doubted).
func (e *Engine) doubted(id discovery.DeviceID) {
	if was, err := e.sight.Unverify(id); err != nil {
		e.log.Warn("a device stays verified", "peer", id.Short(), "err", err)
	} else if was {
		e.changes.bump()
	}
}

// Unverify takes back that a device was verified; it is no error if it was not. What it had by that ends at once; what it has as a
// member of a workgroup, or as anyone nearby, stays.
func (e *Engine) Unverify(_ context.Context, id discovery.DeviceID) error {
	was, err := e.sight.Unverify(id)
	if err != nil || !was {
		return err
	}
	e.cut(func(dev discovery.DeviceID) bool { return dev == id })
	e.changes.bump()
	return nil
}
