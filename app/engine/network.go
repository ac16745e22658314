package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/transfer/link"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

// network is this device on a network: what listens, what announces, and the mesh.
type network struct {
	e        *Engine
	port     int
	listener *link.Listener
	server   *server.Server
	mesh     *mesh
	mdns     *mdns.Service

	saying sync.Mutex // one change of what is announced after another

	mu    sync.Mutex // guards the fields below
	face  face
	addrs []netip.Addr
}

// runNetworks is on the network while its owner trusts it, and off it otherwise.
func (e *Engine) runNetworks(ctx context.Context) error {
	for ctx.Err() == nil {
		trusted, turn, again := e.trusted()
		if !trusted {
			select {
			case <-again:
			case <-ctx.Done():
			}
			continue
		}
		nctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer cancel()
			for now := turn; trusted && now == turn && nctx.Err() == nil; trusted, now, again = e.trusted() {
				select {
				case <-again:
				case <-nctx.Done():
				}
			}
		})
		err := e.runNetwork(nctx)
		cancel()
		wg.Wait()
		if err == nil {
			continue
		}
		e.setHealth("network", err.Error())
		select {
		case <-time.After(5 * time.Second): // the network may not be up yet
		case <-ctx.Done():
		}
	}
	return nil
}

// trusted reports whether this device may be on the network, a number that changes when the network must be begun anew, and a
// channel that is closed when either may have changed.
func (e *Engine) trusted() (bool, int, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trustedPlace() && (e.settings.FirstRunDone || !e.cfg.AskFirst), e.at.turn, e.renet
}

// runNetwork is on the network until ctx ends.
func (e *Engine) runNetwork(ctx context.Context) error {
	n, err := e.newNetwork(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.net = n
	e.mu.Unlock()
	n.relabel() // nothing was said yet, and what is true may have changed since it was read
	e.setHealth("network", "")
	e.setHealth("accept", "") // of the network before
	defer func() {
		e.mu.Lock()
		e.net = nil
		e.mu.Unlock()
		e.changes.bump()
	}()
	var wg sync.WaitGroup
	run := func(name string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				e.log.Error("the network stopped working", "part", name, "err", err)
				e.setHealth(name, err.Error())
			}
		})
	}
	run("accept", func(ctx context.Context) error { return n.accept(ctx) })
	run("mdns", n.mdns.Run)
	wg.Go(func() { n.mesh.run(ctx) })
	wg.Go(func() { n.relabelDaily(ctx) })
	e.changes.bump()
	wg.Wait()
	return nil
}

// accept serves until ctx ends. The listener outlives the server by the goodbye.
func (n *network) accept(ctx context.Context) error {
	lctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { n.listener.Run(lctx) }) //nolint:errcheck // the server tells
	err := n.server.Serve(ctx, n.listener)
	cancel()
	return err
}

func (e *Engine) newNetwork(ctx context.Context) (*network, error) {
	in, err := e.listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	me := e.me()
	n := &network{e: e, port: in.Addr().(*net.TCPAddr).Port}
	n.face = n.newFace()
	n.listener = link.NewListener(door{in, e}, me, e.log)
	dialer := &link.Dialer{Identity: me, Hello: n.hello}
	n.mesh = &mesh{e: e, self: me.ID(), roster: e.roster, dialer: dialer, listener: n.listener, log: e.log, changed: e.changes.bump,
		refresh: func() { n.mdns.Refresh() }, announce: func() { n.mdns.Announce() }, ups: &e.ups, down: e.down, probes: make(chan struct{}, maxProbes), pace: rate.NewLimiter(probesRate, maxWaiting), list: map[discovery.DeviceID]*neighbour{},
		passed: map[discovery.DeviceID]time.Time{}, doors: map[netip.Addr]int{}, learned: e.learned, twin: e.checkTwin, blocked: e.blocks.has}
	dialer.Tried = n.mesh.tried
	groups, meets, pictures := e.private.Door()
	n.server = server.New(server.Config{Hello: n.hello, Groups: groups, Meetings: meets, Pictures: pictures, Shares: rights{e}, Blocked: e.blocks.has, Neighbours: n.mesh, Watcher: e.watcher, Layers: e.layers, Log: e.log,
		Stranger: e.isShutOut,
		Checkup:  n.mesh.checkup, Holdings: e.pulls, Signer: me, Circle: rights{e}, Uploads: e.up})
	n.mesh.server = n.server
	known := mdns.Config{Log: e.log, Record: n.record(), Loopback: e.cfg.Loopback, OnSighting: n.mesh.sighted, OnNetworkChange: n.changed,
		OnHealth: func(trouble string) { e.setHealth("mdns", trouble) }}
	if !e.cfg.Loopback {
		known.Fit = e.fits
		e.mu.Lock()
		known.Also, known.Not = e.settings.Also, e.settings.Not
		e.mu.Unlock()
	}
	n.mdns = mdns.New(known)
	n.readAddresses()
	return n, nil
}

// listen takes the usual port, or any other if that one is taken.
func (e *Engine) listen(ctx context.Context) (net.Listener, error) {
	e.mu.Lock()
	port := e.settings.Port
	e.mu.Unlock()
	var lc net.ListenConfig
	if e.cfg.Loopback {
		return lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if port == 0 {
		port = discovery.DefaultPort
	}
	if l, err := lc.Listen(ctx, "tcp", ":"+strconv.Itoa(port)); err == nil {
		return l, nil
	}
	return lc.Listen(ctx, "tcp", ":0")
}

// hello is what this device says of itself; on a connection that it made it proves its private workgroups, too. (The server does
// that in an answer.)
func (n *network) hello(s *link.Session, to *wire.Hello) wire.Hello {
	h := n.e.introduce(s.ID, n.port)
	if to != nil {
		return h
	}
	proofs, err := n.e.private.Prove([32]byte(s.Exporter))
	if err != nil {
		n.e.log.Warn("private workgroups are not proven", "err", err)
		return h
	}
	return h.With(proofs)
}

// changed is told that interfaces or addresses changed. A connection from an address that is gone would only be missed
// after its silence, so all are made anew. It is told before anything is announced there: nobody is to know by its label that this
// is the computer that was on the network before.
func (n *network) changed() {
	n.relabel()
	before, now := n.readAddresses()
	if slices.ContainsFunc(before, func(a netip.Addr) bool { return !slices.Contains(now, a) }) {
		n.mesh.dropAll()
	}
	n.mesh.retryAll()
	n.e.changes.bump()
}

// readAddresses reads the addresses of this computer anew; it returns the old and the new ones.
func (n *network) readAddresses() (before, now []netip.Addr) {
	now = n.mdns.Addresses()
	n.mu.Lock()
	defer n.mu.Unlock()
	before, n.addrs = n.addrs, now
	return before, now
}

// addresses are where neighbours reach this device.
func (n *network) addresses() (out []netip.AddrPort) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.addrs {
		out = append(out, netip.AddrPortFrom(a, uint16(n.port)))
	}
	return out
}
