package engine

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"porchlight/discovery/keyring"
	"porchlight/discovery/mdns"
	"porchlight/transfer/wire"
)

// labelLife is how long a label is used: nobody can tell by it that this is the same computer as yesterday.
const labelLife = 24 * time.Hour

// face is what this device announces that changes with its label. The tags are made once for each: those that are padded anew
// would tell which of them are real.
type face struct{ label, tags, slot string }

// newFace makes another label, and the tags for it.
func (n *network) newFace() face {
	f := face{label: mdns.NewLabel(), slot: n.e.invitationSlot()}
	var err error
	if f.tags, err = n.e.announced.Announce(f.label); err != nil {
		n.e.log.Warn("workgroups not announced", "err", err)
	}
	if f.tags == "" && !n.e.sight.Open() {
		f.tags = someTags()
	}
	return f
}

// someTags are of no workgroup: a device that is in none looks like one that is in some.
func someTags() string {
	var b [keyring.MaxTags / 2 * len(keyring.Tag{})]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// record is what is announced now.
func (n *network) record() mdns.Record {
	n.mu.Lock()
	f := n.face
	n.mu.Unlock()
	r := mdns.Record{Instance: f.label, Port: n.port, Tags: f.tags, Slot: f.slot, Flags: mdns.AcceptsManual}
	n.e.mu.Lock()
	defer n.e.mu.Unlock()
	if s := n.e.settings; !s.Private {
		r.Name, r.Workgroup, r.IDPrefix = s.Name, s.Workgroup, mdns.IDPrefix(n.self)
	}
	return r
}

// relabel gives this device another label, and takes the one before back.
func (n *network) relabel() {
	n.saying.Lock()
	defer n.saying.Unlock()
	f := n.newFace()
	n.mu.Lock()
	n.face = f
	n.mu.Unlock()
	n.say()
}

// say announces what is true now. The caller holds saying.
func (n *network) say() {
	if err := n.mdns.Update(n.record()); err != nil {
		n.e.log.Warn("not announced anew", "err", err)
	}
}

// relabelDaily changes the label now and then until ctx ends.
func (n *network) relabelDaily(ctx context.Context) {
	tick := time.NewTicker(labelLife)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.relabel()
		case <-ctx.Done():
			return
		}
	}
}

// renamed tells everybody the new name and workgroup.
func (n *network) renamed() {
	n.saying.Lock()
	n.say()
	n.saying.Unlock()
	n.tellSelf()
}

// tellSelf tells those who are connected what may be told of this device without being asked: nothing, unless it is open.
func (n *network) tellSelf() {
	r := n.record()
	n.server.Tell(wire.Event{Kind: wire.EventSelf, Name: r.Name, Group: r.Workgroup})
}
