// Package membership does what the book of private workgroups says: it keeps ledgers equal with the neighbours, ends what a removed
// device may not go on with, and lets people meet by digits, pictures and recovery codes.
//
// The book (discovery/workgroup) decides, and knows no network; this package carries between it and the neighbours, and knows no
// screens. It has three faces: Membership for the engine that runs it, Surface for people, Door for what neighbours ask.
//
//	hello ──► Prove, Greeted, Door.Answer ──► which workgroups are proven on which side
//	stream up ──► Up ──► one goroutine for each neighbour: entries that wait for it, then Sync, keys, offers; again after a failure
//	Change ──► follow ──► cut who is out, pass entries on, announce anew, ask for keys
//
// Nothing is decided by what happened on a connection before: who belongs is asked of the book each time.
package membership

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// Session is the other end of one connection, which the connection proved.
type Session struct {
	Device   discovery.DeviceID
	Key      ledger.Key
	Exporter [32]byte // of this connection and no other
	From     netip.Addr
	Gone     <-chan struct{} // closed with the connection
}

// Neighbour is what can be asked of a device with which a stream is kept.
type Neighbour interface {
	workgroup.Remote
	// Keys is workgroup.Book.Keys over there.
	Keys(context.Context, workgroup.ID) ([]byte, error)
	// Offer is workgroup.Book.Offered over there.
	Offer(context.Context, workgroup.Welcome) error
}

// Meeting is one connection to a device that need not be known, for all of one exchange: what it proves holds on that connection.
// A device that refuses says transfer.ErrGone, one that is not there any more transfer.ErrAway.
type Meeting interface {
	Joining
	Comparing
	// Recover shows a proof to have a recovery code; ErrGone if the device knows no workgroup of it.
	Recover(ctx context.Context, proof []byte) (workgroup.Welcome, error)
	Close() error
}

// Joining is the part of a Meeting for codes.
type Joining interface {
	Join(context.Context, []byte) ([]byte, error)
	JoinConfirm(context.Context, []byte) ([]byte, error)
	// JoinResult waits for a person; beat is called as long as the other side lives.
	JoinResult(ctx context.Context, beat func()) (workgroup.Welcome, error)
}

// Comparing is the part of a Meeting for pictures.
type Comparing interface {
	Begin(context.Context, []byte) ([]byte, error)
	Reveal(context.Context, []byte) ([]byte, error)
	// Confirm says what the person here said, and waits for the one there. ErrDifferent if that one said no. The welcome is nil if
	// the comparison was not for joining.
	Confirm(ctx context.Context, same bool, beat func()) (*workgroup.Welcome, error)
}

// Network is where the neighbours are. Its methods return at once, but for Meet.
type Network interface {
	// Meet connects anew: to a known device, wherever it is, or, if that is zero, to whoever is at an address. ctx is for
	// connecting; the meeting lasts until Close.
	Meet(ctx context.Context, device discovery.DeviceID, at netip.AddrPort) (Meeting, Session, error)
	// Renew makes every connection to a device anew, so that the hello on it proves what is in the book now.
	Renew(device discovery.DeviceID)
	// Keep makes a neighbour of a device that was met at an address.
	Keep(device discovery.DeviceID, at netip.AddrPort)
	// Cut ends everything that devices are doing here. They may connect anew.
	Cut(which func(discovery.DeviceID) bool)
	// Inviters returns where invitations with this slot are announced.
	Inviters(slot int) []netip.AddrPort
	// Around returns who may be here, those that certainly are first.
	Around() []Spot
}

// Spot is where somebody is: a device, or if that is zero, whoever has the address.
type Spot struct {
	Device discovery.DeviceID
	At     netip.AddrPort
}

// Config says what a Membership works with. Self and Network are needed.
type Config struct {
	Self      ledger.Signer
	Store     workgroup.Store // in memory only if nil
	Network   Network
	Name      func() string                        // of this device, as it calls itself; its short ID if nil, or not a name
	Addresses func() []netip.AddrPort              // where it is reached; nowhere if nil
	OnChange  func()                               // something that people see has changed
	Announce  func()                               // what is announced has changed, the tags or the slot of an invitation, or who is a member
	Refresh   func()                               // ask the network who is there
	Verified  func(discovery.DeviceID, ledger.Via) // a key was proven, and how
	Doubted   func(discovery.DeviceID)             // a device is out of the last common workgroup: that it was verified counts no more
	Called    func(discovery.DeviceID) string      // what a neighbour calls itself; nothing if nil
	Blocked   func(device discovery.DeviceID) bool // who is not met at all; nobody if nil
	Log       *slog.Logger
	Now       func() time.Time // time.Now if nil
	Rand      io.Reader        // crypto/rand.Reader if nil
}

