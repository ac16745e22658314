package download

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"sync"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
)

// The records of the journal. Numbers are varints unless a length is given.
//
//	'f' id version[16] size path      a large file is begun, or goes on as another version
//	'p' id piece value[32]            a piece of it is written
//	'l' id piece                      a piece was wrong after all
//	'd' id                            the file is published or thrown away
//	's' id remembered                 what lets the file go on without its source
//	'k' key[8]...                     files that this job has published
const (
	recFile  = 'f'
	recPiece = 'p'
	recLost  = 'l'
	recDone  = 'd'
	recSwarm = 's'
	recKeys  = 'k'
)

// maxPieces bounds a file by what a layer answer can hold: 1.25 TiB.
const maxPieces = 40 << 20 / 32

// partial is a large file under way. While it is being fetched its fetcher owns the fields without lock; pieces are written under mu.
type partial struct {
	id      uint64
	src     share.Path
	size    int64
	version share.Version
	file    *safefs.PartFile // nil while nobody works on it
	owed    int64            // guarded by partials.mu: of size, what owe has counted
	swarm   []byte           // body of the last record 's'; nil if there is none
	offer   *offer           // what is given on of it; nil if nothing is
	busy    bool             // guarded by partials.mu: somebody works on it, or it waits for its name
	loose   int64            // of its bytes, what no sync was begun for when all was there
	revised bool             // its pieces may be those of an older version
	trusted bool             // every value was computed by this process, from what it wrote or read back, and nothing was said to have been lost since

	mu   sync.Mutex // guards the fields below
	cvs  []content.Hash
	have []bool
}

func (b *partial) name() string { return "f" + strconv.FormatUint(b.id, 36) }

// partials are the large files under way of one job, and the keys of the files it has published. Safe for concurrent use.
type partials struct {
	mu     sync.Mutex // guards the fields below
	byPath map[share.Path]*partial
	keys   map[uint64]struct{}
	next   uint64
	loaded bool
}

func newPartials() *partials {
	return &partials{byPath: map[share.Path]*partial{}, keys: map[uint64]struct{}{}}
}

