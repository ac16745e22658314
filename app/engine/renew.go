package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/identity"
)

// renewTime is for the network to end, with a goodbye, and to begin again.
const renewTime = 5 * time.Second

// NewIdentity makes this computer a new one, for one that is a copy of another: it gets a new key, and its neighbours meet it
// as a stranger. Its name, shares, settings and pulls stay. Connections break and are made anew by the new one; pulls go on
// by themselves. It returns when the new one is on the network, or cannot be within some seconds.
func (e *Engine) NewIdentity(ctx context.Context) (discovery.DeviceID, error) {
	e.renew.Lock() // one after another: each puts the key before it aside
	defer e.renew.Unlock()
	ident, err := identity.Renew(e.cfg.Home)
	if err != nil {
		return discovery.DeviceID{}, err
	}
	e.become(ident)
	wait, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	for since := uint64(0); !e.settled(ident.ID()) && err == nil; {
		since, err = e.Wait(wait, since)
	}
	return ident.ID(), nil // it is another one all the same
}

// settled reports whether the network of this device, if it may be on one, is the one of an identity.
func (e *Engine) settled(id discovery.DeviceID) bool {
	trusted, _, _ := e.trusted()
	e.mu.Lock()
	defer e.mu.Unlock()
	return !trusted || e.net != nil && e.net.self == id
}

// become has the engine go on as another device. The network ends, and begins anew with it.
func (e *Engine) become(ident *identity.Identity) {
	install := instance()
	e.learned.Become(ident.ID(), install)
	e.roster.SetSelf(ident.ID())
	e.mu.Lock()
	e.ident, e.install = ident, install
	e.mu.Unlock()
	e.groupsHealth(e.private.Become(ident))
	e.renetwork(true)
	e.checkTwin()
	e.log.Info("this computer is a new one", "id", ident.ID().Short())
	e.changes.bump()
}

// instance tells this run of the program from one with a copy of its home, even where a whole disk was copied: nothing that lies on
// a disk can. It is another one at each start, and says nothing about the computer.
func instance() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails since Go 1.24
	return hex.EncodeToString(b)
}

// checkTwin tells that another computer uses this device's identity, and takes it back when it is gone.
func (e *Engine) checkTwin() {
	const trouble = "another computer uses the identity of this one: one is a copy of the other"
	if e.learned.HasTwin() {
		e.setHealth("twin", trouble)
	} else {
		e.setHealth("twin", "")
	}
}

// me is the identity of this device.
func (e *Engine) me() *identity.Identity {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ident
}
