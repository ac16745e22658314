package canon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
)

// line is about what one entry of a listing is.
type line struct {
	Path    string `cbor:"p"`
	Kind    uint8  `cbor:"k"`
	Size    int64  `cbor:"s,omitempty"`
	Time    int64  `cbor:"t,omitempty"`
	Version []byte `cbor:"v,omitempty"`
}

// lines is what one benchmark writes or reads.
const lines = 1000

func lineOf(i int) line {
	return line{fmt.Sprintf("photos/2024/summer/IMG_%05d.jpg", i), 1, int64(i) << 12, 1_700_000_000_000_000_000 + int64(i), make([]byte, 16)}
}

// reportRate adds how many items go through in a second.
func reportRate(b *testing.B) {
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "items/s")
}

func BenchmarkWriter(b *testing.B) {
	all := make([]line, lines)
	for i := range all {
		all[i] = lineOf(i)
	}
	var out bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		w := NewWriter(&out)
		for i := range all {
			if err := w.Write(&all[i]); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(out.Len()))
	reportRate(b)
}

func BenchmarkReader(b *testing.B) {
	var out bytes.Buffer
	w := NewWriter(&out)
	for i := range lines {
		if err := w.Write(lineOf(i)); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(out.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for r := NewReader(bytes.NewReader(out.Bytes())); ; n++ {
			var l line
			err := r.Read(&l)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if n != lines {
			b.Fatalf("%d of %d items", n, lines)
		}
	}
	reportRate(b)
}

// BenchmarkUnmarshal is one message read strictly, as everything that is signed is.
func BenchmarkUnmarshal(b *testing.B) {
	msg, err := Marshal(lineOf(7))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		var l line
		if err := Unmarshal(msg, &l); err != nil {
			b.Fatal(err)
		}
	}
}
