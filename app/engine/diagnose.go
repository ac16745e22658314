package engine

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

const (
	diagnoseTime = 15 * time.Second
	listenTime   = 4 * time.Second  // for announcements to come in after everybody was asked for one
	freshTime    = 12 * time.Second // an announcement heard so long ago was heard now
	maxExamined  = 48               // neighbours examined
	missedTime   = 30 * 24 * time.Hour
)

// Diagnose finds out why somebody is not seen. It asks the neighbours and dials those that are not there, which takes some
// seconds; it changes nothing.
func (e *Engine) Diagnose(ctx context.Context) ([]doctor.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, diagnoseTime)
	defer cancel()
	self, err := e.Self(ctx)
	if err != nil {
		return nil, err
	}
	f := doctor.Facts{Network: self.Network, Waits: e.cfg.AskFirst && self.FirstRun || self.Ask, Loopback: e.cfg.Loopback, Port: self.Port, Home: self.Home,
		Health: self.Health, Twin: e.learned.hasTwin(), System: runtime.GOOS}
	if f.Program, err = os.Executable(); err != nil {
		f.Program = "porchlight"
	}
	e.mu.Lock()
	n := e.net
	f.WantedPort = e.settings.Port
	e.mu.Unlock()
	if f.WantedPort == 0 {
		f.WantedPort = discovery.DefaultPort
	}
	var used []netip.Addr
	if n != nil {
		used = n.mdns.Addresses()
	} else {
		used = mdns.New(mdns.Config{Loopback: e.cfg.Loopback}).Addresses()
	}
	var wg sync.WaitGroup
	wg.Go(func() { f.Interfaces = interfaces(ctx, used) })
	wg.Go(func() { f.Firewall, f.Chain = firewall(ctx) })
	wg.Go(func() { f.SystemPublic = systemPublic(ctx) })
	var around []examined
	if n != nil {
		wg.Go(func() { around = n.mesh.examine(ctx) })
	}
	wg.Wait()
	for i := range f.Interfaces {
		d := &f.Interfaces[i]
		d.Silent = !d.Used && slices.ContainsFunc(self.Interfaces, func(s discovery.Interface) bool {
			return s.Name == d.Name && s.Used && s.Network != discovery.Home && s.Network != discovery.Office
		})
	}
	for _, x := range around {
		x.n.Near = slices.ContainsFunc(x.addrs, func(a netip.AddrPort) bool { return doctor.Near(f.Interfaces, a.Addr()) })
		f.Neighbours = append(f.Neighbours, x.n)
	}
	all, err := e.Peers(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		switch {
		case p.Newer && p.State == discovery.Online:
			f.NewerToo = append(f.NewerToo, p.Name)
		case p.Newer:
			f.Newer = append(f.Newer, p.Name)
		}
	}
	return doctor.Examine(f), ctx.Err()
}

// checkTwin tells that another computer uses this device's identity, and takes it back when it is gone.
func (e *Engine) checkTwin() {
	const trouble = "another computer uses the identity of this one: one is a copy of the other"
	if e.learned.hasTwin() {
		e.setHealth("twin", trouble)
	} else {
		e.setHealth("twin", "")
	}
}

// examined is one neighbour while it is being examined.
type examined struct {
	n     doctor.Neighbour
	addrs []netip.AddrPort
}

// examine asks everybody who is there and dials everybody who is not, all at once.
func (m *mesh) examine(ctx context.Context) []examined {
	began := time.Now()
	m.announce()
	m.refresh()
	all := m.suspects(m.reported(ctx))
	turns := make(chan struct{}, maxProbes)
	var wg sync.WaitGroup
	for i := range all {
		x := &all[i]
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if n := m.get(x.n.ID); n != nil && x.n.Online {
				m.ask(ctx, n, x, began)
			} else if x.n.Out == doctor.Unknown {
				x.n.Out = m.reach(ctx, wanted(x.n.ID), x.addrs)
			}
		})
	}
	wg.Wait()
	for i := range all {
		x := &all[i]
		if x.n.ID.IsZero() {
			continue
		}
		if ago, ok := m.learned.heardAgo(x.n.ID); ok && ago < freshTime+time.Since(began) {
			x.n.Heard = doctor.Yes
		}
		x.n.Clock, x.n.Twin = m.learned.of(x.n.ID)
	}
	return all
}

func wanted(id discovery.DeviceID) *discovery.DeviceID {
	if id.IsZero() {
		return nil
	}
	return &id
}

// reports are the devices that neighbours say they dial.
type reports struct {
	ids   map[discovery.DeviceID][]netip.AddrPort
	addrs map[netip.AddrPort]bool
}

