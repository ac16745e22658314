package content

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"lukechampine.com/blake3"
)

// noise returns n bytes that are the same in every run.
func noise(n int) []byte {
	p := make([]byte, n)
	c := rand.NewChaCha8([32]byte{1})
	_, _ = c.Read(p)
	return p
}

// sizes holds the edges of chunks, vector widths and pieces, and some in between.
func sizes() []int {
	all := []int{0, 1, 2, 63, 64, 65, 5*PieceSize + 17}
	for _, n := range []int{1 << 10, 2 << 10, 3 << 10, 8 << 10, 16 << 10, 17 << 10, 32 << 10, 64 << 10, 100 << 10, 1 << 19, PieceSize, PieceSize + 1<<10, PieceSize + 16<<10, 3 << 19,
		2 * PieceSize, 3 * PieceSize, 4 * PieceSize, 7 * PieceSize, 8 * PieceSize, 9 * PieceSize} {
		all = append(all, n-1, n, n+1)
	}
	return all
}

// A piece that is hashed while it arrives, in steps of any size, is the piece hashed at once; so is the next one.
func TestGrowing(t *testing.T) {
	data := noise(2 * PieceSize)
	var g Growing
	for _, step := range []int{1, 1000, blockSize - 1, blockSize, blockSize + 1, 100_000, PieceSize} {
		for i := range int64(2) {
			for _, n := range []int{PieceSize, PieceSize - 1, blockSize, 1} {
				p := data[i*PieceSize:][:n]
				for k := step; k < n && step > 1; k += step {
					g.Grown(p[:k], i)
				}
				if got, want := g.CV(p, i), PieceCV(p, i); got != want {
					t.Fatalf("%d bytes of piece %d in steps of %d: %x, want %x", n, i, step, got, want)
				}
			}
			g.Grown(data[:PieceSize/2], i+1)
			g.Forget()
		}
	}
}

func TestAgainstBLAKE3(t *testing.T) {
	data := noise(10 * PieceSize)
	for _, n := range sizes() {
		p := data[:n]
		want := Hash(blake3.Sum256(p))
		l, err := Build(t.Context(), bytes.NewReader(p), int64(n), 2)
		if err != nil || l.Root != want || l.Size != int64(n) || l.Check() != nil {
			t.Fatalf("%d bytes: root %s, want %s (%v, %v)", n, l.Root, want, err, l.Check())
		}
		for i := range Parts(int64(n)) {
			if part := part(p, i); !l.CheckPiece(i, part) {
				t.Errorf("%d bytes: true part %d refused", n, i)
			}
		}
		if d := cmp.Diff(l, stream(p)); d != "" {
			t.Errorf("%d bytes, hasher: %s", n, d)
		}
		if d := cmp.Diff(l, gather(t, p)); d != "" {
			t.Errorf("%d bytes, gather: %s", n, d)
		}
	}
}

func part(p []byte, i int) []byte { return p[i*PieceSize : i*PieceSize+PieceLen(int64(len(p)), i)] }

// stream feeds a hasher in steps of uneven length and asks it in between.
func stream(p []byte) Layer {
	var h Hasher
	r := rand.New(rand.NewPCG(1, uint64(len(p))))
	for len(p) > 0 {
		n := min(1+r.IntN(3*PieceSize), len(p))
		_, _ = h.Write(p[:n])
		_ = h.Layer()
		p = p[n:]
	}
	return h.Layer()
}

