package download

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/client"
)

var _ Source = (*client.Client)(nil)

// fakeFile is a file of the far side.
type fakeFile struct {
	data    []byte
	mtime   time.Time
	version share.Version
}

// fakeSource is a device in memory that can be slow, cut off, changing and lying. Hooks run without its lock.
type fakeSource struct {
	mu     sync.Mutex
	files  map[share.Path]*fakeFile
	dirs   map[share.Path]bool
	layers map[share.Version]content.Layer
	down   chan struct{} // not nil and open while it is away
	n      uint64

	read  atomic.Int64 // bytes that ranges were asked for
	calls atomic.Int64
	away  atomic.Bool // the folder it shares is not there

	onManifest func(p share.Path, e share.Entry) error
	onRead     func(p share.Path, off int64) error
	onBytes    func(p share.Path, off int64, b []byte) error      // before a block of a range leaves
	onWait     func(ctx context.Context, p share.Path, off int64) // before a block of a range leaves, and until ctx ends at most
	onPack     func(p share.Path, b []byte) ([]byte, error)
	onLayer    func(p share.Path, l content.Layer) (content.Layer, error)
}

func newFake() *fakeSource {
	return &fakeSource{files: map[share.Path]*fakeFile{}, dirs: map[share.Path]bool{"": true}, layers: map[share.Version]content.Layer{}}
}

var fakeTime = time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.UTC)

func (s *fakeSource) put(p string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], s.n)
	sum := sha256.Sum256(append(b[:], p...))
	s.files[share.Path(p)] = &fakeFile{data, fakeTime.Add(time.Duration(s.n) * 10 * time.Second), share.Version(sum[:16])}
	for d := share.Path(p).Dir(); d != ""; d = d.Dir() {
		s.dirs[d] = true
	}
}

func (s *fakeSource) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = make(chan struct{})
	}
}

func (s *fakeSource) back() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		close(s.down)
		s.down = nil
	}
}

func (s *fakeSource) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down != nil
}

// Source and Up make a fakeSource the only device there is.
func (s *fakeSource) Source(discovery.DeviceID) (Source, error) {
	if s.isDown() {
		return nil, transfer.ErrAway
	}
	return s, nil
}

func (s *fakeSource) Up(discovery.DeviceID) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return s.down
	}
	c := make(chan struct{})
	close(c)
	return c
}

func (s *fakeSource) Shares(context.Context) ([]share.Offer, error) {
	if s.isDown() {
		return nil, transfer.ErrAway
	}
	return []share.Offer{{Kind: share.Folder, Name: "Photos", Away: s.away.Load()}}, nil
}

