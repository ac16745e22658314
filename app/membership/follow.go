package membership

import (
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// follow does what a change of the book asks for, at once; from is the device it came from, or zero.
func (m *Membership) follow(c workgroup.Change, from discovery.DeviceID) {
	if !c.Any() {
		return
	}
	w, err := m.book().Workgroup(c.Workgroup)
	members := idsOf(w.Members)
	out := slices.Clone(c.Gone)
	if c.Self && (err != nil || w.Standing != workgroup.In) {
		out = append(out, members...)
	}
	if len(out) > 0 {
		m.cfg.Network.Cut(func(device discovery.DeviceID) bool { return slices.Contains(out, device) })
	}
	if w.Standing == workgroup.In {
		for _, device := range c.Gone { // it may be in other hands now, and most were verified when they came in
			if len(m.book().Common(device)) == 0 {
				m.cfg.Doubted(device)
			}
		}
	}
	m.pass(c, from, members)
	if c.Self && w.Role != ledger.Admin {
		m.endInvitations(c.Workgroup)
	}
	if c.Announce || c.Self || len(c.Joined)+len(c.Gone) > 0 {
		m.cfg.Announce()
	}
	if c.Ask {
		m.askKeys(c.Workgroup, from)
	}
	m.greetAnew(c, w)
	m.cfg.Log.Info("a workgroup changed", "workgroup", c.Workgroup.Prefix(), "joined", len(c.Joined), "gone", len(c.Gone), "self", c.Self, "entries", len(c.Push))
	m.cfg.OnChange()
}

func idsOf(members []workgroup.Member) (ids []discovery.DeviceID) {
	for _, p := range members {
		ids = append(ids, p.ID)
	}
	return ids
}

// pass gives entries to every member that is there, but not back to who sent them.
func (m *Membership) pass(c workgroup.Change, from discovery.DeviceID, members []discovery.DeviceID) {
	if len(c.Push) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for device, t := range m.ties {
		if device != from && slices.Contains(members, device) {
			if len(t.loads) < maxLoads {
				t.loads = append(t.loads, load{c.Workgroup, c.Push})
			} else {
				t.todo[c.Workgroup] = true
			}
			t.poke()
		}
	}
}

// greetAnew sees to it that those who are new to each other prove the workgroup to each other.
func (m *Membership) greetAnew(c workgroup.Change, w workgroup.Workgroup) {
	in := w.Standing == workgroup.In
	switch {
	case c.Self && in: // hellos so far may have been without it, or as somebody who is out
		m.mu.Lock()
		for _, p := range w.Members {
			t, k := m.ties[p.ID], m.known[p.ID]
			if t != nil && (k == nil || !slices.Contains(k.out, c.Workgroup)) {
				t.renew, t.todo[c.Workgroup] = true, true
				t.poke()
			}
		}
		m.mu.Unlock()
	case in:
		for _, device := range c.Joined {
			m.look(device)
		}
	}
}
