// Package mdns announces this device on the local network and reports the announcements of others.
//
// One service type, one instance per device, one random label at a time. The announcer says once by itself that it came
// or changed, and takes that back when it leaves. The browser asks in two ways at once, directly and through the library,
// and hears what others say and ask on one ear per link; the responder answers them.
// Whoever comes new asks at once and so finds everybody; the others learn of it from its announcement.
//
//	watch ──interfaces, sleep──► Service.Run ──┬──► announcer ──► announcements, goodbye
//	                                           └──► browser ────► rounds of questions
//	port 5353 ──► sieve ──► ear ──► accounts ──┬──► sightings
//	                                           └──► responder
//
// Port 5353 is everybody's, and floods on it must cost next to nothing and hide nobody. What cannot concern us is thrown
// away by the system (sieve) or by a look at its bytes (concerns); what does has a limit for each sender (accounts), for
// all together, and for what is made of it.
//
// A device that is in no open workgroup announces nothing that names it: its label, and tags that only members of its private
// workgroups tell from random ones. They hold for one label; whoever owns the Service gives it another from time to time, and
// always when the network changes (Config.OnNetworkChange).
//
// Everything it reports comes from packets anybody could have sent. A [discovery.Sighting] is a reason to dial, never a fact.
//
// It needs no router, no default route and no DNS: IPv4 alone, IPv6 alone and link-local addresses alone will do.
// RFC 6762 (multicast DNS) and RFC 6763 (services in it) are the law; where the library departs from them, the rule here
// that works round it says so.
//
// With [Config.Loopback] several programs on one machine find each other over 127.0.0.1 without any network.
package mdns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"sync"

	"porchlight/discovery"
)

const (
	service  = "_porchlight._tcp.local."
	services = "_services._dns-sd._udp.local." // RFC 6763 §9: which types of service there are
	local    = "local."
	mdnsPort = 5353
	ttl      = 120 // seconds; neighbours drop a record they have not heard again for so long

	maxPacket = 9000 // bytes; RFC 6762 §17
)

// ErrNoNetwork says that no network interface fit for neighbours is up.
var ErrNoNetwork = errors.New("no network interface in use")

// Config says what to announce, where, and whom to tell. The zero value looks for others and tells nobody.
//
// The functions are called with no lock held, each never twice at a time; they must return soon, and may call the
// methods of the Service. OnNetworkChange and OnHealth hold up each other, OnSighting holds up only further sightings.
type Config struct {
	Record Record // announced while it has a port. An empty Instance is replaced by a NewLabel.

	Loopback bool     // the loopback interface and no other: several devices on one machine
	Also     []string // names of interfaces to use although they look like tunnels or virtual machines
	Not      []string // names of interfaces never to use
	// Fit is asked for each interface that would be used, with its addresses; one that is refused is as if it were not there.
	// Called often, from any goroutine; nil refuses none. After its mind changed, Look must be called.
	Fit func(name string, prefixes []netip.Prefix) bool

	OnSighting func(discovery.Sighting) // told of every announcement and goodbye heard; the same ones again and again
	// OnNetworkChange is told when interfaces or addresses changed, or the computer woke, and before anything is said there: what
	// it gives to Update is the first that is heard of this device on a new network.
	OnNetworkChange func()
	OnHealth        func(trouble string) // told when that changed: why some neighbours cannot be met, empty if all is well

	Log *slog.Logger // discarded if nil
}

// Service is this device on the local network. All methods may be called at any time from any goroutine; Run only once.
type Service struct {
	cfg       Config
	self      *self
	health    *health
	announcer *announcer
	browser   *browser
	look      chan struct{} // look at the interfaces again
}

// New returns a service that does nothing until Run.
func New(cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Record.Instance == "" {
		cfg.Record.Instance = NewLabel()
	}
	s := &Service{cfg: cfg, self: &self{record: cfg.Record}, health: newHealth(), look: make(chan struct{}, 1)}
	r := &responder{log: cfg.Log, self: s.self}
	s.announcer = newAnnouncer(cfg.Log, s.self, s.health, r)
	s.browser = newBrowser(cfg, s.self, s.health, r)
	return s
}

