package content

import (
	"bytes"
	"io"
	"testing"
)

// BenchmarkGather is what a receiver pays for the pieces of a file of 64 MiB, with as many goroutines as there are cores.
func BenchmarkGather(b *testing.B) {
	const pieces = 64
	p := noise(PieceSize)
	b.SetBytes(pieces * PieceSize)
	b.ReportAllocs()
	for b.Loop() {
		g, err := NewGather(pieces * PieceSize)
		if err != nil {
			b.Fatal(err)
		}
		next, done := make(chan int), make(chan error)
		const workers = 2
		for range workers {
			go func() {
				var err error
				for i := range next {
					if _, wrong := g.Put(i, p); wrong != nil {
						err = wrong
					}
				}
				done <- err
			}()
		}
		for i := range pieces {
			next <- i
		}
		close(next)
		for range workers {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		if _, err := g.Layer(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckPiece is what one verified piece costs, without a copy and without an allocation.
func BenchmarkCheckPiece(b *testing.B) {
	p := noise(3 * PieceSize)
	l, err := Build(b.Context(), bytes.NewReader(p), int64(len(p)), 1)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(PieceSize)
	b.ReportAllocs()
	for b.Loop() {
		if !l.CheckPiece(1, p[PieceSize:2*PieceSize]) {
			b.Fatal("a right piece is wrong")
		}
	}
}

// BenchmarkCheckLayer is what the layer of a file of 1 GiB costs before the first piece can be believed.
func BenchmarkCheckLayer(b *testing.B) {
	l := Layer{Size: 1 << 30, Pieces: make([]Hash, PieceCount(1<<30))}
	for i := range l.Pieces {
		l.Pieces[i][0], l.Pieces[i][1] = byte(i), byte(i>>8)
	}
	l.Root = RootOf(l.Pieces)
	b.SetBytes(int64(len(l.Pieces) * len(Hash{})))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHashWhileCopying is the way of a source that hashes what it sends: blocks of 128 KiB.
func BenchmarkHashWhileCopying(b *testing.B) {
	p := noise(16 * PieceSize)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	var h Hasher
	buf := make([]byte, 128<<10)
	for b.Loop() {
		h.Reset()
		if _, err := io.CopyBuffer(struct{ io.Writer }{&h}, struct{ io.Reader }{bytes.NewReader(p)}, buf); err != nil {
			b.Fatal(err)
		}
		if h.Size() != int64(len(p)) {
			b.Fatal("bytes are missing")
		}
	}
}
