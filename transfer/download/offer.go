package download

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/server"
	"porchlight/transfer/wire"
)

var _ server.Holdings = (*Manager)(nil)

// offers is what this device gives on of contents that it pulls or has pulled. Safe for concurrent use.
type offers struct {
	mu     sync.Mutex // guards the field below
	byRoot map[content.Hash]*offer
}

// offer is one content: first the verified pieces of a file under way, then the file under its name. Safe for concurrent use.
type offer struct {
	root   content.Hash
	origin discovery.DeviceID
	size   int64
	job    transfer.JobID
	all    *offers

	disk sync.RWMutex // held for reading while a piece is read: a file is not moved under a reader
	part io.ReaderAt  // guarded by disk; nil once it is whole

	mu    sync.Mutex // guards the fields below
	bits  []byte
	count int
	more  chan struct{} // closed when there are more pieces; nil while nobody waits
	peers func() []discovery.DeviceID
	final *finished
	moved chan struct{} // closed when final is set, or the offer ends
	over  bool
	asked time.Time

	stated wire.Manifest // the newest
	ahead  time.Duration // by which its origin's clock is ahead
}

// finished is a file that has its name.
type finished struct {
	tree    *safefs.Tree
	path    share.Path
	version share.Version
}

// namingTime is how long a reader waits for a whole file to get its name.
const namingTime = 5 * time.Second

// Holding returns content of another device that this one may give on to whoever has a ticket for it (server.Holdings).
func (m *Manager) Holding(root content.Hash) (server.Holding, bool) {
	o := m.offers.get(root, time.Now())
	if o == nil {
		return nil, false
	}
	if o.lost() {
		o.end() // or it would be asked for pieces again and again
		return nil, false
	}
	return o, true
}

func (s *offers) get(root content.Hash, now time.Time) *offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	o := s.byRoot[root]
	if o != nil {
		o.mu.Lock()
		o.asked = now
		o.mu.Unlock()
	}
	return o
}

// expire lets go of files that nobody asked for lately, and of the one asked for longest ago if there are too many. The caller holds mu.
func (s *offers) expire(now time.Time) {
	var oldest *offer
	var at time.Time
	for _, o := range s.byRoot {
		o.mu.Lock()
		done, asked := o.final != nil, o.asked
		o.mu.Unlock()
		switch {
		case done && now.Sub(asked) > wire.OfferTime:
			delete(s.byRoot, o.root)
			o.close()
		case done && (oldest == nil || asked.Before(at)):
			oldest, at = o, asked
		}
	}
	if len(s.byRoot) > wire.MaxOffers && oldest != nil {
		delete(s.byRoot, oldest.root)
		oldest.close()
	}
}

// add begins to offer a content; nil if it is offered already.
func (s *offers) add(o *offer) *offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byRoot[o.root]; old != nil {
		old.mu.Lock()
		done := old.final != nil
		old.mu.Unlock()
		if !done {
			return nil
		}
		old.close()
	}
	o.all, o.asked = s, time.Now()
	s.byRoot[o.root] = o
	s.expire(o.asked)
	return o
}

// endJob ends what a job offers.
func (s *offers) endJob(id transfer.JobID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for root, o := range s.byRoot {
		if o.job == id {
			delete(s.byRoot, root)
			o.close()
		}
	}
}

// endAll ends everything.
func (s *offers) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.byRoot {
		o.close()
	}
	clear(s.byRoot)
}

// offer begins to give the file on, and the pieces that are there at once. The caller holds s.mu.
func (s *swarmed) offer() {
	m := s.memo
	if m.manifest.Body == nil || s.b.offer != nil || s.b.file == nil {
		return
	}
	n := content.Parts(s.b.size)
	o := &offer{root: m.layer.Root, origin: s.p.job.Request.Source, size: s.b.size, job: s.p.job.ID, part: s.b.file,
		bits: make([]byte, (n+7)/8), moved: make(chan struct{}), peers: s.peers, stated: m.stated, ahead: m.ahead}
	for i := range n {
		if s.plan.Has(i) {
			o.bits[i>>3] |= 0x80 >> (i & 7)
			o.count++
		}
	}
	s.b.offer = s.p.offers.add(o)
}

