// Package content identifies file content by digest, whole and piece by piece.
//
// A file is cut into pieces of 1 MiB. A full piece is a complete subtree of 1024 BLAKE3 chunks, so the chaining values of all pieces, the layer,
// fold up to the BLAKE3 digest of the whole file. Whoever holds a checked layer can verify every piece alone, in any order, from any source:
//
//	piece size      1 MiB
//	layer[i]        chaining value of piece i (chunk counter i*1024), 32 bytes
//	root            parents of the layer, left-full, root flag at the top == BLAKE3 of the file
//	size <= 1 MiB   no layer; root = BLAKE3 of the file
//
// A layer costs 32 bytes for each MiB: 32 KiB for 1 GiB, 32 MiB for 1 TiB.
package content

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"

	"lukechampine.com/blake3/guts"
)

// PieceSize is the length in bytes of every piece but the last.
const PieceSize = 1 << 20

// Hash is a BLAKE3 digest or the chaining value of a piece.
type Hash [32]byte

// String returns 64 hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String wrote.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return Hash{}, fmt.Errorf("hash of %d digits", len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return Hash{}, fmt.Errorf("hash: %w", err)
	}
	return h, nil
}

// ErrLayer says that a layer does not belong to its root and size.
var ErrLayer = errors.New("piece layer does not fit its root")

// Layer is what content is checked against. A value; the pieces are shared and never written after it was made.
type Layer struct {
	Size   int64  // bytes
	Root   Hash   // BLAKE3 of the whole
	Pieces []Hash // one for each piece; none when Size <= PieceSize
}

// PieceCount is the number of layer entries a file of size bytes has: none up to one piece.
func PieceCount(size int64) int {
	if size <= PieceSize {
		return 0
	}
	return int((size-1)/PieceSize + 1)
}

// Parts is the number of separately checked parts of a file of size bytes, at least 1: PieceCount, but one for the small file that is its own piece.
func Parts(size int64) int { return max(PieceCount(size), 1) }

// PieceLen is the length in bytes of part i of a file of size bytes, and -1 where there is no such part. An empty file has one part of no bytes.
func PieceLen(size int64, i int) int {
	if size < 0 || i < 0 || i >= Parts(size) {
		return -1
	}
	return int(min(size-int64(i)*PieceSize, PieceSize))
}

// Sum is the root of a file of at most one piece (BLAKE3 of p, right for any length).
func Sum(p []byte) Hash {
	n := subtree(p, 0) // not blake3.Sum256: for some KiB its hasher and goroutines cost more than the hashing
	n.Flags |= guts.FlagRoot
	return encode(guts.ChainingValue(n))
}

// PieceCV is the chaining value of piece index of a file with more than one piece. It is pure: call it from as many goroutines as there are cores.
func PieceCV(p []byte, index int64) Hash {
	return encode(guts.ChainingValue(subtree(p, uint64(index)*(PieceSize/guts.ChunkSize))))
}

// RootOf folds a layer of at least two pieces up to the root; for fewer it is the zero hash, which no content has.
func RootOf(pieces []Hash) Hash {
	if len(pieces) < 2 {
		return Hash{}
	}
	return encode(fold(pieces, guts.FlagRoot))
}

// Check reports whether the layer may be trusted for its size and root. The error wraps ErrLayer.
func (l Layer) Check() error {
	switch {
	case l.Size < 0:
		return fmt.Errorf("%w: negative size", ErrLayer)
	case len(l.Pieces) != PieceCount(l.Size):
		return fmt.Errorf("%w: %d pieces for %d bytes", ErrLayer, len(l.Pieces), l.Size)
	case len(l.Pieces) > 0 && RootOf(l.Pieces) != l.Root:
		return fmt.Errorf("%w: wrong root", ErrLayer)
	}
	return nil
}

// CheckPiece reports whether p is part i, in full. The layer must have passed Check.
func (l Layer) CheckPiece(i int, p []byte) bool {
	if want := PieceLen(l.Size, i); want < 0 || len(p) != want {
		return false
	}
	if l.Size <= PieceSize {
		return Sum(p) == l.Root
	}
	return i < len(l.Pieces) && PieceCV(p, int64(i)) == l.Pieces[i]
}

// Equal reports whether two layers name the same content.
func (l Layer) Equal(m Layer) bool { return l.Size == m.Size && bytes.Equal(l.Root[:], m.Root[:]) }

// subtree returns the root node of the chunks in p; counter is the index of the first chunk.
func subtree(p []byte, counter uint64) guts.Node {
	const most = guts.MaxSIMD * guts.ChunkSize
	if len(p) == most { // the usual case: no copy
		return guts.CompressBuffer((*[most]byte)(p), most, &guts.IV, counter, 0)
	}
	if len(p) < most {
		var buf [most]byte
		n := copy(buf[:], p)
		return guts.CompressBuffer(&buf, n, &guts.IV, counter, 0)
	}
	mid := 1 << (bits.Len(uint(len(p)-1)) - 1) // largest power of two below len(p)
	l := guts.ChainingValue(subtree(p[:mid], counter))
	r := guts.ChainingValue(subtree(p[mid:], counter+uint64(mid/guts.ChunkSize)))
	return guts.ParentNode(l, r, &guts.IV, 0)
}

func fold(pieces []Hash, flags uint32) [8]uint32 {
	if len(pieces) == 1 {
		return decode(pieces[0])
	}
	mid := 1 << (bits.Len(uint(len(pieces)-1)) - 1)
	return guts.ChainingValue(guts.ParentNode(fold(pieces[:mid], 0), fold(pieces[mid:], 0), &guts.IV, flags))
}

func encode(cv [8]uint32) (h Hash) {
	for i, w := range cv {
		binary.LittleEndian.PutUint32(h[4*i:], w)
	}
	return h
}

func decode(h Hash) (cv [8]uint32) {
	for i := range cv {
		cv[i] = binary.LittleEndian.Uint32(h[4*i:])
	}
	return cv
}
