package checkup

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"porchlight/app/doctor"
	"porchlight/app/mesh"
	"porchlight/app/sight"
	"porchlight/discovery"
	"porchlight/discovery/presence"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// Config says what a Neighbourhood works with. All is needed.
type Config struct {
	Self    discovery.DeviceID
	Mesh    *mesh.Mesh
	Voice   mesh.Voice
	Roster  *presence.Roster
	Dialer  *link.Dialer
	Sight   *sight.Sight
	Learned *mesh.Learned
}

// Neighbourhood gathers what is known here and there of who reaches whom on one network, and answers neighbours that do the same.
// Safe for concurrent use.
type Neighbourhood struct {
	cfg    Config
	checks checks
}

// New makes one. Nothing is started.
func New(cfg Config) *Neighbourhood { return &Neighbourhood{cfg: cfg} }

// examined is one neighbour while it is being examined.
type examined struct {
	n     doctor.Neighbour
	addrs []netip.AddrPort
}

// examine asks everybody who is there and dials everybody who is not, all at once.
func (h *Neighbourhood) examine(ctx context.Context) []examined {
	began := time.Now()
	h.cfg.Voice.Announce()
	h.cfg.Voice.Refresh()
	all := h.suspects(h.reported(ctx))
	var wg sync.WaitGroup // all at once: those of an office who are not here take 4 s each, and somebody waits
	for i := range all {
		x := &all[i]
		wg.Go(func() {
			if n := h.cfg.Mesh.Neighbour(x.n.ID); n != nil && x.n.Online {
				h.ask(ctx, n, x, began)
			} else if x.n.Out == doctor.Unknown {
				x.n.Out = h.reach(ctx, wanted(x.n.ID), x.addrs)
			}
		})
	}
	wg.Wait()
	for i := range all {
		x := &all[i]
		if x.n.ID.IsZero() {
			continue
		}
		if ago, ok := h.cfg.Learned.HeardAgo(x.n.ID); ok && ago < freshTime+time.Since(began) {
			x.n.Heard = doctor.Yes
		}
		x.n.Clock, x.n.Twin = h.cfg.Learned.Of(x.n.ID)
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
func (h *Neighbourhood) reported(ctx context.Context) reports {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r := reports{ids: map[discovery.DeviceID][]netip.AddrPort{}, addrs: map[netip.AddrPort]bool{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, n := range h.cfg.Mesh.All() {
		if !n.Up() {
			continue
		}
		wg.Go(func() {
			hints, err := n.Client.Hints(ctx)
			if err != nil {
				return // it is online and too busy: others may say it
			}
			mu.Lock()
			defer mu.Unlock()
			for _, hint := range hints {
				id := discovery.DeviceID(hint.ID)
				if !hint.Direct || id == h.cfg.Self || len(r.ids) >= maxExamined {
					continue
				}
				for _, text := range hint.Addrs {
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
func (h *Neighbourhood) suspects(r reports) (out []examined) {
	known := map[netip.AddrPort]bool{}
	for _, p := range h.cfg.Learned.Mark(h.cfg.Roster.Snapshot()) {
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
		if h.cfg.Sight.Blocked(p.ID) || h.cfg.Sight.Stranger(p.ID) {
			continue // as was wished
		}
		if x.n.Online || x.n.Heard == doctor.Yes || x.n.ByOthers || time.Since(p.LastSeen) < missedTime {
			out = append(out, x)
		}
	}
	for id, addrs := range r.ids {
		if _, err := h.cfg.Roster.Get(id); err != nil && !h.cfg.Sight.Stranger(id) && !slices.ContainsFunc(addrs, func(a netip.AddrPort) bool { return known[a] }) {
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

// checkupOf asks a neighbour what it knows of this device.
func checkupOf(ctx context.Context, n *mesh.Neighbour) (wire.Checkup, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return n.Client.Checkup(ctx)
}

// ask asks a neighbour what arrives there, until announcements went both ways or had their time.
func (h *Neighbourhood) ask(ctx context.Context, n *mesh.Neighbour, x *examined, began time.Time) {
	if x.n.Out = doctor.Works; !n.Peer.Direct() {
		x.n.Out = h.reach(ctx, &n.ID, x.addrs)
	}
	for {
		c, err := checkupOf(ctx, n)
		if err != nil && !errors.Is(err, transfer.ErrGone) { // its silence was not noticed yet
			x.n.Online, x.n.Out = false, h.reach(ctx, &n.ID, x.addrs)
			return
		}
		if err != nil { // an older Porchlight: it has said at least whether it dials this one
			x.n.In = doctor.Works
			if n.Blocked() {
				x.n.In = doctor.Failed
			}
			return
		}
		x.n.In, x.n.HearsUs = reachIn(c.Dial), doctor.No
		if c.Heard >= 0 && time.Duration(c.Heard)*time.Millisecond < freshTime {
			x.n.HearsUs = doctor.Yes
		}
		ago, heard := h.cfg.Learned.HeardAgo(n.ID)
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