// Membership keeps this device's private workgroups in step with the neighbours. Safe for concurrent use.
type Membership struct {
	cfg  Config
	who  atomic.Pointer[owner]
	desk pairing.Desk
	gate pairing.Gate
	wake chan struct{} // holds one: a deadline may have changed

	mu          sync.Mutex // guards the fields below; no hook is called under it, the book may be
	ctx         context.Context
	wg          *sync.WaitGroup
	ties        map[discovery.DeviceID]*tie
	known       map[discovery.DeviceID]*known
	asking      map[workgroup.ID]bool    // keys are being asked for
	invitations []*invitation            // the oldest first
	runs        map[[32]byte]*run        // by the exporter of the connection
	pending     map[[32]byte]*comparison // likewise: nothing is shown yet
	comparisons []*comparison            // the oldest first
	rescues     map[ledger.RecoveryCode]rescue
}

// New makes one; Load fills it. Nothing is started.
func New(cfg Config) *Membership {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	for _, f := range []*func(){&cfg.OnChange, &cfg.Announce, &cfg.Refresh} {
		if *f == nil {
			*f = func() {}
		}
	}
	if cfg.Addresses == nil {
		cfg.Addresses = func() []netip.AddrPort { return nil }
	}
	if cfg.Verified == nil {
		cfg.Verified = func(discovery.DeviceID, ledger.Via) {}
	}
	if cfg.Doubted == nil {
		cfg.Doubted = func(discovery.DeviceID) {}
	}
	if cfg.Called == nil {
		cfg.Called = func(discovery.DeviceID) string { return "" }
	}
	m := &Membership{cfg: cfg, wake: make(chan struct{}, 1), ties: map[discovery.DeviceID]*tie{}, known: map[discovery.DeviceID]*known{},
		asking: map[workgroup.ID]bool{}, runs: map[[32]byte]*run{}, pending: map[[32]byte]*comparison{}, rescues: map[ledger.RecoveryCode]rescue{}}
	m.who.Store(m.owner(cfg.Self))
	return m
}

// owner is the device whose memberships these are, and its book.
type owner struct {
	id   discovery.DeviceID
	book *workgroup.Book
}

func (m *Membership) owner(self ledger.Signer) *owner {
	return &owner{ledger.KeyOf(self.Public()).ID(),
		workgroup.New(workgroup.Config{Self: self, Store: m.cfg.Store, Log: m.cfg.Log, Now: m.cfg.Now, Rand: m.cfg.Rand})}
}

func (m *Membership) book() *workgroup.Book { return m.who.Load().book }

func (m *Membership) self() discovery.DeviceID { return m.who.Load().id }

// Become says that this computer is another device from now on, which nobody has let in anywhere: it is out of every workgroup, and
// knows them still. All connections are to be made anew.
func (m *Membership) Become(self ledger.Signer) error {
	next := m.owner(self)
	err := next.book.Load()
	m.who.Store(next)
	now := m.cfg.Now()
	m.mu.Lock()
	for _, i := range m.invitations {
		switch i.state {
		case discovery.InviteOpen:
			i.invite.Close()
			i.end(discovery.InviteEnded, now)
		case discovery.InviteAsking:
			i.guest.refuse(pairing.ErrOver)
			i.end(discovery.InviteEnded, now)
		}
	}
	clear(m.known)
	m.mu.Unlock()
	m.cfg.Announce()
	m.stir()
	return err
}

// Load reads the book from the store, once, before anything else. With an error those workgroups are there that could be read.
func (m *Membership) Load() error { return m.book().Load() }

// Run works until ctx ends, and has joined everything when it returns.
func (m *Membership) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	m.mu.Lock()
	m.ctx, m.wg = ctx, &wg
	for _, t := range m.ties { // those that came before
		m.begin(t)
	}
	m.mu.Unlock()
	defer m.rest()
	m.clock(ctx)
	return nil
}

// rest has nothing start any more.
func (m *Membership) rest() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ctx = nil
	clear(m.ties)
}

// spawn runs f until Run ends; false when it has ended, or did not begin.
func (m *Membership) spawn(f func(context.Context)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spawnLocked(f)
}

func (m *Membership) spawnLocked(f func(context.Context)) bool {
	if m.ctx == nil || m.ctx.Err() != nil {
		return false
	}
	ctx := m.ctx
	m.wg.Go(func() { f(ctx) })
	return true
}

// clock notices that invitations and comparisons end by themselves.
func (m *Membership) clock(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-m.wake:
		}
		next, slot, changed := m.expire()
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(next.Sub(m.cfg.Now()), 10*time.Millisecond))
		}
		if slot {
			m.cfg.Announce()
		}
		if changed {
			m.cfg.OnChange()
		}
	}
}

// stir has clock look at the deadlines, and tells people that something has changed.
func (m *Membership) stir() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
	m.cfg.OnChange()
}

// token makes a name for something of this process.
func (m *Membership) token() (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(m.cfg.Rand, b[:]); err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}
