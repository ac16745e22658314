package workgroup

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
)

// key is the signer of a device.
type key struct{ ed25519.PrivateKey }

func keyOf(name string) key {
	seed := sha256.Sum256([]byte("test device " + name))
	return key{ed25519.NewKeyFromSeed(seed[:])}
}

func (k key) Public() ed25519.PublicKey { return k.PrivateKey.Public().(ed25519.PublicKey) }
func (k key) Sign(msg []byte) []byte    { return ed25519.Sign(k.PrivateKey, msg) }

// stream is randomness that is the same in each run.
type stream struct {
	state [32]byte
	rest  []byte
}

func (s *stream) Read(b []byte) (int, error) {
	for i := range b {
		if len(s.rest) == 0 {
			s.state = sha256.Sum256(s.state[:])
			s.rest = slices.Clone(s.state[:])
		}
		b[i], s.rest = s.rest[0], s.rest[1:]
	}
	return len(b), nil
}

// device is one computer under test, with what its engine would do.
type device struct {
	*Book
	t     testing.TB
	name  string
	key   key
	store *failing
	clock time.Time
	cut   []discovery.DeviceID // whose sessions ended
	asked int                  // Change.Ask
}

// failing is a Store that can refuse.
type failing struct {
	*Memory
	broken bool
}

var errBroken = errors.New("the disk is full")

func (f *failing) PutWorkgroup(k Kept) error {
	if f.broken {
		return errBroken
	}
	return f.Memory.PutWorkgroup(k)
}

// clocks of homes lie: each device has its own year.
func newDevice(t testing.TB, name string) *device {
	d := &device{t: t, name: name, key: keyOf(name), store: &failing{Memory: NewMemory()}}
	d.clock = time.Date(1990+int(name[0])%50, 5, 1, 12, 0, 0, 0, time.UTC)
	d.Book = New(d.config())
	return d
}

func (d *device) config() Config {
	return Config{Self: d.key, Store: d.store, Now: func() time.Time { return d.clock }, Rand: &stream{state: sha256.Sum256([]byte(d.name))}}
}

// restart makes the book anew of its store.
func (d *device) restart() {
	d.t.Helper()
	d.Book = New(d.config())
	no(d.t, d.Load())
}

func (d *device) pub() ledger.Key        { return ledger.KeyOf(d.key.Public()) }
func (d *device) ID() discovery.DeviceID { return d.pub().ID() }

// act does what an engine does with a change, but for pushing.
func (d *device) act(c Change) Change {
	d.cut = append(d.cut, c.Gone...)
	if c.Ask {
		d.asked++
	}
	return c
}

func no(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		no(t, err)
		return v
	}
}

