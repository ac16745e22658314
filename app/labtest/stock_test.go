//go:build linux && lab

package labtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
)

// Every file of a stock is made of blocks, and every block says whose it is, of which generation, and where it belongs; the rest of
// it follows from that. So whoever finds a copy can tell which states of the file its blocks come from, and whether the file was
// ever like that.
const (
	blockSize  = 64 * kib
	headerSize = 24 // three numbers: the file, the generation, the index of the block
)

// state is one state a file was in: the generation of each block, and its size. While something is written to the end of a file
// it has every size from least on.
type state struct {
	gens        []uint32
	least, size int64
}

// lineage is all that ever stood under one name.
type lineage struct {
	id      uint64
	gen     uint32 // the newest
	states  []state
	there   bool
	deleted bool // at some time
}

func (l *lineage) now() state { return l.states[len(l.states)-1] }

// stock is a shared folder whose files change, and the memory of every state they were in.
type stock struct {
	dir string
	tmp string // of the same disk, outside

	mu    sync.Mutex // guards the fields below
	files map[string]*lineage
	moves map[string]int // what was done, for the figures
}

func newStock(dir, tmp string) *stock {
	return &stock{dir: dir, tmp: tmp, files: map[string]*lineage{}, moves: map[string]int{}}
}

// fill makes the bytes of a block.
func fill(b []byte, id uint64, gen uint32, index int) {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], id)
	binary.LittleEndian.PutUint64(seed[8:], uint64(gen))
	binary.LittleEndian.PutUint64(seed[16:], uint64(index))
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	copy(b, seed[:headerSize])
}

// fit makes a size one that no header is cut off by.
func fit(size int64) int64 {
	if rest := size % blockSize; rest > 0 && rest < headerSize {
		size += headerSize
	}
	return max(size, headerSize)
}

func blocks(size int64) int { return int((size + blockSize - 1) / blockSize) }

// write writes the blocks from..to of a state.
func (l *lineage) write(f *os.File, s state, from, to int) error {
	b := make([]byte, blockSize)
	for i := from; i < to; i++ {
		fill(b, l.id, s.gens[i], i)
		off := int64(i) * blockSize
		if _, err := f.WriteAt(b[:min(blockSize, s.size-off)], off); err != nil {
			return err
		}
	}
	return nil
}

// whole is a state of one new generation.
func (l *lineage) whole(size int64) state {
	l.gen++
	return state{gens: slices.Repeat([]uint32{l.gen}, blocks(size)), least: size, size: size}
}

// remember notes a state before it is on the disk.
func (s *stock) remember(l *lineage, st state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.states, l.there = append(l.states, st), true
}

// line returns the lineage of a name, and counts what is about to be done.
func (s *stock) line(name, move string) *lineage {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.files[name]
	if l == nil {
		h := fnv.New64a()
		_, _ = h.Write([]byte(s.dir + "\x00" + name)) // never fails
		l = &lineage{id: h.Sum64()}
		s.files[name] = l
	}
	s.moves[move]++
	return l
}

// create writes a file from its beginning, as a copy does; what stood there is cut to nothing first.
func (s *stock) create(name string, size int64) error {
	l := s.line(name, "written from the start")
	st := l.whole(size)
	st.least = 0
	s.remember(l, st)
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(l.write(f, st, 0, len(st.gens)), f.Close())
}

