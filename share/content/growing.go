package content

import "lukechampine.com/blake3/guts"

// blockSize is what one call of the hash function takes: it reads every byte of a block before it needs the next.
const blockSize = guts.MaxSIMD * guts.ChunkSize

// Growing hashes a piece while its bytes arrive: they are still near the processor then, and nothing is left to do when the last ones come. The zero
// value is ready. Not for use by several goroutines at once.
type Growing struct {
	cvs  [PieceSize / blockSize][8]uint32
	done int // blocks
}

// Grown is told that p, the beginning of piece index, is there.
func (g *Growing) Grown(p []byte, index int64) {
	for n := g.done + 1; n*blockSize <= len(p); n++ {
		block := p[g.done*blockSize : n*blockSize]
		counter := uint64(index)*(PieceSize/guts.ChunkSize) + uint64(g.done)*(blockSize/guts.ChunkSize)
		g.cvs[g.done] = guts.ChainingValue(guts.CompressBuffer((*[blockSize]byte)(block), blockSize, &guts.IV, counter, 0))
		g.done = n
	}
}

// Forget begins anew: the piece was not wanted.
func (g *Growing) Forget() { g.done = 0 }

// CV is PieceCV of the whole piece p, of a file with more than one piece. What it was told before is forgotten.
func (g *Growing) CV(p []byte, index int64) Hash {
	defer g.Forget()
	if len(p) != PieceSize { // the last of a file
		return PieceCV(p, index)
	}
	g.Grown(p, index)
	for n := len(g.cvs); n > 1; n /= 2 {
		for i := range n / 2 {
			g.cvs[i] = guts.ChainingValue(guts.ParentNode(g.cvs[2*i], g.cvs[2*i+1], &guts.IV, 0))
		}
	}
	return encode(g.cvs[0])
}
