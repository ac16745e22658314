package download

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"porchlight/share"
	"porchlight/transfer"
)

// item is one file to be fetched.
type item struct {
	src     share.Path // at the source
	dir     string     // local names with slashes, below the target folder
	name    string     // local
	size    int64
	mtime   time.Time
	version share.Version
	look    bool // something with that name may be there already

	former string // what has the name it was to have; not kept
}

func (it *item) entry() share.Entry {
	return share.Entry{Path: it.src, Kind: share.File, Size: it.size, MTime: it.mtime, Version: it.version}
}

// renew takes what the source now says about the file.
func (it *item) renew(e share.Entry) {
	it.size, it.mtime, it.version = e.Size, e.MTime, e.Version
}

// encode appends an item to b.
func (it *item) encode(b []byte) []byte {
	flags := byte(0)
	if it.look {
		flags = 1
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(it.size))
	b = binary.AppendVarint(b, it.mtime.UnixNano())
	b = append(b, it.version[:]...)
	for _, s := range [3]string{string(it.src), it.dir, it.name} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// decode reads one item and returns what follows it. Only for what encode wrote in this run of the program.
func (it *item) decode(b []byte) ([]byte, error) {
	if len(b) < 1 {
		return nil, errSpool
	}
	it.look = b[0] == 1
	b = b[1:]
	size, n := binary.Uvarint(b)
	ns, k := binary.Varint(b[max(n, 0):])
	if n <= 0 || k <= 0 || len(b) < n+k+len(it.version) {
		return nil, errSpool
	}
	it.size, it.mtime = int64(size), time.Unix(0, ns)
	b = b[n+k:]
	b = b[copy(it.version[:], b):]
	var text [3]string
	for i := range text {
		l, n := binary.Uvarint(b)
		if n <= 0 || uint64(len(b)-n) < l {
			return nil, errSpool
		}
		text[i] = string(b[n : n+int(l)])
		b = b[n+int(l):]
	}
	it.src, it.dir, it.name = share.Path(text[0]), text[1], text[2]
	return b, nil
}

var errSpool = fmt.Errorf("%w: spool", transfer.ErrBroken)

// spoolChunk is what a spool holds in memory at either end, in bytes: some 2,500 files.
const spoolChunk = 256 << 10

// spool is a queue of items without a bound: what does not fit in memory lies in a scratch file. Safe for concurrent use.
type spool struct {
	make func() (scratch, error) // the scratch file

	mu     sync.Mutex // guards the fields below
	head   []byte     // read from here
	tail   []byte     // written to here
	file   scratch    // between the two
	chunks []int      // lengths of what lies there
	r, w   int64      // offsets in it
	closed bool
	wake   chan struct{} // closed, and replaced, when there is something new
}

// scratch is what lies on the disk of a spool.
type scratch interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

func newSpool(file func() (scratch, error)) *spool {
	return &spool{make: file, wake: make(chan struct{})}
}

// push adds an item at the end.
func (s *spool) push(it *item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail = it.encode(s.tail)
	if len(s.tail) >= spoolChunk {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.rouse()
	return nil
}

// spill writes the tail to the file; the caller holds the lock.
func (s *spool) spill() error {
	if s.file == nil {
		f, err := s.make()
		if err != nil {
			return err
		}
		s.file = f
	}
	if _, err := s.file.WriteAt(s.tail, s.w); err != nil {
		return err
	}
	s.chunks = append(s.chunks, len(s.tail))
	s.w += int64(len(s.tail))
	s.tail = s.tail[:0]
	return nil
}

func (s *spool) rouse() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// take returns the next item. Where there is none now, ok is false, and more tells whether there will be: then wake is closed when to ask again.
func (s *spool) take(it *item) (ok, more bool, wake <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.head) == 0 {
		if err := s.refill(); err != nil {
			return false, false, nil, err
		}
	}
	if len(s.head) == 0 {
		return false, !s.closed, s.wake, nil
	}
	s.head, err = it.decode(s.head)
	return err == nil, true, nil, err
}

// refill brings the next chunk to the head; the caller holds the lock.
func (s *spool) refill() error {
	if len(s.chunks) == 0 {
		s.head, s.tail = s.tail, s.head[:0]
		return nil
	}
	n := s.chunks[0]
	s.chunks = s.chunks[1:]
	s.head = make([]byte, n)
	if _, err := s.file.ReadAt(s.head, s.r); err != nil {
		return fmt.Errorf("read spool: %w", err)
	}
	s.r += int64(n)
	return nil
}

// close says that nothing more comes.
func (s *spool) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.rouse()
	}
}

// discard closes the scratch file.
func (s *spool) discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
	}
}
