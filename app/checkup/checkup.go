// Package checkup gathers the facts that the doctor judges: about this computer, and about what passes between it and its neighbours.
//
// Nothing is changed by it. Programs of the system are only asked, with the rights this program has anyway; neighbours are asked what
// arrives there, and those who are not there are dialled.
package checkup

import (
	"cmp"
	"context"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
)

const (
	diagnoseTime = 15 * time.Second
	listenTime   = 4 * time.Second  // for announcements to come in after everybody was asked for one
	freshTime    = 12 * time.Second // an announcement heard so long ago was heard now
	maxExamined  = 48               // neighbours examined
	missedTime   = 30 * 24 * time.Hour
)

// Patient is the device that is examined. The engine is one.
type Patient interface {
	// Self describes it.
	Self(context.Context) (discovery.Self, error)
	// Peers returns the devices known and announced.
	Peers(context.Context) ([]discovery.Peer, error)
}

// Case is what is known of the patient before anybody looks.
type Case struct {
	AskFirst      bool           // it stays off the network until the first run is done
	Loopback      bool           // a laboratory on one machine
	Port          int            // that it is to listen on; 0 means discovery.DefaultPort
	Twin          bool           // another computer uses its identity
	Addresses     []netip.Addr   // that neighbours are told
	Neighbourhood *Neighbourhood // nil while it is on no network; then Addresses are those it would tell
}

// Diagnose finds out why somebody is not seen. It asks the neighbours and dials those that are not there, which takes some
// seconds.
func (c Case) Diagnose(ctx context.Context, p Patient) ([]doctor.Finding, error) {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, diagnoseTime)
	defer cancel()
	self, err := p.Self(ctx)
	if err != nil {
		return nil, err
	}
	f := doctor.Facts{Network: self.Network, Waits: c.AskFirst && self.FirstRun || self.Ask && c.Neighbourhood == nil, Loopback: c.Loopback, Port: self.Port, Home: self.Home,
		Health: self.Health, Twin: c.Twin, System: runtime.GOOS, WantedPort: cmp.Or(c.Port, discovery.DefaultPort)}
	if f.Program, err = os.Executable(); err != nil {
		f.Program = "porchlight"
	}
	if c.Neighbourhood == nil {
		c.Addresses = mdns.New(mdns.Config{Loopback: c.Loopback}).Addresses()
	}
	var around []examined
	var wg sync.WaitGroup
	wg.Go(func() { f.Interfaces = interfaces(ctx, c.Addresses) })
	wg.Go(func() { f.Firewall, f.Chains = firewall(ctx) })
	wg.Go(func() { f.SystemPublic = systemPublic(ctx) })
	if c.Neighbourhood != nil {
		wg.Go(func() { around = c.Neighbourhood.examine(ctx) })
	}
	wg.Wait()
	if f.Firewall == doctor.Firewalld {
		zones(ctx, f.Interfaces)
	}
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
	all, err := p.Peers(asked)
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
	return doctor.Examine(f), asked.Err() // what took too long says so by what is not known of it
}
