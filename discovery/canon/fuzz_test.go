package canon

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery/calm"
)

// modest fails if f allocates more than four times its input and 64 KiB. It runs f again if so: something else may have.
func modest(t testing.TB, input int, f func()) {
	t.Helper()
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= uint64(4*input+64<<10) {
			return
		}
	}
	t.Errorf("%d bytes allocated for %d", least, input)
}

// read reads a sequence to its end or its first error, as everybody does.
func read(r io.Reader) (items []message, err error) {
	for seq := NewReader(r); ; {
		var m message
		if err := seq.Read(&m); err != nil {
			return items, err
		}
		items = append(items, m)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("\x01\xa0\x06\xa1\x63end\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var items []message
		var err error
		modest(t, len(in), func() { items, err = read(bytes.NewReader(in)) })
		if len(items) > len(in) {
			t.Fatal("more items than bytes")
		}
		same, serr := read(iotest.OneByteReader(bytes.NewReader(in)))
		if d := cmp.Diff(items, same); d != "" || (err == nil) != (serr == nil) || errors.Is(err, io.EOF) != errors.Is(serr, io.EOF) {
			t.Fatalf("read byte by byte: %s %v %v", d, err, serr)
		}
		var out bytes.Buffer
		w := NewWriter(&out)
		for _, m := range items {
			if err := w.Write(m); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := read(&out)
		if d := cmp.Diff(items, again); d != "" || !errors.Is(err, io.EOF) {
			t.Fatalf("written and read again: %s %v", d, err)
		}
	})
}

// FuzzUnmarshal: what is a message is written in one form only, and read again as the same; what is shown of it has an end.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, in []byte) {
		type every struct {
			U uint64            `cbor:"u,omitempty"`
			I int64             `cbor:"i,omitempty"`
			B []byte            `cbor:"b,omitempty"`
			S string            `cbor:"s,omitempty"`
			L []string          `cbor:"l,omitempty"`
			M map[string]uint16 `cbor:"m,omitempty"`
			E *message          `cbor:"e,omitempty"`
			T bool              `cbor:"t,omitempty"`
		}
		var m every
		var err error
		modest(t, len(in), func() { m = every{}; err = UnmarshalOpen(in, &m) })
		if err != nil && !errors.Is(err, ErrMessage) {
			t.Fatal(err)
		}
		strict := Unmarshal(in, new(every))
		if strict == nil && err != nil {
			t.Fatalf("the strict reader takes what the other refuses: %v", err)
		}
		if _, serr := Show(in); serr != nil && !errors.Is(serr, ErrMessage) {
			t.Fatal(serr)
		}
		if err != nil {
			return
		}
		one, err := Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back every
		if err := Unmarshal(one, &back); err != nil {
			t.Fatal(err)
		}
		if two, err := Marshal(back); err != nil || !bytes.Equal(one, two) {
			t.Fatalf("%x became %x, %v", one, two, err)
		}
	})
}

// TestHostileLengths: the lengths of items that no honest writer writes are over within 1 ms (on a calm computer), and buy no memory.
func TestHostileLengths(t *testing.T) {
	limit := time.Millisecond
	if !calm.Is() {
		limit *= 20 // of the race detector, and of a machine that is busy the whole time
	}
	for name, in := range map[string][]byte{
		"2^63": binary.AppendUvarint(nil, 1<<63), "2^64-1": binary.AppendUvarint(nil, 1<<64-1), "0": {0}, "one over": binary.AppendUvarint(nil, MaxItem+1),
		"no end": bytes.Repeat([]byte{0x80}, 1000), "long zero": {0x80, 0x80, 0x80, 0x00}, "the most, and nothing": binary.AppendUvarint(nil, MaxItem),
		"the most, and little": append(binary.AppendUvarint(nil, MaxItem), 1, 2, 3), "wrong end": {6, 0xa1, 0x63, 'e', 'n', 'd', 1}, "end with more": {7, 0xa1, 0x63, 'e', 'n', 'd', 0x18, 1},
		"end that is none": {5, 0xa1, 0x63, 'e', 'n', 'd'}, "end of text": {7, 0xa1, 0x63, 'e', 'n', 'd', 0x61, 'a'},
	} {
		least := time.Hour
		for try := 0; try < 20 && (try < 3 || least > limit); try++ {
			began := time.Now()
			modest(t, len(in), func() {
				if _, err := NewReader(bytes.NewReader(in)).Next(); !errors.Is(err, ErrMessage) && !errors.Is(err, ErrCut) {
					t.Errorf("%s: %v", name, err)
				}
			})
			least = min(least, time.Since(began))
		}
		if least > limit {
			t.Errorf("%s: %v", name, least)
		}
	}
}
