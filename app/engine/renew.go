package engine

import (
	"context"
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
	if err := e.become(ident); err != nil {
		return discovery.DeviceID{}, err
	}
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
	return !trusted || e.net != nil && e.net.mesh.self == id
}

// become has the engine go on as another device. The network ends, and begins anew with it.
func (e *Engine) become(ident *identity.Identity) error {
	install, err := installOf(ident, e.cfg.Home)
	if err != nil {
		return err
	}
	e.learned.become(ident.ID(), install)
	e.roster.SetSelf(ident.ID())
	e.mu.Lock()
	e.ident, e.install = ident, install
	e.at.turn++
	e.mu.Unlock()
	e.groupsHealth(e.private.Become(ident))
	e.againNetwork()
	e.checkTwin()
	e.log.Info("this computer is a new one", "id", ident.ID().Short())
	e.changes.bump()
	return nil
}

// installOf tells this installation from a copy of it.
func installOf(ident *identity.Identity, home string) (string, error) {
	moved, err := identity.Moved(home)
	if err != nil {
		return "", err
	}
	return identity.Install(ident.ID(), machineID()+moved, home), nil
}

// me is the identity of this device.
func (e *Engine) me() *identity.Identity {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ident
}