// Run announces and looks around until ctx ends; then it says goodbye at once, and returns when everything it started
// has ended: up to 1.2 seconds later, because the library cannot be hurried. Networks may come and go meanwhile,
// it never gives up. The only error is that of a record that may not be announced.
func (s *Service) Run(ctx context.Context) error {
	if err := s.self.now().Check(); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	defer runtime.GC() // where it cannot listen the library forgets sockets; they are closed when they are collected
	var wg sync.WaitGroup
	defer wg.Wait()
	looks, announce, browse := make(chan network), make(chan network), make(chan network)
	wg.Go(func() { s.cfg.watch(ctx, s.look, looks) })
	wg.Go(func() { s.announcer.run(ctx, announce) })
	wg.Go(func() { s.browser.run(ctx, browse) })
	for first := true; ; {
		select {
		case <-ctx.Done():
			return nil
		case n := <-looks:
			s.cfg.Log.Debug("network", "interfaces", len(n.links), "woke", n.woke)
			if !s.change(ctx, n, first, announce, browse) {
				return nil
			}
			first = false
		case <-s.health.changed:
			if s.cfg.OnHealth != nil {
				s.cfg.OnHealth(s.health.String())
			}
		}
	}
}

// change hands a network on. When it is not the first, nothing is said or answered from before its owner is told until it is the
// one that is used.
func (s *Service) change(ctx context.Context, n network, first bool, announce, browse chan<- network) bool {
	give := func(to chan<- network, n network) bool {
		select {
		case to <- n:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !first && s.cfg.OnNetworkChange != nil {
		s.browser.responder.quieten()
		defer s.browser.responder.resume()
		if !give(announce, network{hold: true}) {
			return false
		}
		s.cfg.OnNetworkChange()
	}
	return give(announce, n) && give(browse, n)
}

// Update changes what is announced, at once: a new name, workgroup, port or invitation. Without a port the device takes back
// what it said and only looks. An empty Instance keeps the one before; another one makes a new face of this device.
func (s *Service) Update(r Record) error {
	if r.Instance == "" {
		r.Instance = s.self.now().Instance
	}
	if err := r.Check(); err != nil {
		return fmt.Errorf("announce: %w", err)
	}
	if s.self.set(r) {
		nudge(s.announcer.poke)
	}
	return nil
}

// Refresh asks at once, and then as often as after the start. It returns before any answer came. More often than once
// a second it has no effect.
func (s *Service) Refresh() { nudge(s.browser.again) }

// Look has the interfaces looked at anew, at once: what Config.Fit says has changed.
func (s *Service) Look() { nudge(s.look) }

// Announce says again who is here, to all, though nobody asked: a neighbour wants to know whether that reaches it. More
// often than once a second it has no effect.
func (s *Service) Announce() { nudge(s.announcer.poke) }

// Heard returns how many announcements of other devices came in since the start. None after half a minute
// on a network with neighbours means that something, most likely a firewall, keeps them away.
func (s *Service) Heard() int64 { return s.browser.heard.Load() }

// Addresses returns where neighbours can reach this device now, best first: cables and radios before other interfaces,
// private IPv4 before IPv6, link-local ones with their zone last. Empty if there is no network. Run need not run.
func (s *Service) Addresses() []netip.Addr {
	ls, err := s.cfg.links()
	if err != nil {
		s.cfg.Log.Debug("interfaces unreadable", "error", err)
	}
	return reachable(ls)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// health gathers what does not work, by whom it was found. It calls nobody: Service.Run waits on changed.
type health struct {
	changed chan struct{}

	mu    sync.Mutex // guards the fields below
	parts [2]error
	text  string
}

// The parts of health.
const (
	announcing = iota
	hearing
)

func newHealth() *health { return &health{changed: make(chan struct{}, 1)} }

// set notes that part works no more, or again if err is nil.
func (h *health) set(part int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parts[part] = err
	var lines []string
	for _, e := range h.parts {
		if e == nil || errors.Is(e, ErrNoNetwork) && len(lines) > 0 {
			continue
		}
		lines = append(lines, strings.ReplaceAll(e.Error(), "\n", "; "))
	}
	if text := strings.Join(lines, "; "); text != h.text {
		h.text = text
		nudge(h.changed)
	}
}

// String returns the whole trouble, or nothing.
func (h *health) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text
}