// replace puts another file in the place of one, at once, as editors do.
func (s *stock) replace(name string, size int64) error {
	l := s.line(name, "replaced")
	st := l.whole(size)
	f, err := os.CreateTemp(s.tmp, "")
	if err != nil {
		return err
	}
	if err := errors.Join(l.write(f, st, 0, len(st.gens)), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	s.remember(l, st)
	return os.Rename(f.Name(), filepath.Join(s.dir, name))
}

// extend writes on behind the end of a file.
func (s *stock) extend(name string, more int64) error {
	l := s.line(name, "appended")
	was := l.now()
	st := state{gens: slices.Clone(was.gens), least: was.size, size: was.size + more}
	l.gen++
	for len(st.gens) < blocks(st.size) {
		st.gens = append(st.gens, l.gen)
	}
	s.remember(l, st)
	first := int(was.size / blockSize)
	var add []byte
	for i := first; i < len(st.gens); i++ {
		b := make([]byte, blockSize)
		fill(b, l.id, st.gens[i], i)
		add = append(add, b...)
	}
	off := was.size - int64(first)*blockSize
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(add[off : off+more])
	return errors.Join(err, f.Close())
}

// rewrite writes new blocks over old ones, in their places, one after another, as databases and images of disks have it.
func (s *stock) rewrite(name string, from, to int) error {
	l := s.line(name, "written over")
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	l.gen++
	for i := from; i < to && err == nil; i++ {
		was := l.now()
		st := state{gens: slices.Clone(was.gens), least: was.size, size: was.size}
		st.gens[i] = l.gen
		s.remember(l, st)
		err = l.write(f, st, i, i+1)
	}
	return errors.Join(err, f.Close())
}

// remove deletes a file.
func (s *stock) remove(name string) error {
	l := s.line(name, "deleted")
	s.mu.Lock()
	l.there, l.deleted = false, true
	s.mu.Unlock()
	return os.Remove(filepath.Join(s.dir, name))
}

// names returns the files that are there, in order.
func (s *stock) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name, l := range s.files {
		if l.there {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// size returns the size of a file.
func (s *stock) size(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[name].now().size
}

// gone reports whether a file was deleted at some time.
func (s *stock) gone(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.files[name]
	return l != nil && l.deleted
}

// numbered is what the program puts behind a name that is taken.
var numbered = regexp.MustCompile(` \(\d+\)(\.[^./]*)?$`)

// judge says what is wrong with a copy that stands under a name: nil if the file was ever like that.
func (s *stock) judge(name, file string) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was compared and deleted meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	s.mu.Lock()
	l := s.files[numbered.ReplaceAllString(name, "$1")]
	s.mu.Unlock()
	if l == nil {
		return errors.New("there never was a file of this name")
	}
	gens, size, err := l.read(f)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range slices.Backward(l.states) {
		if size >= st.least && size <= st.size && slices.Equal(gens, st.gens[:len(gens)]) {
			return nil
		}
	}
	return fmt.Errorf("%d bytes of the generations %v, and it was never like that; it is at %v", size, runs(gens), runs(l.now().gens))
}

// read returns the generation of each block of a copy, and its size.
func (l *lineage) read(f *os.File) (gens []uint32, size int64, err error) {
	got, want := make([]byte, blockSize), make([]byte, blockSize)
	for i := 0; ; i++ {
		n, err := io.ReadFull(f, got)
		if err == io.EOF {
			return gens, size, nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return nil, 0, err
		}
		if n < headerSize {
			return nil, 0, fmt.Errorf("block %d has %d bytes, and never was that short", i, n)
		}
		id, gen, index := binary.LittleEndian.Uint64(got), uint32(binary.LittleEndian.Uint64(got[8:])), binary.LittleEndian.Uint64(got[16:])
		if id != l.id || index != uint64(i) {
			return nil, 0, fmt.Errorf("block %d says that it is block %d of %x, and should be of %x", i, index, id, l.id)
		}
		fill(want, l.id, gen, i)
		if k := differs(got[:n], want[:n]); k >= 0 {
			return nil, 0, fmt.Errorf("block %d, of generation %d, has a wrong byte at %d of %d", i, gen, k, n)
		}
		gens, size = append(gens, gen), size+int64(n)
	}
}

// differs returns where two slices of one length differ first; -1 if nowhere.
func differs(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// runs shortens a list of generations: "3×40 4×1 3×23".
func runs(gens []uint32) []string {
	var out []string
	for i := 0; i < len(gens); {
		k := i
		for k < len(gens) && gens[k] == gens[i] {
			k++
		}
		out = append(out, fmt.Sprintf("%d×%d", gens[i], k-i))
		i = k
	}
	return out
}

// TestStock checks the judge of the long rows: it knows every state a file was in, and nothing else passes.
func TestStock(t *testing.T) {
	s := newStock(filepath.Join(t.TempDir(), "own"), t.TempDir())
	const name, size = "a/file.bin", 5*blockSize + 1000
	path := filepath.Join(s.dir, name)
	var copies [][]byte
	for _, move := range []func() error{
		func() error { return s.create(name, size) },
		func() error { return s.extend(name, blockSize) },
		func() error { return s.rewrite(name, 1, 3) },
		func() error { return s.replace(name, size/2) },
		func() error { return s.create(name, size) },
	} {
		if err := move(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copies = append(copies, data)
	}
	if err := s.remove(name); err != nil {
		t.Fatal(err)
	}
	halfway := slices.Clone(copies[1])
	copy(halfway[blockSize:2*blockSize], copies[2][blockSize:])
	mixed := slices.Clone(copies[1])
	copy(mixed[2*blockSize:3*blockSize], copies[2][2*blockSize:])
	spoilt := slices.Clone(copies[4])
	spoilt[size-1] ^= 1
	for _, tt := range []struct {
		what, name string
		data       []byte
		ok         bool
	}{
		{"the first", name, copies[0], true},
		{"appended", name, copies[1], true},
		{"half appended", name, copies[1][:size+100], true},
		{"written over", name, copies[2], true},
		{"half written over", name, halfway, true},
		{"replaced", name, copies[3], true},
		{"the last", name, copies[4], true},
		{"half of the last", name, copies[4][:size/2], true},
		{"nothing yet of the last", name, nil, true},
		{"with a number", "a/file (2).bin", copies[0], true},
		{"blocks of two states", name, mixed, false},
		{"cut off", name, copies[2][:size], false},
		{"the replaced one cut off", name, copies[3][:size/4], false},
		{"too long", name, append(slices.Clone(copies[4]), 0), false},
		{"one bit", name, spoilt, false},
		{"another place", name, copies[0][blockSize:], false},
		{"another name", "a/other.bin", copies[0], false},
	} {
		file := filepath.Join(t.TempDir(), "copy")
		if err := os.WriteFile(file, tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.judge(tt.name, file); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}