func (s *fakeSource) look(ctx context.Context, p share.Path, v share.Version) (*fakeFile, error) {
	s.calls.Add(1)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if s.isDown() {
		return nil, transfer.ErrAway
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[p]
	if f == nil || s.away.Load() {
		return nil, transfer.ErrGone
	}
	if f.version != v {
		return nil, transfer.ErrChanged
	}
	return f, nil
}

func (s *fakeSource) Manifest(ctx context.Context, _ share.ID, p share.Path, yield func(share.Entry) error) error {
	s.calls.Add(1)
	if s.isDown() {
		return transfer.ErrAway
	}
	all, err := s.entries(p)
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.onManifest != nil {
			if err := s.onManifest(p, e); err != nil {
				return err
			}
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// entries lists in the order of safefs.Tree.Walk.
func (s *fakeSource) entries(p share.Path) ([]share.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[p]; f != nil && !s.away.Load() {
		return []share.Entry{{Path: p, Kind: share.File, Size: int64(len(f.data)), MTime: f.mtime, Version: f.version}}, nil
	}
	if !s.dirs[p] || s.away.Load() {
		return nil, transfer.ErrGone
	}
	files, dirs := map[share.Path][]share.Path{}, map[share.Path][]share.Path{}
	for f := range s.files {
		files[f.Dir()] = append(files[f.Dir()], f)
	}
	for d := range s.dirs {
		if d != "" {
			dirs[d.Dir()] = append(dirs[d.Dir()], d)
		}
	}
	var out []share.Entry
	var walk func(share.Path)
	walk = func(d share.Path) {
		out = append(out, share.Entry{Path: d, Kind: share.Dir})
		slices.Sort(files[d])
		for _, path := range files[d] {
			f := s.files[path]
			out = append(out, share.Entry{Path: path, Kind: share.File, Size: int64(len(f.data)), MTime: f.mtime, Version: f.version})
		}
		slices.Sort(dirs[d])
		for _, sub := range dirs[d] {
			walk(sub)
		}
	}
	walk(p)
	return out, nil
}

func (s *fakeSource) Read(ctx context.Context, _ share.ID, p share.Path, v share.Version, r transfer.Range, w io.Writer) error {
	f, err := s.look(ctx, p, v)
	if err != nil {
		return err
	}
	if r.Off < 0 || r.Len <= 0 || r.Off+r.Len > int64(len(f.data)) {
		return transfer.ErrProtocol
	}
	if s.onRead != nil {
		if err := s.onRead(p, r.Off); err != nil {
			return err
		}
	}
	s.read.Add(r.Len)
	body := &fakeBody{s: s, ctx: ctx, p: p, v: v, off: r.Off, data: f.data[r.Off : r.Off+r.Len]}
	n, err := w.(io.ReaderFrom).ReadFrom(io.LimitReader(body, r.Len))
	if err == nil && n != r.Len {
		err = transfer.ErrAway
	}
	return err
}

// fakeBody is a range on its way.
type fakeBody struct {
	s    *fakeSource
	ctx  context.Context
	p    share.Path
	v    share.Version
	off  int64
	data []byte
}

func (b *fakeBody) Read(p []byte) (int, error) {
	if len(b.data) == 0 {
		return 0, io.EOF
	}
	if _, err := b.s.look(b.ctx, b.p, b.v); err != nil {
		return 0, fmt.Errorf("%w: cut", transfer.ErrAway)
	}
	if b.s.onWait != nil {
		b.s.onWait(b.ctx, b.p, b.off)
	}
	n := copy(p[:min(len(p), 256<<10)], b.data)
	if b.s.onBytes != nil {
		if err := b.s.onBytes(b.p, b.off, p[:n]); err != nil {
			return 0, err
		}
	}
	b.off, b.data = b.off+int64(n), b.data[n:]
	return n, nil
}

func (s *fakeSource) Pack(ctx context.Context, _ share.ID, want []share.Entry, yield func(client.Packed, io.Reader) error) error {
	if len(want) > packItems {
		return transfer.ErrLimit
	}
	for i, e := range want {
		f, err := s.look(ctx, e.Path, e.Version)
		if errors.Is(err, transfer.ErrAway) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			if err := yield(client.Packed{Index: i, Size: -1}, bytes.NewReader(nil)); err != nil {
				return err
			}
			continue
		}
		data, root := f.data, content.Sum(f.data)
		if s.onPack != nil {
			if data, err = s.onPack(e.Path, data); err != nil {
				return err
			}
		}
		if err := yield(client.Packed{Index: i, Size: int64(len(data)), Root: root}, bytes.NewReader(data)); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeSource) Layer(ctx context.Context, _ share.ID, p share.Path, v share.Version) (content.Layer, error) {
	f, err := s.look(ctx, p, v)
	if err != nil {
		return content.Layer{}, err
	}
	s.mu.Lock()
	l, ok := s.layers[v]
	s.mu.Unlock()
	if !ok {
		if l, err = content.Build(ctx, bytes.NewReader(f.data), int64(len(f.data)), 2); err != nil {
			return l, err
		}
		s.mu.Lock()
		s.layers[v] = l
		s.mu.Unlock()
	}
	if s.onLayer != nil {
		return s.onLayer(p, l)
	}
	return l, nil
}

// random makes n bytes that belong to seed.
func random(seed string, n int) []byte {
	sum := sha256.Sum256([]byte(seed))
	b := make([]byte, n)
	rand.NewChaCha8(sum).Read(b) //nolint:errcheck // never fails
	return b
}

// world is a manager with a source and a target folder.
type world struct {
	t    testing.TB
	s    *fakeSource
	m    *Manager
	into string
	stop func()
}

func newWorld(t testing.TB, s *fakeSource, change func(*Config)) *world {
	t.Helper()
	return openWorld(t, s, NewMemory(), filepath.Join(t.TempDir(), "into"), change)
}

func openWorld(t testing.TB, s *fakeSource, st Store, into string, change func(*Config)) *world {
	t.Helper()
	cfg := Config{Store: st, Sources: s, Tick: 10 * time.Millisecond, Poll: 10 * time.Millisecond, Retry: 4 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	var once sync.Once
	w := &world{t: t, s: s, m: m, into: into}
	w.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(w.stop)
	return w
}

func (w *world) pull(paths ...share.Path) transfer.JobID {
	w.t.Helper()
	return w.request(transfer.Request{ShareName: "Photos", Paths: paths, Into: w.into})
}

func (w *world) request(r transfer.Request) transfer.JobID {
	w.t.Helper()
	id, err := w.m.Pull(r, "bo")
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) job(id transfer.JobID) transfer.Job {
	for _, j := range w.m.Jobs() {
		if j.ID == id {
			return j
		}
	}
	w.t.Fatalf("job %d is not there", id)
	return transfer.Job{}
}

func (w *world) until(id transfer.JobID, what string, ok func(transfer.Job) bool) transfer.Job {
	w.t.Helper()
	for end := time.Now().Add(calm.Most(20 * time.Second)); ; time.Sleep(2 * time.Millisecond) {
		j := w.job(id)
		if ok(j) {
			return j
		}
		if time.Now().After(end) {
			w.t.Fatalf("never %s: %+v", what, j)
		}
	}
}

func (w *world) state(id transfer.JobID, s transfer.State) transfer.Job {
	w.t.Helper()
	return w.until(id, string(s), func(j transfer.Job) bool {
		if j.State != s && j.State.Ended() {
			w.t.Fatalf("%s instead of %s: %+v", j.State, s, j)
		}
		return j.State == s
	})
}

// gate is what a source waits at, until open is called. A test that ends early must open it too, or its manager never ends.
func gate() (closed <-chan struct{}, open func()) {
	c := make(chan struct{})
	return c, sync.OnceFunc(func() { close(c) })
}

// isClosed reports whether c is closed.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// tree reads everything below the target folder but the part folder.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), share.PrivatePrefix) {
			return filepath.SkipDir
		}
		rel, _ := filepath.Rel(dir, p)
		if d.IsDir() {
			if rel != "." {
				out[filepath.ToSlash(rel)+"/"] = ""
			}
			return nil
		}
		b, err := os.ReadFile(p)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// clean fails if a part folder was left.
func clean(t testing.TB, into string) {
	t.Helper()
	if _, err := os.Lstat(filepath.Join(into, ".porchlight-part")); !os.IsNotExist(err) {
		t.Error("the part folder is still there")
	}
}