// load opens the journal. The first time it believes what is in there, as far as any of it can be believed; later the memory of this process is newer.
func (s *partials) load(part *safefs.Part) (*safefs.Journal, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := map[uint64]*partial{}
	j, err := part.Journal(func(rec []byte) error {
		if !s.loaded {
			s.replay(ids, rec)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.loaded = true
	keep := map[string]bool{"journal": true}
	for _, b := range s.byPath {
		keep[b.name()] = true
		keep[b.layerName()] = b.swarm != nil
	}
	if err := part.Sweep(func(name string) bool { return keep[name] }); err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

// replay takes one record; what makes no sense is passed over. The caller holds the lock.
func (s *partials) replay(ids map[uint64]*partial, rec []byte) {
	kind, b := rec[0], rec[1:]
	if kind == recKeys {
		for ; len(b) >= 8; b = b[8:] {
			s.keys[binary.BigEndian.Uint64(b)] = struct{}{}
		}
		return
	}
	id, n := binary.Uvarint(b)
	if n <= 0 {
		return
	}
	b = b[n:]
	f := ids[id]
	switch {
	case kind == recFile:
		s.replayFile(ids, id, b)
	case f == nil:
	case kind == recDone:
		delete(ids, id)
		if s.byPath[f.src] == f {
			delete(s.byPath, f.src)
		}
	case kind == recSwarm:
		f.swarm = slices.Clone(b)
	case kind == recPiece || kind == recLost:
		i, n := binary.Uvarint(b)
		if n <= 0 || i >= uint64(len(f.have)) {
			return
		}
		if kind == recLost {
			f.have[i] = false
		} else if len(b)-n == len(content.Hash{}) {
			f.have[i], f.cvs[i] = true, content.Hash(b[n:])
		}
	}
}

func (s *partials) replayFile(ids map[uint64]*partial, id uint64, b []byte) {
	f := &partial{id: id}
	if len(b) < len(f.version) || id == 0 || id >= 1<<62 {
		return
	}
	b = b[copy(f.version[:], b):]
	size, n := binary.Uvarint(b)
	if n <= 0 || size > maxPieces*content.PieceSize {
		return
	}
	path, err := share.ParsePath(string(b[n:]))
	if err != nil {
		return
	}
	f.size, f.src = int64(size), path
	s.next = max(s.next, id)
	f.blank()
	if old := ids[id]; old != nil && old.src == path {
		f.inherit(old.size, old.cvs, old.have)
	}
	ids[id] = f
	s.byPath[path] = f
}

// blank makes the tables of a file that has nothing yet.
func (b *partial) blank() {
	b.cvs, b.have = make([]content.Hash, content.Parts(b.size)), make([]bool, content.Parts(b.size))
}

// take returns the file under way for an item, open, and makes one if there is none; one of an older version goes on as this one. What is there is read back once before it counts.
func (s *partials) take(ctx context.Context, part *safefs.Part, j *safefs.Journal, it *item) (*partial, error) {
	b, busy := s.claim(it.src)
	if b != nil {
		if b.version == it.version && b.size == it.size {
			f, err := part.Open(b.name(), b.size)
			if errors.Is(err, fs.ErrNotExist) && b.revised {
				b.trusted = false
				f, err = part.Resize(b.name(), b.size)
			}
			if err == nil {
				b.file = f
				return b, b.reread(ctx)
			}
		} else if ok, err := s.revise(part, j, b, it); ok {
			return b, b.reread(ctx)
		} else if err != nil {
			return nil, err
		}
		if err := s.drop(part, j, b); err != nil {
			return nil, err
		}
	}
	b = &partial{src: it.src, size: it.size, version: it.version, trusted: true, busy: true}
	s.mu.Lock()
	s.next++
	b.id = s.next
	s.mu.Unlock()
	f, err := part.Create(b.name(), b.size)
	if err != nil {
		return nil, err
	}
	b.file = f
	b.blank()
	if err := j.Append(b.record(b.size, b.version)); err != nil {
		f.Close()
		return nil, err
	}
	if !busy {
		s.mu.Lock()
		s.byPath[b.src] = b
		s.mu.Unlock()
	}
	return b, nil
}

// owe counts the bytes that lie reserved for files of earlier attempts: nobody need look for their space again.
func (s *partials) owe() (all int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.byPath {
		b.owed = b.size
		all += b.owed
	}
	return all
}

// settle returns what was counted by owe for a path, once.
func (s *partials) settle(src share.Path) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.byPath[src]; b != nil {
		n, b.owed = b.owed, 0
	}
	return n
}

// claim returns the file under way of a path for the caller alone; busy says that somebody else has it, as when the same file was asked for twice.
func (s *partials) claim(src share.Path) (b *partial, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b = s.byPath[src]
	if b == nil || b.busy {
		return nil, b != nil
	}
	b.busy = true
	return b, false
}

// reread checks what an earlier process wrote: the journal may have reached the disk before the pieces did.
func (b *partial) reread(ctx context.Context) error {
	if b.trusted {
		return nil
	}
	buf := make([]byte, content.PieceSize)
	for i := range b.have {
		if !b.have[i] {
			continue
		}
		if err := ctx.Err(); err != nil {
			b.close()
			return err
		}
		p := buf[:content.PieceLen(b.size, i)]
		n, err := b.file.ReadAt(p, int64(i)*content.PieceSize)
		if n < len(p) && err != nil && !errors.Is(err, io.EOF) {
			b.close()
			return fmt.Errorf("read back: %w", err)
		}
		ok := n == len(p) && b.hash(p, i) == b.cvs[i]
		b.mu.Lock() // somebody may be looking at the map
		b.have[i] = ok
		b.mu.Unlock()
	}
	b.trusted = true
	return nil
}

func (b *partial) hash(p []byte, i int) content.Hash {
	if b.size <= content.PieceSize {
		return content.Sum(p)
	}
	return content.PieceCV(p, int64(i))
}

func (b *partial) close() {
	if b.file != nil {
		b.file.Close()
		b.file = nil
	}
}

// unoffer ends giving the file on.
func (b *partial) unoffer() {
	if b.offer != nil {
		b.offer.end()
		b.offer = nil
	}
}

// rest closes the file for a while. What cannot be made durable now may be lost by the time somebody goes on, with the disk that it was to be on:
// then it is read back before it counts.
func (b *partial) rest() {
	b.loose = 0
	b.unoffer()
	if b.file != nil && b.file.Sync() != nil {
		b.trusted = false
	}
	b.close()
}

// value is that of a piece that was written.
func (b *partial) value(i int) content.Hash {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cvs[i]
}

// release lets another take the file.
func (s *partials) release(b *partial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.busy = false
}

// wrote notes a piece that is on the disk.
func (b *partial) wrote(j *safefs.Journal, i int, cv content.Hash, rec []byte) ([]byte, error) {
	rec = binary.AppendUvarint(append(rec[:0], recPiece), b.id)
	rec = append(binary.AppendUvarint(rec, uint64(i)), cv[:]...)
	if err := j.Append(rec); err != nil {
		return rec, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cvs[i], b.have[i] = cv, true
	return rec, nil
}

// lost forgets a piece that turned out to be wrong.
func (b *partial) lost(j *safefs.Journal, i int) error {
	b.mu.Lock()
	b.have[i] = false
	b.mu.Unlock()
	return j.Append(binary.AppendUvarint(binary.AppendUvarint([]byte{recLost}, b.id), uint64(i)))
}

// has counts the bytes that are there.
func (b *partial) has() (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, ok := range b.have {
		if ok {
			n += int64(content.PieceLen(b.size, i))
		}
	}
	return n
}

// done forgets a file that is published.
func (s *partials) done(part *safefs.Part, j *safefs.Journal, b *partial) error {
	s.mu.Lock()
	if s.byPath[b.src] == b {
		delete(s.byPath, b.src)
	}
	s.mu.Unlock()
	if err := j.Append(binary.AppendUvarint([]byte{recDone}, b.id)); err != nil || b.swarm == nil {
		return err
	}
	return part.Remove(b.layerName())
}

// drop throws a file away.
func (s *partials) drop(part *safefs.Part, j *safefs.Journal, b *partial) error {
	b.unoffer()
	b.close()
	if err := part.Remove(b.name()); err != nil {
		return err
	}
	return s.done(part, j, b)
}

// ours reports whether this job has published that version of that file.
func (s *partials) ours(it *item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) == 0 {
		return false
	}
	_, ok := s.keys[it.key()]
	return ok
}

// published notes files that have their names.
func (s *partials) published(j *safefs.Journal, keys []uint64) error {
	s.mu.Lock()
	for _, k := range keys {
		s.keys[k] = struct{}{}
	}
	s.mu.Unlock()
	for len(keys) > 0 {
		n := min(len(keys), 4096)
		rec := make([]byte, 1, 1+8*n)
		rec[0] = recKeys
		for _, k := range keys[:n] {
			rec = binary.BigEndian.AppendUint64(rec, k)
		}
		if err := j.Append(rec); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// closeFiles closes what an attempt left open.
func (s *partials) closeFiles() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.byPath {
		if b.file == nil && b.busy { // whole, and its naming failed
			b.trusted = false
		}
		b.rest()
		b.busy = false
	}
}

// forget lets go of everything: the part folder is gone.
func (s *partials) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.byPath)
	clear(s.keys)
	s.loaded = false
}
