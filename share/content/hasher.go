package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
)

// maxWorkers bounds the memory of one Build to 16 pieces.
const maxWorkers = 16

// Build hashes size bytes of r with up to workers goroutines (one for each core if workers < 1) and returns when all have ended.
// A file shorter than size is io.ErrUnexpectedEOF; that a file changed meanwhile is for the caller to notice (safefs.File.Check).
func Build(ctx context.Context, r io.ReaderAt, size int64, workers int) (Layer, error) {
	if size < 0 {
		return Layer{}, fmt.Errorf("%w: negative size", ErrLayer)
	}
	if err := ctx.Err(); err != nil {
		return Layer{}, err
	}
	l := Layer{Size: size}
	if size <= PieceSize {
		buf := make([]byte, size)
		if err := readFull(r, buf, 0); err != nil {
			return Layer{}, err
		}
		l.Root = Sum(buf)
		return l, nil
	}
	l.Pieces = make([]Hash, PieceCount(size))
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	if err := buildPieces(ctx, r, l, min(workers, maxWorkers, len(l.Pieces))); err != nil {
		return Layer{}, err
	}
	l.Root = RootOf(l.Pieces)
	return l, nil
}

// buildPieces fills l.Pieces. The workers take the next piece in turn, so the disk sees a nearly sequential read.
func buildPieces(ctx context.Context, r io.ReaderAt, l Layer, workers int) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards the fields below
		next int
		fail error
	)
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		if fail == nil {
			fail = ctx.Err()
		}
		if fail != nil || next == len(l.Pieces) {
			return -1
		}
		next++
		return next - 1
	}
	for range workers {
		wg.Go(func() {
			buf := make([]byte, PieceSize)
			for i := take(); i >= 0; i = take() {
				p := buf[:PieceLen(l.Size, i)]
				if err := readFull(r, p, int64(i)*PieceSize); err != nil {
					mu.Lock()
					fail = errors.Join(fail, err)
					mu.Unlock()
					return
				}
				l.Pieces[i] = PieceCV(p, int64(i))
			}
		})
	}
	wg.Wait()
	return fail
}

// readFull fills p from offset off; the end of the file just behind p is no error.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("hash at %d: %w", off+int64(n), err)
}

// Hasher makes a layer from bytes that arrive in order, holding at most one piece. The zero value is ready. For one goroutine.
type Hasher struct {
	buf    []byte // bytes of the piece that is not hashed yet
	pieces []Hash
	size   int64
}

// Write takes the next bytes. It never fails.
func (h *Hasher) Write(p []byte) (int, error) {
	n := len(p)
	h.size += int64(n)
	for len(p) > 0 {
		// A full piece is hashed only once more bytes follow: the single piece of a small file is hashed in another way.
		if len(h.buf) == PieceSize {
			h.pieces = append(h.pieces, PieceCV(h.buf, int64(len(h.pieces))))
			h.buf = h.buf[:0]
		}
		if len(h.buf) == 0 && len(p) > PieceSize {
			h.pieces = append(h.pieces, PieceCV(p[:PieceSize], int64(len(h.pieces))))
			p = p[PieceSize:]
			continue
		}
		k := min(PieceSize-len(h.buf), len(p))
		h.buf = append(h.buf, p[:k]...)
		p = p[k:]
	}
	return n, nil
}

// Layer returns the layer of everything written so far; more may be written afterwards.
func (h *Hasher) Layer() Layer {
	l := Layer{Size: h.size}
	if h.size <= PieceSize {
		l.Root = Sum(h.buf)
		return l
	}
	l.Pieces = append(make([]Hash, 0, len(h.pieces)+1), h.pieces...)
	l.Pieces = append(l.Pieces, PieceCV(h.buf, int64(len(h.pieces))))
	l.Root = RootOf(l.Pieces)
	return l
}

// Size is the number of bytes written so far.
func (h *Hasher) Size() int64 { return h.size }

// Reset makes the hasher as new, keeping its buffer.
func (h *Hasher) Reset() { *h = Hasher{buf: h.buf[:0]} }

// ErrMissing says that parts of a file were not gathered yet.
var ErrMissing = errors.New("parts are missing")

// Gather makes a layer from parts that arrive in any order, hashed by whoever brings them: the way of a receiver that was given no layer beforehand.
// Safe for concurrent use; Put hashes outside the lock, so as many cores work as there are callers.
type Gather struct {
	size int64

	mu     sync.Mutex // guards the fields below
	pieces []Hash
	have   []bool
	left   int
}

// NewGather starts gathering a file of size bytes. The caller bounds size: the layer is allocated at once, 33 bytes for each MiB.
func NewGather(size int64) (*Gather, error) {
	if size < 0 || (size-1)/PieceSize >= math.MaxInt32 {
		return nil, fmt.Errorf("%w: size %d", ErrLayer, size)
	}
	n := Parts(size)
	return &Gather{size: size, pieces: make([]Hash, n), have: make([]bool, n), left: n}, nil
}

// Put hashes part i, which must be given in full, and returns its hash: the chaining value, or the root of a file of one part.
// A part may be put again; the last one counts.
func (g *Gather) Put(i int, p []byte) (Hash, error) {
	if want := PieceLen(g.size, i); want < 0 || want != len(p) {
		return Hash{}, fmt.Errorf("%w: part %d of %d bytes", ErrLayer, i, len(p))
	}
	var h Hash
	if g.size <= PieceSize {
		h = Sum(p)
	} else {
		h = PieceCV(p, int64(i))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.have[i] {
		g.have[i] = true
		g.left--
	}
	g.pieces[i] = h
	return h, nil
}

// Layer returns the layer once every part was put, and ErrMissing before.
func (g *Gather) Layer() (Layer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left > 0 {
		return Layer{}, fmt.Errorf("%w: %d", ErrMissing, g.left)
	}
	l := Layer{Size: g.size}
	if g.size <= PieceSize {
		l.Root = g.pieces[0]
		return l, nil
	}
	l.Pieces = append([]Hash(nil), g.pieces...)
	l.Root = RootOf(l.Pieces)
	return l, nil
}
