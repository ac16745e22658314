package swarm

import "math/bits"

// bitmap has one bit for each piece, piece 0 in the lowest bit of word 0.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) has(i int) bool { return b[i>>6]>>(i&63)&1 != 0 }
func (b bitmap) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b bitmap) clear(i int)    { b[i>>6] &^= 1 << (i & 63) }

// count returns how many pieces of a run are in b.
func (b bitmap) count(r Run) (n int) {
	for i := r.From; i < r.To; {
		w, end := i>>6, min(r.To, i|63+1)
		v := b[w] >> (i & 63)
		if k := end - i; k < 64 {
			v &= 1<<k - 1
		}
		n += bits.OnesCount64(v)
		i = end
	}
	return n
}

// first returns the first piece at or after from that is in b and in mask (a nil mask has all), going round once; -1 if there is none.
func (b bitmap) first(mask bitmap, from int) int {
	n, w := len(b), from>>6
	low := uint64(1)<<(from&63) - 1 // the bits before from, which are the last to look at
	for k := 0; k <= n; k++ {
		i := w + k
		if i >= n {
			i -= n
		}
		v := b[i]
		if mask != nil {
			v &= mask[i]
		}
		switch k {
		case 0:
			v &^= low
		case n:
			v &= low
		}
		if v != 0 {
			return i<<6 + bits.TrailingZeros64(v)
		}
	}
	return -1
}

// levels is the number of rarities told apart; the last holds whatever is more common. Beyond it pieces are so common that their order is no matter.
const levels = 16

// rack holds the pieces that are wanted and asked of nobody, sorted by how many helpers have them.
type rack struct {
	all   bitmap
	level [levels]bitmap
	count [levels]int
	total int
}

func newRack(n int) rack {
	r := rack{all: newBitmap(n)}
	for i := range r.level {
		r.level[i] = newBitmap(n)
	}
	return r
}

func rarity(copies uint16) int { return min(int(copies), levels-1) }

func (r *rack) has(i int) bool { return r.all.has(i) }

func (r *rack) put(i int, copies uint16) {
	l := rarity(copies)
	r.all.set(i)
	r.level[l].set(i)
	r.count[l]++
	r.total++
}

func (r *rack) take(i int, copies uint16) {
	l := rarity(copies)
	r.all.clear(i)
	r.level[l].clear(i)
	r.count[l]--
	r.total--
}

// splitmix is SplitMix64 (Steele, Lea, Flood 2014): a sequence that depends on its seed alone.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n).
func (s *splitmix) below(n int) int {
	hi, _ := bits.Mul64(s.next(), uint64(n))
	return int(hi)
}
