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

	"porchlight/app/checkup"
	"porchlight/app/config"
	"porchlight/app/mesh"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
	"porchlight/transfer/link"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

// network is this device on a network: what listens, what announces, and the mesh.
type network struct {
	e        *Engine
	self     discovery.DeviceID
	port     int
	listener *link.Listener
	server   *server.Server
	mesh     *mesh.Mesh
	checkup  *checkup.Neighbourhood
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
	turn, again := e.turn, e.renet
	e.mu.Unlock()
	return e.where.Trusted(), turn, again
}

// renetwork has runNetworks decide anew, or begin anew in any case.
func (e *Engine) renetwork(begin bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if begin {
		e.turn++
	}
	close(e.renet)
	e.renet = make(chan struct{})
}

// placeChanged is told that this computer may be somewhere else, or may be seen where it was not (whereabouts.Config).
func (e *Engine) placeChanged() {
	e.renetwork(false)
	if n := e.network(); n != nil {
		n.mdns.Look()
	}
	e.changes.bump()
}

// SetNetwork is Whereabouts.SetNetwork.
func (e *Engine) SetNetwork(ctx context.Context, kind discovery.Network) error {
	return e.where.SetNetwork(ctx, kind)
}

// SetInterface is Whereabouts.SetInterface; the network begins anew.
func (e *Engine) SetInterface(ctx context.Context, name string, use bool) error {
	if err := e.where.SetInterface(ctx, name, use); err != nil {
		return err
	}
	e.renetwork(true)
	return nil
}

// owner is this device, and whose it is (whereabouts.Owner, sight.Self).
type owner struct{ e *Engine }

func (o owner) ID() discovery.DeviceID { return o.e.selfID() }

func (o owner) Settings() config.Settings { return o.e.current() }

func (o owner) Change(ctx context.Context, f func(*config.Settings)) error { return o.e.change(ctx, f) }

func (o owner) Attends() bool { return len(o.e.windows.all()) > 0 }

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
	wg.Go(func() { n.mesh.Run(ctx) })
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
	n := &network{e: e, self: me.ID(), port: in.Addr().(*net.TCPAddr).Port}
	n.face = n.newFace()
	n.listener = link.NewListener(e.where.Guard(in), me, e.log)
	n.listener.Friend = e.sight.Friend
	dialer := &link.Dialer{Identity: me, Hello: n.hello}
	n.mesh = mesh.New(mesh.Config{Self: n.self, Roster: e.roster, Dialer: dialer, Listener: n.listener, Voice: n, Sight: e.sight, Groups: e.private,
		Learned: e.learned, Attendance: &e.there, Down: e.down, OnChange: e.changes.bump, OnTwin: e.checkTwin, Log: e.log})
	n.checkup = checkup.New(checkup.Config{Self: n.self, Mesh: n.mesh, Voice: n, Roster: e.roster, Dialer: dialer, Sight: e.sight, Learned: e.learned})
	groups, meets, pictures := e.private.Door()
	n.server = server.New(server.Config{Hello: n.hello, Groups: groups, Meetings: meets, Pictures: pictures, Shares: rights{e}, Blocked: e.sight.Blocked, Neighbours: n.mesh, Watcher: e.watcher, Layers: e.layers, Log: e.log,
		Stranger: e.sight.ShutOut,
		Checkup:  n.checkup.Answer, Holdings: e.pulls, Signer: me, Circle: rights{e}, Uploads: e.up})
	known := mdns.Config{Log: e.log, Record: n.record(), Loopback: e.cfg.Loopback, OnSighting: n.mesh.Sighted, OnNetworkChange: n.changed,
		OnHealth: func(trouble string) { e.setHealth("mdns", trouble) }}
	if !e.cfg.Loopback {
		known.Fit = e.where.Fits
		s := e.current()
		known.Also, known.Not = s.Also, s.Not
	}
	n.mdns = mdns.New(known)
	n.readAddresses()
	return n, nil
}

// listen takes the usual port, or any other if that one is taken.
func (e *Engine) listen(ctx context.Context) (net.Listener, error) {
	port := e.current().Port
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
		n.mesh.DropAll()
	}
	n.mesh.RetryAll()
	n.e.changes.bump()
}

// Announce says once more who is here (mesh.Voice).
func (n *network) Announce() { n.mdns.Announce() }

// Refresh asks who is there.
func (n *network) Refresh() { n.mdns.Refresh() }

// Tell sends an event to every device that listens.
func (n *network) Tell(e wire.Event) { n.server.Tell(e) }

// TellOne sends an event to one of them.
func (n *network) TellOne(dev discovery.DeviceID, e wire.Event) { n.server.TellOne(dev, e) }

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
