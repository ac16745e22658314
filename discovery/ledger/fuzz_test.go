package ledger

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// modest fails if f allocates more than four times its input and 64 KiB. It runs f again if so: something else may have.
func modest(t *testing.T, input int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	least := uint64(math.MaxUint64)
	for range 3 {
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= uint64(4*input+64<<10) {
			return
		}
	}
	t.Errorf("%d bytes allocated for %d", least, input)
}

func FuzzParse(f *testing.F) {
	w, list := refusals(f)
	for _, r := range list {
		f.Add(r.raw)
	}
	for _, e := range []*Entry{w.g.Genesis(), w.say(w.anna, Admit, w.bo, Admin, nil), w.say(w.anna, NewDiscoveryKey, w.bo, 0, nil)} {
		f.Add(e.raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e *Entry
		var err error
		modest(t, len(raw), func() { e, err = Parse(raw) })
		if err != nil {
			return
		}
		if !bytes.Equal(e.Raw(), raw) {
			t.Fatal("an entry became another")
		}
		if e.Kind.critical() {
			return
		}
		again, err := Sign(e.Body, dev(1))
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if e.Author == dev(1).Key() && again.ID() != e.ID() {
			t.Fatal("the same body has another ID")
		}
	})
}

// FuzzInsert lets the input choose who writes what on which entries, and holds every graph against the law in plain words, and
// against the same entries in another order.
func FuzzInsert(f *testing.F) {
	f.Add([]byte{0, 0, 1, 2, 0, 1, 0, 2, 3, 0, 2, 1, 4, 1, 2, 5, 3, 1, 0, 0, 6, 2, 2, 2})
	f.Add([]byte{0, 0, 0, 1, 1, 0, 0, 2, 1, 1, 2, 0, 1, 2, 2, 1, 7, 0, 2, 0, 200, 4, 2, 1})
	f.Add([]byte("a group of people that meets now and then, and does not always agree"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h := history{genesis: must[*Entry](t)(Sign(genesisBody(dev(99)), dev(0)))}
		g := must[*Graph](t)(New(h.genesis))
		kinds := []Kind{Admit, Admit, SetRole, Remove, Rename, NewDiscoveryKey, 40, 8}
		for n := 0; n+4 <= len(in) && n < 4*40; n += 4 {
			who, what, about, where := in[n], in[n+1], in[n+2], in[n+3]
			prev := g.Heads()
			if where&1 == 1 {
				prev = []Hash{g.nodes[int(where>>1)%len(g.nodes)].id}
			}
			b := must[Body](t)(g.DraftOn(kinds[what%8], prev))
			by := dev(int(who % people))
			if who%13 == 12 {
				by = dev(99)
			}
			e := must[*Entry](t)(Sign(complete(b, dev(int(about%people)).Key(), Role(1+about>>7)), by))
			switch _, err := g.Insert(e); {
			case err == nil:
				h.good = append(h.good, e)
			case !errors.Is(err, ErrRight) && !errors.Is(err, ErrTarget) && !errors.Is(err, ErrUpdate):
				t.Fatal(err)
			}
		}
		g.check(t)
		other := h.deliver(t, rand.New(rand.NewPCG(uint64(len(in)), 2)), len(in)%2 == 0)
		if print(g.State()) != print(other.State()) {
			t.Fatal("another order, another state")
		}
		var box Inbox
		for _, e := range h.good {
			if _, _, err := box.Add(other, e, time.Unix(0, 0)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