// reported asks the neighbours that are there whom they dial.
func (m *mesh) reported(ctx context.Context) reports {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r := reports{ids: map[discovery.DeviceID][]netip.AddrPort{}, addrs: map[netip.AddrPort]bool{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, n := range m.all() {
		if up, _ := n.isUp(); !up {
			continue
		}
		wg.Go(func() {
			hints, err := n.client.Hints(ctx)
			if err != nil {
				return // it is online and too busy: others may say it
			}
			mu.Lock()
			defer mu.Unlock()
			for _, h := range hints {
				id := discovery.DeviceID(h.ID)
				if !h.Direct || id == m.self || len(r.ids) >= maxExamined {
					continue
				}
				for _, text := range h.Addrs {
					if a, err := netip.ParseAddrPort(text); err == nil && a.Addr().IsPrivate() && a.Port() >= 1024 {
						r.ids[id] = append(r.ids[id], a)
						r.addrs[a] = true
					}
				}
			}
		})
	}
	wg.Wait()
	return r
}

// suspects lists the neighbours to examine: those that are there, those that were here in the last weeks, those that only
// announce themselves, and those that only others see.
func (m *mesh) suspects(r reports) (out []examined) {
	known := map[netip.AddrPort]bool{}
	for _, p := range m.learned.mark(m.roster.Snapshot()) {
		x := examined{addrs: p.Addresses, n: doctor.Neighbour{ID: p.ID, Name: p.Name, Online: p.State == discovery.Online || p.State == discovery.Suspect,
			Heard: doctor.No, ByOthers: len(r.ids[p.ID]) > 0 && !p.ID.IsZero()}}
		if p.Newer && !x.n.Online {
			x.n.Out = doctor.OtherVersion // it need not be dialled to know that
		}
		if p.State == discovery.Candidate {
			x.n.Heard = doctor.Yes
			x.n.ByOthers = slices.ContainsFunc(p.Addresses, func(a netip.AddrPort) bool { return r.addrs[a] })
		}
		for _, a := range p.Addresses {
			known[a] = true
		}
		if len(p.Addresses) > 0 {
			x.n.Address = p.Addresses[0].String()
		}
		if m.blocked(p.ID) || m.e.isStranger(p.ID) {
			continue // as was wished
		}
		if x.n.Online || x.n.Heard == doctor.Yes || x.n.ByOthers || time.Since(p.LastSeen) < missedTime {
			out = append(out, x)
		}
	}
	for id, addrs := range r.ids {
		if _, err := m.roster.Get(id); err != nil && !m.e.isStranger(id) && !slices.ContainsFunc(addrs, func(a netip.AddrPort) bool { return known[a] }) {
			out = append(out, examined{addrs: addrs, n: doctor.Neighbour{ID: id, Name: addrs[0].Addr().String(), Address: addrs[0].String(), Heard: doctor.No, ByOthers: true}})
		}
	}
	slices.SortStableFunc(out, func(a, b examined) int {
		if a.n.Online != b.n.Online {
			if a.n.Online {
				return -1
			}
			return 1
		}
		if a.n.Heard == b.n.Heard {
			return strings.Compare(a.n.Name, b.n.Name)
		}
		return int(a.n.Heard) - int(b.n.Heard) // those that are heard first
	})
	return out[:min(len(out), maxExamined)]
}

// checkup asks a neighbour what it knows of this device.
func (n *neighbour) checkup(ctx context.Context) (wire.Checkup, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return n.client.Checkup(ctx)
}

// ask asks a neighbour what arrives there, until announcements went both ways or had their time.
func (m *mesh) ask(ctx context.Context, n *neighbour, x *examined, began time.Time) {
	if x.n.Out = doctor.Works; !n.peer.Direct() {
		x.n.Out = m.reach(ctx, &n.id, x.addrs)
	}
	for {
		c, err := n.checkup(ctx)
		if err != nil && !errors.Is(err, transfer.ErrGone) { // its silence was not noticed yet
			x.n.Online, x.n.Out = false, m.reach(ctx, &n.id, x.addrs)
			return
		}
		if err != nil { // an older Porchlight: it has said at least whether it dials this one
			x.n.In = doctor.Works
			if n.isBlocked() {
				x.n.In = doctor.Failed
			}
			return
		}
		x.n.In, x.n.HearsUs = reachIn(c.Dial), doctor.No
		if c.Heard >= 0 && time.Duration(c.Heard)*time.Millisecond < freshTime {
			x.n.HearsUs = doctor.Yes
		}
		ago, heard := m.learned.heardAgo(n.id)
		if x.n.HearsUs == doctor.Yes && heard && ago < freshTime || time.Since(began) > listenTime {
			return
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}
