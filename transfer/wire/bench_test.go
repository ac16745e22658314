package wire

import (
	"testing"
	"time"

	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
)

func benchEntry() share.Entry {
	return share.Entry{Path: "photos/2024/IMG_00001.jpg", Kind: share.File, Size: 4 << 20, MTime: time.Unix(1_700_000_000, 5), Version: share.Version{1, 2, 3}}
}

// BenchmarkItemOf is one entry of a listing on its way out.
func BenchmarkItemOf(b *testing.B) {
	e := benchEntry()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		msg, err := canon.Marshal(ItemOf(e, "2024/IMG_00001.jpg"))
		if err != nil {
			b.Fatal(err)
		}
		n = len(msg)
	}
	b.SetBytes(int64(n))
}

// BenchmarkEntry is one entry of a listing on its way in: read, and checked.
func BenchmarkEntry(b *testing.B) {
	msg, err := canon.Marshal(ItemOf(benchEntry(), "2024/IMG_00001.jpg"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		var item EntryItem
		if err := canon.UnmarshalOpen(msg, &item); err != nil {
			b.Fatal(err)
		}
		if e, err := item.Entry("photos"); err != nil || e.Path != benchEntry().Path {
			b.Fatal(e.Path, err)
		}
	}
}

// BenchmarkLayerAnswer is the layer of a file of 1 GiB, read and checked.
func BenchmarkLayerAnswer(b *testing.B) {
	pieces := make([]content.Hash, content.PieceCount(1<<30))
	a := LayerAnswer{Version: make([]byte, 16), Size: 1 << 30}
	for i := range pieces {
		pieces[i][0], pieces[i][1] = byte(i), byte(i>>8)
		a.Layer = append(a.Layer, pieces[i][:]...)
	}
	root := content.RootOf(pieces)
	a.Root = root[:]
	msg, err := canon.Marshal(a)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		var got LayerAnswer
		if err := canon.UnmarshalOpen(msg, &got); err != nil {
			b.Fatal(err)
		}
		if l, err := got.Content(); err != nil || l.Root != root {
			b.Fatal(l.Root, err)
		}
	}
}

// BenchmarkHello is what a stranger can make this device do for every connection.
func BenchmarkHello(b *testing.B) {
	h := Hello{V: Version, Name: "anna", Workgroup: "WORKGROUP", Port: 4747, App: "1.0"}
	for range MaxProofs {
		h.Proofs = append(h.Proofs, make([]byte, ProofSize))
	}
	msg, err := canon.Marshal(h)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		var got Hello
		if err := canon.UnmarshalOpen(msg, &got); err != nil {
			b.Fatal(err)
		}
		if err := got.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