func gather(t *testing.T, p []byte) Layer {
	g, err := NewGather(int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Layer(); !errors.Is(err, ErrMissing) {
		t.Error("a layer of nothing:", err)
	}
	var wg sync.WaitGroup
	for i := range Parts(int64(len(p))) {
		wg.Go(func() {
			if _, err := g.Put(i, part(p, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l, err := g.Layer()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFlippedBits(t *testing.T) {
	for _, n := range []int{1, 1000, PieceSize, PieceSize + 1, 2*PieceSize + 5} {
		p := noise(n)
		l := stream(p)
		for _, at := range []int{0, n / 2, n - 1} {
			i := at / PieceSize
			p[at] ^= 1 << (at % 8)
			if l.CheckPiece(i, part(p, i)) {
				t.Errorf("%d bytes: flipped bit at %d passed", n, at)
			}
			p[at] ^= 1 << (at % 8)
		}
	}
}

func TestWrongParts(t *testing.T) {
	p := noise(3*PieceSize + 100)
	l := stream(p)
	for _, tt := range []struct {
		name string
		i    int
		p    []byte
	}{
		{"short", 0, p[:PieceSize-1]}, {"empty", 0, nil}, {"long", 0, p[:PieceSize+1]}, {"another's place", 1, part(p, 0)}, {"negative", -1, part(p, 0)},
		{"behind the end", 4, nil}, {"last padded", 3, append(bytes.Clone(part(p, 3)), 0)}, {"far behind", 1 << 40, part(p, 0)},
	} {
		if l.CheckPiece(tt.i, tt.p) {
			t.Errorf("%s: passed", tt.name)
		}
		if g, _ := NewGather(l.Size); tt.name != "another's place" {
			if _, err := g.Put(tt.i, tt.p); err == nil {
				t.Errorf("%s: gathered", tt.name)
			}
		}
	}
	if (Layer{Size: l.Size, Root: l.Root}).CheckPiece(0, part(p, 0)) {
		t.Error("a layer without pieces checked one")
	}
}

func TestWrongLayers(t *testing.T) {
	good := stream(noise(3*PieceSize + 100))
	for _, tt := range []struct {
		name  string
		spoil func(*Layer)
	}{
		{"size of another count", func(l *Layer) { l.Size = 2 * PieceSize }},
		{"negative size", func(l *Layer) { l.Size = -1 }},
		{"huge size", func(l *Layer) { l.Size = 1<<63 - 1 }},
		{"small size", func(l *Layer) { l.Size = 5 }},
		{"one missing", func(l *Layer) { l.Pieces = l.Pieces[:3] }},
		{"one more", func(l *Layer) { l.Pieces = append(bytesOf(l), Hash{}) }},
		{"swapped", func(l *Layer) { l.Pieces = bytesOf(l); l.Pieces[0], l.Pieces[1] = l.Pieces[1], l.Pieces[0] }},
		{"flipped", func(l *Layer) { l.Pieces = bytesOf(l); l.Pieces[2][31] ^= 0x80 }},
		{"root", func(l *Layer) { l.Root[0] ^= 1 }},
	} {
		l := good
		tt.spoil(&l)
		if err := l.Check(); !errors.Is(err, ErrLayer) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if RootOf(nil) != (Hash{}) || RootOf(good.Pieces[:1]) != (Hash{}) {
		t.Error("a root of less than two pieces")
	}
}

func bytesOf(l *Layer) []Hash { return append([]Hash(nil), l.Pieces...) }

func TestBuildFails(t *testing.T) {
	p := noise(2*PieceSize + 10)
	for _, size := range []int64{int64(len(p)) + 1, 5 * PieceSize, -1} {
		if _, err := Build(t.Context(), bytes.NewReader(p), size, 0); err == nil {
			t.Errorf("size %d passed", size)
		}
	}
	if _, err := Build(t.Context(), bytes.NewReader(nil), 10, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, bytes.NewReader(p), int64(len(p)), 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, size := range []int64{-1, 1<<63 - 1} {
		if _, err := NewGather(size); err == nil {
			t.Errorf("gathers %d bytes", size)
		}
	}
}

func TestHasherHoldsOnePiece(t *testing.T) {
	var h Hasher
	p := noise(3 * PieceSize)
	_, _ = h.Write(p)
	_, _ = h.Write(p[:10])
	if cap(h.buf) > 2*PieceSize || h.Size() != int64(len(p)+10) {
		t.Errorf("holds %d bytes of %d", cap(h.buf), h.Size())
	}
	h.Reset()
	if h.Layer().Root != Sum(nil) {
		t.Error("not as new")
	}
}

// BenchmarkSum is of the small files that packs are made of.
func BenchmarkSum(b *testing.B) {
	p := noise(4 << 10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		Sum(p)
	}
}

func BenchmarkPieceCV(b *testing.B) {
	p := noise(PieceSize)
	b.SetBytes(PieceSize)
	for b.Loop() {
		PieceCV(p, 3)
	}
}

func BenchmarkHasher(b *testing.B) {
	p := noise(64 * PieceSize)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		var h Hasher
		for q := p; len(q) > 0; q = q[1<<18:] {
			_, _ = h.Write(q[:1<<18])
		}
		h.Layer()
	}
}

func BenchmarkBuild(b *testing.B) {
	p := noise(64 * PieceSize)
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				if _, err := Build(b.Context(), bytes.NewReader(p), int64(len(p)), n); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRootOf(b *testing.B) {
	pieces := make([]Hash, 1<<20) // of a file of 1 TiB
	for b.Loop() {
		RootOf(pieces)
	}
}
