package engine

import (
	"context"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/transfer/wire"
)

// SetOpen takes this device into the open workgroup, or out of it: then its name is off the network at once, and strangers are let
// go of.
func (e *Engine) SetOpen(ctx context.Context, open bool) error {
	if err := e.changeQuietly(ctx, func(s *config.Settings) { s.Private = !open }); err != nil {
		return err
	}
	n := e.network()
	if n == nil {
		return nil
	}
	n.relabel()
	if open {
		n.mesh.StartAll()
		n.mdns.Refresh()
	} else {
		for _, x := range n.mesh.All() {
			if e.sight.Stranger(x.ID) {
				n.server.TellOne(x.ID, wire.Event{Kind: wire.EventBye})
			}
		}
		e.cut(e.sight.Stranger)
		n.mesh.Dismiss(true)
	}
	n.tellSelf()
	e.changes.bump()
	return nil
}

// announceChanged is told that other tags, or another slot, are to be announced, or that somebody is a member now or no more.
func (e *Engine) announceChanged() {
	n := e.network()
	if n == nil {
		return
	}
	n.relabel()
	n.mesh.Dismiss(false)
}

// introduce returns what this device says of itself to the other side of a connection, without proofs. The port is for guests,
// who are dialled, too.
func (e *Engine) introduce(to discovery.DeviceID, port int) wire.Hello {
	h := wire.Hello{V: wire.Version, Port: uint16(port), Caps: []string{wire.CapSwarm}}
	if e.sight.Stranger(to) {
		return h
	}
	named := len(e.sight.Common(to)) == 0 // members have a name from the ledger
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.settings
	h.Install, h.App, h.Now = e.install, e.cfg.Version, time.Now().UnixNano()
	if !s.Private {
		h.Name, h.Workgroup = s.Name, s.Workgroup
	} else if named {
		h.Name = s.Name
	}
	return h
}
