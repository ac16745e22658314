// Package presence keeps the roster of devices: who is known, who is there, and where.
//
// It decides and remembers, and does nothing by itself: no sockets, no goroutines. Whoever dials tells it what came of it.
// Sightings are hints that anybody on the network can forge. They may make this device dial, and they may show a candidate;
// only what a device proved inside TLS changes what is kept of it.
package presence

import (
	"errors"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"porchlight/discovery"
)

// Limits of the roster.
const (
	MaxPeers      = 1024              // devices kept; beyond it one goes (makeRoom)
	MaxCandidates = 512               // announced and not proven
	CandidateLife = 130 * time.Second // a little more than the 120 s that an announcement lasts
	maxAddrs      = 6                 // of one device
	maxKept       = 3                 // of them stored
	keepFor       = 30 * 24 * time.Hour
)

// ErrUnknown says that no such device is known.
var ErrUnknown = errors.New("no such computer is known")

// Store keeps proven devices over restarts. PutPeer stores no link-local address.
type Store interface {
	Peers() ([]discovery.Peer, error)
	PutPeer(p discovery.Peer) error
	DeletePeer(id discovery.DeviceID) error
}

// Config says what a roster works with. Self and Store are needed.
type Config struct {
	Self     discovery.DeviceID
	Store    Store
	Now      func() time.Time // time.Now if nil
	OnChange func()           // called without a lock after anything that Snapshot shows has changed
	Log      *slog.Logger
}

// Roster is the list of known devices. Safe for concurrent use.
type Roster struct {
	cfg Config

	mu         sync.Mutex // guards the fields below
	known      map[discovery.DeviceID]*entry
	candidates map[string]*candidate        // by instance label
	dialed     map[netip.AddrPort]*attempts // rate limits of unproven targets
	gossiped   map[netip.AddrPort]time.Time // not dialled again until then because of gossip
	doors      *doors
	forgives   *rate.Limiter
}

// entry is a proven device.
type entry struct {
	peer  discovery.Peer
	hints []netip.AddrPort // where it is said to be; never stored
}

// candidate is an instance that was announced and not proven.
type candidate struct {
	sighting discovery.Sighting
	first    time.Time
	proven   bool               // it turned out to be a known device, or this one; no longer shown
	id       discovery.DeviceID // that device, if it was dialled because of this announcement; zero otherwise
}

// attempts limits how often one address of unproven targets is dialled.
type attempts struct {
	n    int
	next time.Time
}

// New returns an empty roster; Load fills it.
func New(cfg Config) *Roster {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func() {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Roster{cfg: cfg, known: map[discovery.DeviceID]*entry{}, candidates: map[string]*candidate{}, dialed: map[netip.AddrPort]*attempts{},
		gossiped: map[netip.AddrPort]time.Time{}, doors: newDoors(), forgives: rate.NewLimiter(rate.Every(forgiveEvery), forgivesAll)}
}

// Load reads the devices of earlier runs, all of them offline.
func (r *Roster) Load() error {
	peers, err := r.cfg.Store.Peers()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range peers {
		if p.ID == r.cfg.Self || p.ID.IsZero() {
			continue
		}
		if !p.Manual && r.cfg.Now().Sub(p.LastSeen) > keepFor {
			p.Addresses = nil // the address belongs to another computer by now
		}
		p.State = discovery.Offline
		r.known[p.ID] = &entry{peer: p}
	}
	return nil
}

// Snapshot returns all devices as they are now: the known ones, then the candidates, each by name.
func (r *Roster) Snapshot() []discovery.Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]discovery.Peer, 0, len(r.known)+len(r.candidates))
	invites := r.inviting()
	for _, e := range r.known {
		p := e.peer
		p.Inviting = invites(p.ID)
		p.Addresses = r.addresses(e)
		p.Caps = slices.Clone(p.Caps)
		out = append(out, p)
	}
	for _, c := range r.candidates {
		if c.proven || c.sighting.Name == "" {
			continue
		}
		s := c.sighting
		out = append(out, discovery.Peer{Name: s.Name, Workgroup: s.Workgroup, State: discovery.Candidate,
			Addresses: slices.Clone(s.Addresses), FirstSeen: c.first, LastSeen: s.At, Inviting: s.Slot != ""})
	}
	slices.SortFunc(out, func(a, b discovery.Peer) int {
		if ca, cb := a.State == discovery.Candidate, b.State == discovery.Candidate; ca != cb {
			if cb {
				return -1
			}
			return 1
		}
		if c := strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)); c != 0 {
			return c
		}
		return strings.Compare(a.ID.Hex(), b.ID.Hex())
	})
	return out
}

// Get returns one known device.
func (r *Roster) Get(id discovery.DeviceID) (discovery.Peer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.known[id]
	if e == nil {
		return discovery.Peer{}, ErrUnknown
	}
	p := e.peer
	p.Addresses = r.addresses(e)
	return p, nil
}

// IDs returns the known devices.
func (r *Roster) IDs() []discovery.DeviceID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.known))
}

// Addresses returns where a device may be, best first.
func (r *Roster) Addresses(id discovery.DeviceID) []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.known[id]; e != nil {
		return r.addresses(e)
	}
	return nil
}

// addresses joins proven and said ones: where it was reached of late, where it is said to be, where it once was. A device that
// changes its address again and again must not be looked for at the old ones only. The caller holds mu.
func (r *Roster) addresses(e *entry) []netip.AddrPort {
	late := min(len(e.peer.Addresses), maxAddrs/2)
	return merge(merge(e.peer.Addresses[:late], e.hints), e.peer.Addresses[late:])
}

// SetState notes what became of a device. It reports whether that was a change.
func (r *Roster) SetState(id discovery.DeviceID, s discovery.State) bool {
	r.mu.Lock()
	e := r.known[id]
	if e == nil || e.peer.State == s {
		r.mu.Unlock()
		return false
	}
	if e.peer.State == discovery.Online || s == discovery.Online {
		e.peer.LastSeen = r.cfg.Now()
	}
	e.peer.State = s
	keep := e.peer
	r.mu.Unlock()
	if s != discovery.Suspect {
		r.put(keep) // the time it was last seen
	}
	r.cfg.OnChange()
	return true
}

// Forget drops a device and all that was remembered of it. If it is there it will be met again as a stranger.
func (r *Roster) Forget(id discovery.DeviceID) error {
	r.mu.Lock()
	_, ok := r.known[id]
	delete(r.known, id)
	for _, c := range r.candidates {
		if c.sighting.IDPrefix == prefix(id) || c.id == id {
			c.proven, c.id = false, discovery.DeviceID{}
		}
	}
	r.mu.Unlock()
	if !ok {
		return ErrUnknown
	}
	err := r.cfg.Store.DeletePeer(id)
	r.cfg.OnChange()
	return err
}

// put stores a device; what cannot be stored is still known until the end of this run.
func (r *Roster) put(p discovery.Peer) {
	p.Addresses = p.Addresses[:min(len(p.Addresses), maxKept)]
	if err := r.cfg.Store.PutPeer(p); err != nil {
		r.cfg.Log.Warn("device not stored", "err", err)
	}
}

// prefix is what an announcement shows of an ID.
func prefix(id discovery.DeviceID) string { return strings.ReplaceAll(id.String(), "-", "")[:14] }

// SetSelf says that this device has another ID from now on.
func (r *Roster) SetSelf(id discovery.DeviceID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg.Self = id
	delete(r.known, id)
}
