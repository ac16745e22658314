package safefs

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"porchlight/share"
)

// spot is the place of one row in an order. Most comparisons need no more than the rank, which lies in one word beside its neighbours':
// that is what sorts 100,000 names in the time in which the screen is drawn once or twice.
type spot struct {
	rank uint64
	row  int32
}

// order sorts rows: folders, then all else. All orders but those of names need every row described.
func order(rows []row, s share.Sort) (dirs, rest []spot) {
	all := make([]spot, len(rows))
	rank, tie := ranking(rows, s)
	n := 0
	for i := range rows {
		if rows[i].dir {
			n++
		}
	}
	dirs, rest = all[:0:n], all[n:n]
	for i := range rows {
		at := spot{rank(&rows[i]), int32(i)}
		if rows[i].dir {
			dirs = append(dirs, at)
		} else {
			rest = append(rest, at)
		}
	}
	for _, part := range [2][]spot{dirs, rest} {
		slices.SortFunc(part, func(a, b spot) int {
			if a.rank != b.rank {
				if a.rank < b.rank {
					return -1
				}
				return 1
			}
			return tie(&rows[a.row], &rows[b.row])
		})
		if s == share.ByNameRev {
			slices.Reverse(part)
		}
	}
	return dirs, rest
}

// ranking returns the first word of what a row is sorted by, and what decides between equal words.
func ranking(rows []row, s share.Sort) (rank func(*row) uint64, tie func(a, b *row) int) {
	flip := uint64(0)
	if strings.HasPrefix(string(s), "-") {
		flip = ^uint64(0)
	}
	switch s {
	case share.BySize, share.BySizeRev:
		return func(r *row) uint64 { return r.meta.listed() ^ flip }, byName
	case share.ByMTime, share.ByTimeRev:
		return func(r *row) uint64 { return uint64(r.meta.mtime) ^ 1<<63 ^ flip }, byName
	case share.ByKind, share.ByKindRev:
		return func(r *row) uint64 { return firstWord([]byte(extension(r))) ^ flip }, func(a, b *row) int {
			c := strings.Compare(extension(a), extension(b))
			if c == 0 {
				return byName(a, b)
			}
			if flip != 0 {
				return -c
			}
			return c
		}
	}
	skip := commonPrefix(rows) // "IMG_" and the like tell nothing
	return func(r *row) uint64 { return firstWord(r.key[skip:]) }, byName
}

// byName is the natural order; names that differ only in case, accents or leading zeros follow their bytes.
func byName(a, b *row) int {
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c
	}
	return strings.Compare(a.name, b.name)
}

// firstWord makes comparing words agree with comparing bytes.
func firstWord(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var w [8]byte
	copy(w[:], b)
	return binary.BigEndian.Uint64(w[:])
}

// commonPrefix is how many bytes all keys begin with.
func commonPrefix(rows []row) int {
	if len(rows) == 0 {
		return 0
	}
	first := rows[0].key
	n := len(first)
	for i := range rows {
		k := rows[i].key
		n = min(n, len(k))
		if bytes.Equal(k[:n], first[:n]) {
			continue
		}
		for j := range n {
			if k[j] != first[j] {
				n = j
				break
			}
		}
	}
	return n
}

// listed is the size that a listing shows.
func (m *meta) listed() uint64 {
	if m.kind == share.File {
		return uint64(m.size)
	}
	return 0
}

// extension is what people take for the kind of a file.
func extension(r *row) string {
	i := strings.LastIndexByte(r.name, '.')
	if i <= 0 || r.dir {
		return ""
	}
	return strings.ToLower(r.name[i+1:])
}

// addKeys gives each row its place in the natural order. The keys lie in few large blocks: a folder may have very many.
func addKeys(rows []row) {
	var block []byte
	for i := range rows {
		if most := 4*len(rows[i].name) + 8; cap(block)-len(block) < most {
			block = make([]byte, 0, max(64<<10, most))
		}
		from := len(block)
		block = appendKey(block, rows[i].name)
		rows[i].key = block[from:len(block):len(block)]
	}
}

// appendKey writes a name so that comparing bytes is comparing as people do: no difference between cases or accents, and numbers by value,
// "file 2" before "file 10". Names that differ only so are told apart by the names themselves.
func appendKey(b []byte, name string) []byte {
	if !isASCII(name) {
		name = fold(name)
	}
	for i := 0; i < len(name); {
		c := name[i]
		if c < '0' || c > '9' {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
			i++
			continue
		}
		for i < len(name) && name[i] == '0' {
			i++
		}
		from := i
		for i < len(name) && name[i] >= '0' && name[i] <= '9' {
			i++
		}
		digits := name[from:i]
		b = append(b, '0', byte(min(len(digits), 255))) // of two numbers the one with fewer digits is smaller
		b = append(b, digits...)
	}
	return b
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// fold takes accents off Latin, Greek and Cyrillic letters and makes all lower case.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x300 && r <= 0x36F {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(name))
}
