//go:build linux && lab

package labtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// node is a device that bad things happen to.
type node struct {
	*Device
	steady bool // its process is left alone
	self   discovery.Self
	stocks []*stock
	shares []share.Share // of the stocks, in their order
	pid    atomic.Int64  // 0 while nothing runs
	life   atomic.Int64  // how often it was started

	cable  sync.Mutex // held while something is done to its cable or addresses
	number int        // the last one of its addresses

	mu     sync.Mutex // guards the fields below
	pulls  map[transfer.JobID]request
	client *control.Client
}

// request is a pull that was accepted.
type request struct {
	from     *node
	stock    *stock
	into     string
	file     string // the one file that was asked for
	canceled bool
}

// storm is everything that happens.
type storm struct {
	t     *testing.T
	seed  uint64
	nodes []*node
	plain *Host         // a computer without the program
	lull  time.Duration // between two deeds of anybody, besides
	fixed bool          // addresses stay
	rests map[*node][]reading
	dice  uint64 // numbers the sources of chance, so that each throws the same whatever the others do

	mu     sync.Mutex // guards the fields below
	counts map[string]int
	seen   map[sight]bool // copies that were judged
	judged int
	wrong  int // of them
}

// sight is a copy as it was judged: what has a name never changes.
type sight struct {
	path  string
	inode uint64
	size  int64
	time  int64
}

func (s *storm) chance() *rand.Rand {
	s.dice++
	return rand.New(rand.NewPCG(s.seed, s.dice))
}

func (s *storm) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

// between returns a time from a to b.
func between(dice *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(dice.Int64N(int64(b-a)+1))
}

// pass waits, less long if ctx ends.
func pass(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// call asks the engine of a node through its socket, which can be reached from anywhere on this machine.
func (n *node) call(f func(context.Context, *control.Client) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second) // it may be stopped
	defer cancel()
	n.mu.Lock()
	c := n.client
	n.mu.Unlock()
	if c == nil {
		paths, err := filepath.Glob(n.Path("run", "porchlight", "*.sock"))
		if err != nil || len(paths) != 1 {
			return fmt.Errorf("%w: sockets of %s: %v, %v", control.ErrNoEngine, n.Name, paths, err)
		}
		if c, err = control.Dial(ctx, paths[0]); err != nil {
			return err
		}
		n.mu.Lock()
		n.client = c
		n.mu.Unlock()
	}
	err := f(ctx, c)
	if errors.Is(err, control.ErrNoEngine) || ctx.Err() != nil {
		n.hangUp()
	}
	return err
}

// hangUp gives up the connections to the engine.
func (n *node) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client != nil {
		_ = n.client.Close()
	}
	n.client = nil
}

func (n *node) jobs() (all []transfer.Job, err error) {
	err = n.call(func(ctx context.Context, c *control.Client) error {
		all, err = c.Jobs(ctx)
		return err
	})
	return all, err
}

// sees reports whether n has all others online.
func (n *node) sees(nodes []*node) bool {
	online := 0
	err := n.call(func(ctx context.Context, c *control.Client) error {
		peers, err := c.Peers(ctx)
		for _, p := range peers {
			if p.State == discovery.Online && slices.ContainsFunc(nodes, func(o *node) bool { return o.self.ID == p.ID }) {
				online++
			}
		}
		return err
	})
	return err == nil && online == len(nodes)-1
}

// start begins to serve.
func (n *node) start() error {
	if _, err := n.Serve(); err != nil {
		return err
	}
	n.life.Add(1)
	n.pid.Store(int64(n.cmd.Process.Pid))
	return nil
}

// renumber gives a node other addresses, whatever it had.
func (n *node) renumber(to int) {
	n.cable.Lock()
	defer n.cable.Unlock()
	was := n.index
	n.index = n.number
	for _, a := range n.addresses(0) {
		must(n.Host.t, "ip", "-n", n.ns, "addr", "del", a, "dev", iface(0))
	}
	n.index = to
	for _, a := range n.addresses(0) {
		must(n.Host.t, "ip", "-n", n.ns, "addr", "add", a, "dev", iface(0))
	}
	n.index, n.number = was, to
}

// blow lets all of it happen for a time; afterwards every cable is in, every process runs, and nothing changes any more.
func (s *storm) blow(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var hands sync.WaitGroup
	hand := func(f func(context.Context, *rand.Rand)) {
		dice := s.chance()
		hands.Go(func() { f(ctx, dice) })
	}
	for range 2 { // so that two links are down at once now and then
		hand(s.cables)
	}
	if !s.fixed {
		hand(s.addresses)
	}
	for _, n := range s.nodes {
		if !n.steady {
			hand(func(ctx context.Context, dice *rand.Rand) { s.process(ctx, dice, n) })
		}
		for _, st := range n.stocks {
			hand(func(ctx context.Context, dice *rand.Rand) { s.change(ctx, dice, st) })
		}
		for _, from := range s.nodes {
			if from != n {
				hand(func(ctx context.Context, dice *rand.Rand) { s.pull(ctx, dice, n, from) })
			}
		}
	}
	hand(func(ctx context.Context, _ *rand.Rand) {
		for ctx.Err() == nil {
			s.judgeAll()
			pass(ctx, time.Second)
		}
	})
	hands.Wait()
}

