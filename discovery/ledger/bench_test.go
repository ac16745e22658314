package ledger

import "testing"

// long returns a graph of n entries in a row, and all of it.
func long(b *testing.B, n int) (*Graph, [][]byte) {
	w := newGroup(b)
	w.do(w.anna, Admit, w.bo, Admin, nil)
	for i := w.g.Len(); i < n; i++ {
		by := w.anna
		if i%2 == 0 {
			by = w.bo
		}
		e := w.say(by, Rename, dev(i%10), 0, []Hash{w.g.nodes[len(w.g.nodes)-1].id})
		if _, err := w.g.Insert(e); err != nil {
			b.Fatal(err)
		}
	}
	var raw [][]byte
	for e := range w.g.Entries() {
		raw = append(raw, e.Raw())
	}
	return w.g, raw
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"200", 200}, {"1000", 1000}, {"10000", MaxEntries}} {
		b.Run(size.name, func(b *testing.B) {
			g, raw := long(b, size.n)
			for b.Loop() {
				if _, err := Read(g.Workgroup(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkInsert is Read without signatures.
func BenchmarkInsert(b *testing.B) {
	g, raw := long(b, 1000)
	list := make([]*Entry, 0, len(raw))
	for e := range g.Entries() {
		list = append(list, e)
	}
	for b.Loop() {
		g, err := New(list[0])
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range list[1:] {
			if _, err := g.Insert(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkState(b *testing.B) {
	g, _ := long(b, 3000)
	b.Run("cached", func(b *testing.B) {
		for b.Loop() {
			if len(g.State().Members) == 0 {
				b.Fatal("nobody")
			}
		}
	})
	b.Run("from nothing", func(b *testing.B) {
		for b.Loop() {
			if len(g.describe(g.resolve(g.all), g.all).Members) == 0 {
				b.Fatal("nobody")
			}
		}
	})
}