// offered adds a verified piece; the caller holds s.mu.
func (s *swarmed) offered(i int) {
	if s.b.offer != nil {
		s.b.offer.has(i)
	}
}

func (o *offer) has(i int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bits[i>>3]&(0x80>>(i&7)) == 0 {
		o.bits[i>>3] |= 0x80 >> (i & 7)
		o.count++
		if o.more != nil {
			close(o.more)
			o.more = nil
		}
	}
}

// Origin is the owner of the content.
func (o *offer) Origin() discovery.DeviceID { return o.origin }

// Size is its size in bytes.
func (o *offer) Size() int64 { return o.size }

// Stated is what the owner said of the content last, and what its clock shows at now.
func (o *offer) Stated(now time.Time) (wire.Manifest, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stated, now.Add(o.ahead)
}

// restate notes what the owner said last.
func (o *offer) restate(m *memo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stated, o.ahead = m.stated, m.ahead
}

// Have returns how many pieces are there, which, and what is closed when there are more.
func (o *offer) Have() (int, []byte, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return o.count, slices.Clone(o.bits), o.more
}

// Peers are other devices known to have some of it.
func (o *offer) Peers() []discovery.DeviceID {
	o.mu.Lock()
	peers := o.peers
	o.mu.Unlock()
	if peers == nil {
		return nil
	}
	return peers()
}

// ReadAt reads of pieces that are there.
func (o *offer) ReadAt(p []byte, off int64) (int, error) {
	o.disk.RLock()
	if o.part != nil {
		defer o.disk.RUnlock()
		return o.part.ReadAt(p, off)
	}
	o.disk.RUnlock()
	wait := time.NewTimer(namingTime)
	defer wait.Stop()
	select {
	case <-o.moved:
	case <-wait.C:
	}
	o.mu.Lock()
	f, over := o.final, o.over
	o.mu.Unlock()
	if over || f == nil {
		return 0, transfer.ErrGone
	}
	n, err := f.readAt(p, off)
	if errors.Is(err, transfer.ErrGone) {
		o.end()
	}
	return n, err
}

// lost reports whether the file had its name and is not there any more, or is another one.
func (o *offer) lost() bool {
	o.mu.Lock()
	f := o.final
	o.mu.Unlock()
	if f == nil {
		return false
	}
	e, err := f.tree.Stat(f.path)
	return err != nil || e.Version != f.version
}

// readAt reads of a file that has its name, if it is still the one that got it.
func (f *finished) readAt(p []byte, off int64) (int, error) {
	h, err := f.tree.Open(f.path)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", transfer.ErrGone, err)
	}
	defer h.Close()
	if h.Entry().Version != f.version {
		return 0, fmt.Errorf("%w: the file is another one now", transfer.ErrGone)
	}
	n, err := h.ReadAt(p, off)
	if cerr := h.Check(); cerr != nil {
		return 0, fmt.Errorf("%w: %w", transfer.ErrGone, cerr)
	}
	return n, err
}

// whole says that the part file is about to be closed and renamed; readers wait until it has its name.
func (o *offer) whole() {
	o.disk.Lock()
	defer o.disk.Unlock()
	o.part = nil
	o.mu.Lock()
	o.peers = nil
	o.mu.Unlock()
}

// named says where the file is now.
func (o *offer) named(dir string, path share.Path, v share.Version) {
	tree, err := safefs.OpenTree(dir)
	if err != nil {
		o.end()
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		tree.Close()
		return
	}
	o.final = &finished{tree: tree, path: path, version: v}
	close(o.moved)
}

// end takes the content off the list.
func (o *offer) end() {
	o.all.mu.Lock()
	if o.all.byRoot[o.root] == o {
		delete(o.all.byRoot, o.root)
	}
	o.all.mu.Unlock()
	o.close()
}

// close lets go of the file.
func (o *offer) close() {
	o.whole()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return
	}
	o.over = true
	if o.final != nil {
		o.final.tree.Close()
	} else {
		close(o.moved)
	}
}
