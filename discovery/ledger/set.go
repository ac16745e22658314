package ledger

import "math/bits"

// set is a set of indices of nodes.
type set []uint64

func (s set) has(i int) bool { return i>>6 < len(s) && s[i>>6]>>(i&63)&1 == 1 }

func (s *set) add(i int) {
	for i>>6 >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[i>>6] |= 1 << (i & 63)
}

func (s *set) or(o set) {
	for len(*s) < len(o) {
		*s = append(*s, 0)
	}
	for i, w := range o {
		(*s)[i] |= w
	}
}

// within reports whether everything in s is in a or in b.
func (s set) within(a, b set) bool {
	for i, w := range s {
		if i < len(a) {
			w &^= a[i]
		}
		if i < len(b) {
			w &^= b[i]
		}
		if w != 0 {
			return false
		}
	}
	return true
}

// each calls f with every member, in ascending order.
func (s set) each(f func(int)) {
	for w, v := range s {
		for v != 0 {
			f(w<<6 + bits.TrailingZeros64(v))
			v &= v - 1
		}
	}
}

func (s set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}
