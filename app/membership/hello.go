package membership

import (
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/workgroup"
	"porchlight/share/access"
)

// known is what the connections with a device have shown, for as long as there are any.
type known struct {
	live    []<-chan struct{} // its connections, both ways
	in, out []workgroup.ID    // what was proven on the newest one that it made, and that this device made
	hoped   []workgroup.ID    // for which the connections were made anew, for nothing
	renewed time.Time         // when they were last made anew
}

// alive drops the connections that are gone, and reports whether there are others.
func (k *known) alive() bool {
	k.live = slices.DeleteFunc(k.live, func(gone <-chan struct{}) bool {
		select {
		case <-gone:
			return true
		default:
			return false
		}
	})
	return len(k.live) > 0
}

// meet notes a new connection with a device. Where there was none it has to compare anew before it is served. The caller holds mu.
func (m *Membership) meet(s Session) *known {
	k := m.known[s.Device]
	if k == nil {
		m.sweep()
		k = &known{}
		m.known[s.Device] = k
	}
	if !k.alive() {
		m.book().Disconnected(s.Device)
		k.in, k.out, k.hoped = nil, nil, nil
	}
	k.live = append(k.live, s.Gone)
	return k
}

// sweep forgets devices without a connection, when there are many: anybody may come with a new key each time. The caller holds mu.
func (m *Membership) sweep() {
	if len(m.known) < maxKnown {
		return
	}
	for device := range m.known {
		m.here(device)
	}
}

// maxKnown is how many devices are remembered before those without a connection are looked for.
const maxKnown = 256

// here reports whether there is a connection with a device. The caller holds mu.
func (m *Membership) here(device discovery.DeviceID) bool {
	k := m.known[device]
	if k == nil {
		return false
	}
	if k.alive() {
		return true
	}
	delete(m.known, device)
	m.book().Disconnected(device)
	return false
}

// Prove returns the proofs for the hello of a connection that this device makes.
func (m *Membership) Prove(exporter [32]byte) ([]keyring.Proof, error) {
	return m.book().Prove(exporter)
}

// Greeted takes what the device at the other end of a connection that this one made answered to its hello. via is where its
// entries may be handed in. It returns at once.
func (m *Membership) Greeted(s Session, proofs []keyring.Proof, removed []workgroup.Notice, via Neighbour) {
	proven, err := m.book().Check(s.Exporter, proofs)
	if err != nil {
		m.cfg.Log.Debug("not proofs", "peer", s.Device.Short(), "err", err)
	}
	m.mu.Lock()
	m.meet(s).out = proven
	m.mu.Unlock()
	for _, n := range removed[:min(len(removed), workgroup.MaxWorkgroups)] {
		m.told(s.Device, n, via)
	}
	m.look(s.Device)
}

// told is what follows when a device says that this one was removed.
func (m *Membership) told(from discovery.DeviceID, n workgroup.Notice, via Neighbour) {
	c, own, err := m.book().Told(from, n)
	if err != nil {
		m.cfg.Log.Debug("not believed that this device was removed", "peer", from.Short(), "err", err)
	}
	m.follow(c, from)
	if len(own) > 0 && via != nil {
		m.post(from, via, load{n.Workgroup, own})
	}
}

// answer takes the proofs of a device that connected.
func (m *Membership) answer(s Session, proofs []keyring.Proof) (workgroup.Reply, error) {
	r, err := m.book().Answer(s.Exporter, s.Device, proofs)
	m.mu.Lock()
	m.meet(s).in = r.Common
	m.mu.Unlock()
	m.look(s.Device)
	return r, err
}

// renewEvery keeps two devices that disagree from making connections anew without end.
const renewEvery = 2 * time.Second

// look has the goroutine of a neighbour see to what is not in step, and makes the connections to it anew if it proves a workgroup
// that was not proven to it.
func (m *Membership) look(device discovery.DeviceID) {
	common := m.book().Common(device)
	if len(common) == 0 {
		return
	}
	synced := m.book().Synced(device)
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.ties[device]
	if t == nil {
		return
	}
	for _, id := range common {
		if !slices.Contains(synced, id) {
			t.todo[id] = true
		}
	}
	t.renew = t.renew || m.stale(device, common)
	t.poke()
}

// stale reports whether a device proves a workgroup on the connections it made that is not proven on those of this device. The
// caller holds mu.
func (m *Membership) stale(device discovery.DeviceID, common []workgroup.ID) bool {
	k := m.known[device]
	return k != nil && slices.ContainsFunc(common, func(id workgroup.ID) bool {
		return slices.Contains(k.in, id) && !slices.Contains(k.out, id)
	})
}

// proven reports whether a device has shown a key of a workgroup. The caller holds mu.
func (m *Membership) proven(device discovery.DeviceID, id workgroup.ID) bool {
	k := m.known[device]
	return k != nil && (slices.Contains(k.in, id) || slices.Contains(k.out, id))
}

// Synced returns the workgroups of which a device may be served now: both are in them, both ledgers were found equal, and there is a
// connection.
func (m *Membership) Synced(device discovery.DeviceID) []workgroup.ID {
	m.mu.Lock()
	here := m.here(device)
	m.mu.Unlock()
	if !here {
		return nil
	}
	return m.book().Synced(device)
}

// Members returns a device as who may look is decided of it: its places in the workgroups of Synced.
func (m *Membership) Members(device discovery.DeviceID) (out []access.Member) {
	for _, id := range m.Synced(device) {
		if p, err := m.book().Member(id, device); err == nil {
			out = append(out, access.Member{Workgroup: id, Person: p.Person})
		}
	}
	return out
}

// Common returns the workgroups that a device and this one are members of, the oldest first; of this device itself, those it is in.
func (m *Membership) Common(device discovery.DeviceID) (ids []workgroup.ID) {
	if device != m.self() {
		return m.book().Common(device)
	}
	for _, w := range m.book().Workgroups() {
		if w.Standing == workgroup.In {
			ids = append(ids, w.ID)
		}
	}
	return ids
}

// Called returns what a device is called in the oldest workgroup that both are in; empty if there is none.
func (m *Membership) Called(device discovery.DeviceID) string {
	for _, id := range m.book().Common(device) {
		if p, err := m.book().Member(id, device); err == nil && p.Name != "" {
			return p.Name
		}
	}
	return ""
}

// Announce returns what is announced with a label; empty if this device is in no workgroup.
func (m *Membership) Announce(label string) (string, error) { return m.book().Announce(label) }

// Recognise returns the workgroups that an announcement is of: a hint to dial.
func (m *Membership) Recognise(label, tags string) ([]workgroup.ID, error) {
	return m.book().Recognise(label, tags)
}

// Guest reports whether a device proved a workgroup on the newest connection that it made, and was not removed from it, as far as is
// known here. It need not be a member: perhaps its admission has not arrived.
func (m *Membership) Guest(device discovery.DeviceID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[device]
	return k != nil && len(k.in) > 0
}

// Check returns the workgroups that the device at the other end of a connection that this one made has proven.
func (m *Membership) Check(exporter [32]byte, proofs []keyring.Proof) ([]workgroup.ID, error) {
	return m.book().Check(exporter, proofs)
}