func wants(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// wire is a connection from one device to another, as its client has it; everything goes over in bytes.
type wire struct{ from, to *device }

func (w wire) Compare(_ context.Context, id ID, s Summary) (Summary, error) {
	return overWire(s, func(s Summary) (Summary, error) { return w.to.Compare(id, w.from.ID(), s) })
}

func overWire(s Summary, f func(Summary) (Summary, error)) (Summary, error) {
	b, err := s.Encode()
	if err != nil {
		return s, err
	}
	if s, err = ParseSummary(b); err != nil {
		return s, err
	}
	if s, err = f(s); err != nil {
		return s, err
	}
	if b, err = s.Encode(); err != nil {
		return s, err
	}
	return ParseSummary(b)
}

func (w wire) Give(_ context.Context, id ID, raw [][]byte) ([]ledger.Prefix, error) {
	c, missing, err := w.to.Receive(id, w.from.ID(), raw)
	w.to.act(c)
	return missing, err
}

func (w wire) Take(_ context.Context, id ID, want []ledger.Prefix) ([][]byte, error) {
	return w.to.Fetch(id, w.from.ID(), want)
}

// exporter is the value both ends of a connection have.
func exporter(a, b *device) [32]byte { return sha256.Sum256([]byte(a.name + " to " + b.name)) }

// connect is what happens on a new connection of a to b: hello, what was removed, sync, keys. It returns the workgroups proven on
// both sides and how their syncs ended.
func connect(t *testing.T, a, b *device) (common []ID, errs []error) {
	t.Helper()
	exp := exporter(a, b)
	reply := must(b.Answer(exp, a.ID(), must(a.Prove(exp))(t)))(t)
	for _, n := range reply.Removed {
		c, own, err := a.Told(b.ID(), n)
		no(t, err)
		a.act(c)
		if len(own) > 0 {
			errs = append(errs, a.HandIn(t.Context(), n.Workgroup, b.ID(), wire{a, b}, own))
		}
	}
	common = must(a.Check(exp, reply.Proofs))(t)
	if !slices.Equal(common, reply.Common) {
		t.Errorf("%s sees %v in common, %s %v", a.name, common, b.name, reply.Common)
	}
	for _, id := range common {
		err := a.Sync(t.Context(), id, b.ID(), wire{a, b}, func(c Change) { a.act(c) })
		errs = append(errs, err)
		if err == nil {
			for _, w := range []wire{{a, b}, {b, a}} {
				keys := must(w.to.Keys(id, w.from.ID()))(t)
				w.from.act(must(w.from.LearnKeys(id, w.to.ID(), keys))(t))
			}
		}
	}
	return common, errs
}

// meet is connect, and it must end well for one workgroup.
func meet(t *testing.T, a, b *device, id ID) {
	t.Helper()
	common, errs := connect(t, a, b)
	if !slices.Contains(common, id) || errors.Join(errs...) != nil {
		t.Fatalf("%s and %s: %v %v", a.name, b.name, common, errs)
	}
	if !slices.Contains(a.Synced(b.ID()), id) || !slices.Contains(b.Synced(a.ID()), id) {
		t.Fatalf("%s and %s are not in step", a.name, b.name)
	}
}

// apart ends the connections of two devices.
func apart(a, b *device) {
	a.Disconnected(b.ID())
	b.Disconnected(a.ID())
}

// push hands the entries of a change to others, as to connected members.
func push(t *testing.T, from *device, c Change, to ...*device) {
	t.Helper()
	for _, d := range to {
		got, missing, err := d.Receive(c.Workgroup, from.ID(), c.Push)
		no(t, err)
		d.act(got)
		if len(missing) > 0 {
			t.Errorf("%s lacks %d entries", d.name, len(missing))
		}
	}
}

// found makes a workgroup of a device and lets others in.
func found(t *testing.T, founder *device, others ...*device) ID {
	t.Helper()
	w := must(founder.Create(Founding{Name: "Home", Device: founder.name, PersonName: "Person of " + founder.name}))(t)
	for i, d := range others {
		c := admit(t, founder, d, w.ID, ledger.Member)
		push(t, founder, c, others[:i]...)
	}
	return w.ID
}

func admit(t *testing.T, by, d *device, id ID, role ledger.Role) Change {
	t.Helper()
	w, c, err := by.Admit(id, Admission{Key: d.pub(), Name: d.name, Role: role, Via: ledger.ViaCode})
	no(t, err)
	by.act(c)
	d.act(must(d.Join(by.ID(), w))(t))
	return c
}

// names returns the members of a workgroup as a device sees them, the most senior first, admins with a star.
func names(t *testing.T, d *device, id ID) (out []string) {
	t.Helper()
	for _, m := range must(d.Workgroup(id))(t).Members {
		n := m.Name
		if m.Role == ledger.Admin {
			n += "*"
		}
		out = append(out, n)
	}
	return out
}

func wantNames(t *testing.T, d *device, id ID, want ...string) {
	t.Helper()
	if got := names(t, d, id); !slices.Equal(got, want) {
		t.Errorf("for %s they are %v, want %v", d.name, got, want)
	}
}

func standing(t *testing.T, d *device, id ID) Standing {
	t.Helper()
	return must(d.Workgroup(id))(t).Standing
}

// epoch returns the epoch of the key in use, 0 for none.
func (d *device) epoch(id ID) uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, err := d.find(id)
	if err != nil {
		return 0
	}
	k, _ := g.ring.InUse()
	return k.Epoch
}