// cables pulls a cable out, near the host or further away, and puts it back.
func (s *storm) cables(ctx context.Context, dice *rand.Rand) {
	for ctx.Err() == nil {
		n := s.nodes[dice.IntN(len(s.nodes))]
		out, wait, far := between(dice, 200*time.Millisecond, 3*time.Second), between(dice, 2*time.Second, 15*time.Second), dice.IntN(3) == 0
		if dice.IntN(3) == 0 {
			out = between(dice, 3*time.Second, 30*time.Second)
		}
		if n.cable.TryLock() { // the other hand may have it
			if far {
				n.Isolate()
			} else {
				n.Unplug()
			}
			pass(ctx, out)
			if far {
				n.Rejoin()
			} else {
				n.Plug()
			}
			n.cable.Unlock()
			s.count("cables pulled")
		}
		pass(ctx, wait+10*s.lull)
	}
}

// addresses gives hosts other addresses.
func (s *storm) addresses(ctx context.Context, dice *rand.Rand) {
	for next := 100; ctx.Err() == nil; next++ {
		pass(ctx, between(dice, 20*time.Second, 60*time.Second))
		if ctx.Err() == nil {
			s.nodes[dice.IntN(len(s.nodes))].renumber(100 + next%100)
			s.count("addresses changed")
		}
	}
}

// process kills, stops and quits, and sets right what it did.
func (s *storm) process(ctx context.Context, dice *rand.Rand, n *node) {
	for {
		wait, which, down := between(dice, 5*time.Second, 40*time.Second), dice.IntN(3), between(dice, 0, 5*time.Second)
		stop := between(dice, time.Second, 20*time.Second)
		pass(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		switch which {
		case 0:
			n.pid.Store(0)
			n.Kill()
			n.hangUp()
			s.count("killed")
		case 1:
			n.Signal(s.t, syscall.SIGSTOP)
			pass(ctx, stop)
			n.Signal(s.t, syscall.SIGCONT)
			s.count("stopped")
			continue
		case 2:
			n.pid.Store(0)
			n.Quit(s.t)
			n.hangUp()
			s.count("quit")
		}
		pass(ctx, down)
		if err := n.start(); err != nil {
			s.t.Error(err)
			return
		}
	}
}

// change writes on a stock.
func (s *storm) change(ctx context.Context, dice *rand.Rand, st *stock) {
	large := filepath.Base(st.dir) == "large"
	for ctx.Err() == nil {
		wait := between(dice, 100*time.Millisecond, 2*time.Second)
		if large {
			wait = between(dice, 5*time.Second, 30*time.Second)
		}
		pass(ctx, wait)
		if err := changeOne(dice, st, large); err != nil {
			s.t.Errorf("change a file of %s: %v", st.dir, err)
			return
		}
	}
}

// changeOne does one thing to one file. The number of files and their sizes stay within bounds.
func changeOne(dice *rand.Rand, st *stock, large bool) error {
	names := st.names()
	name := names[dice.IntN(len(names))]
	size, most := st.size(name), kinds[filepath.Base(st.dir)]
	n := blocks(size)
	switch dice.IntN(8) {
	case 0:
		return st.create(name, most.size(dice))
	case 1, 2:
		return st.replace(name, most.size(dice))
	case 3, 4:
		if size < most.most {
			return st.extend(name, fit(size+1+dice.Int64N(100*kib))-size)
		}
		return st.replace(name, most.size(dice))
	case 5, 6:
		from := dice.IntN(n)
		return st.rewrite(name, from, min(n, from+1+dice.IntN(8)))
	}
	if large {
		now := time.Now()
		return os.Chtimes(filepath.Join(st.dir, name), now, now)
	}
	if len(names) > most.files/2 && dice.IntN(2) == 0 {
		return st.remove(name)
	}
	if len(names) < 2*most.files {
		return st.replace(filepath.Join(filepath.Dir(name), fmt.Sprintf("new-%d.bin", dice.IntN(1e6))), most.size(dice))
	}
	return st.remove(name)
}

// kind is a kind of stock.
type kind struct {
	files, folders int
	least, most    int64
}

var kinds = map[string]kind{
	"small": {400, 8, 0, 40 * kib},
	"mid":   {24, 3, 200 * kib, 5 * mib},
	"large": {2, 1, 64 * mib, 256 * mib},
}

func (k kind) size(dice *rand.Rand) int64 { return fit(k.least + dice.Int64N(k.most-k.least)) }

// furnish makes stocks of some kinds for a node and shares them.
func (s *storm) furnish(n *node, names ...string) {
	dice := s.chance()
	if err := os.MkdirAll(n.Path("tmp"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range names {
		k, st := kinds[name], newStock(n.Path("own", name), n.Path("tmp"))
		for i := range k.files {
			if err := st.create(filepath.Join(fmt.Sprint(i%k.folders), fmt.Sprintf("file-%d.bin", i)), k.size(dice)); err != nil {
				s.t.Fatal(err)
			}
		}
		clear(st.moves)
		n.stocks = append(n.stocks, st)
		err := n.call(func(ctx context.Context, c *control.Client) error {
			sh, err := c.AddShare(ctx, st.dir, name)
			n.shares = append(n.shares, sh)
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}
