package download

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// deedOf names what a step of a pull is for: the deed, and what kind of file it is done to.
func deedOf(s *safefs.Step) string {
	rest, private := strings.CutPrefix(s.Name, ".porchlight-part")
	parts := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	what := "target folder"
	switch base := parts[len(parts)-1]; {
	case !private:
	case rest == "":
		what = "folder of parts"
	case rest == "/probe":
		what = "probe"
	case len(parts) == 1:
		what = "part folder"
	case base == "journal" && s.Deed == safefs.Wrote && len(s.Data) > 8 && !strings.HasPrefix(string(s.Data), "porchlight"):
		what = "journal record " + string(s.Data[8])
	case base == "journal":
		what = base
	case base[0] == 'f':
		what = "large file"
	case base[0] == 's':
		what = "small file"
	}
	return string(s.Deed) + ": " + what
}

// points ends a process at one of the points that it passes, or counts them all.
type points struct {
	mu    sync.Mutex // guards the fields below
	seen  map[string]int
	at    string // "" for never
	nth   int
	reach func()
}

// pass says that a point is reached.
func (p *points) pass(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string]int{}
	}
	p.seen[name]++
	if name == p.at && p.seen[name] == p.nth {
		p.reach() // with the lock held: nobody passes another point
	}
}

func (p *points) watch(s *safefs.Step, do func() error) error {
	name := deedOf(s)
	p.pass("before " + name)
	err := do()
	p.pass("after " + name)
	return err
}

// pointStore is a store with points of its own.
type pointStore struct {
	fileStore
	points *points
}

func (s pointStore) PutJob(j transfer.Job) error {
	s.points.pass("before job stored: " + string(j.State))
	err := s.fileStore.PutJob(j)
	s.points.pass("after job stored: " + string(j.State))
	return err
}

// crashSource is what a process that crashes pulls: large files, files of a batch that is synced one by one and of one that is not.
func crashSource() *fakeSource {
	s := newFake()
	s.put("a/big0", random("big0", 5<<20+1))
	s.put("a/big1", random("big1", 3<<20))
	for i := range 40 {
		name := "a/d" + strconv.Itoa(i%4) + "/f" + strconv.Itoa(i)
		s.put(name, random(name, 300+i*11))
	}
	return s
}

// metered counts the bytes that a source gives.
func metered(s *fakeSource, n *atomic.Int64, then func(int64)) {
	s.onBytes = func(_ share.Path, _ int64, b []byte) error {
		then(n.Add(int64(len(b))))
		return nil
	}
	s.onPack = func(_ share.Path, b []byte) ([]byte, error) {
		then(n.Add(int64(len(b))))
		return b, nil
	}
}

func (s *fakeSource) all() (files map[string]string, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	files = map[string]string{}
	for p, f := range s.files {
		files[string(p)] = string(f.data)
		bytes += int64(len(f.data))
	}
	return files, bytes
}

// crashChild pulls into dir until it is done or reaches the point where it kills itself.
func crashChild(dir string) {
	p := &points{at: os.Getenv("PORCHLIGHT_CRASH_AT")}
	p.nth, _ = strconv.Atoi(os.Getenv("PORCHLIGHT_CRASH_NTH"))
	p.reach = func() {
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			self.Kill() //nolint:errcheck // that it lives is seen by the parent
		}
		select {}
	}
	f, err := os.OpenFile(filepath.Join(dir, "given"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	var given atomic.Int64
	given.Store(readGiven(dir))
	s := crashSource()
	if mib, err := strconv.Atoi(os.Getenv("PORCHLIGHT_CRASH_MIB")); err == nil {
		s = oneLargeFile(mib)
	}
	var mu sync.Mutex
	end, err := strconv.ParseInt(os.Getenv("PORCHLIGHT_CRASH_END"), 10, 64)
	if err != nil {
		end = math.MaxInt64
	}
	metered(s, &given, func(int64) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := f.WriteAt(binary.BigEndian.AppendUint64(nil, uint64(given.Load())), 0); err != nil {
			panic(err)
		}
		if given.Load() > end {
			select {} // the one who kills may come late
		}
	})
	pullUntilDone(dir, s, p, func(c *Config) { c.watch = p.watch })
}

func readGiven(dir string) int64 {
	b, _ := os.ReadFile(filepath.Join(dir, "given"))
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

// crash runs a child to its end, or to the point where it ends itself; it reports which.
func crash(t *testing.T, dir, at string, nth int) (killed bool) {
	t.Helper()
	cmd, out := startCrash(t, dir, "PORCHLIGHT_CRASH_AT="+at, "PORCHLIGHT_CRASH_NTH="+strconv.Itoa(nth))
	stuck := time.AfterFunc(calm.Most(time.Minute), func() { cmd.Process.Kill() }) //nolint:errcheck // it has ended then
	err := cmd.Wait()
	if !stuck.Stop() {
		t.Fatalf("%s: the child never ended", at)
	}
	if err != nil && strings.Contains(out.String(), "panic") {
		t.Fatalf("%s: %s", at, out)
	}
	return err != nil
}

func startCrash(t *testing.T, dir string, env ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "PORCHLIGHT_CRASH_CHILD="+dir), env...)
	out := &strings.Builder{}
	cmd.Stderr, cmd.Stdout = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// finish lets this process end the pull of a dir, and returns the bytes that were given by all that worked at it.
func finish(t *testing.T, dir string, change bool) int64 {
	t.Helper()
	s := crashSource()
	if change {
		s.put("a/big1", newer(s))
	}
	var given atomic.Int64
	metered(s, &given, func(int64) {})
	pullUntilDone(dir, s, &points{}, nil)
	return given.Load() + readGiven(dir)
}

// newer is what big1 becomes while nobody pulls.
func newer(s *fakeSource) []byte { return changed(s.files["a/big1"].data, 1) }

// wrongUnder names a file that stands under a final name and is not what its source has; "" if none is.
func wrongUnder(t *testing.T, dir string, want map[string]string) string {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	for rel, data := range tree(t, dir) {
		if w, ok := want[rel]; !strings.HasSuffix(rel, "/") && (!ok || w != data) {
			return fmt.Sprintf("%s with %d bytes", rel, len(data))
		}
	}
	return ""
}

// half is a point in the middle of a pull; what it leaves is where a pull is resumed from.
const half, halfNth = "after write: journal record p", 4

// TestCrashPoints kills a pull before and after everything that it does to the disk. Under its final names there is never a wrong byte, what is stored
// can always be loaded, and what is fetched again is little.
func TestCrashPoints(t *testing.T) {
	runs := 1
	if n, err := strconv.Atoi(os.Getenv("PORCHLIGHT_CRASH_RUNS")); err == nil && n > 0 {
		runs = n
	}
	want, size := crashSource().all()
	fresh, resumed := &points{}, &points{}
	dir := t.TempDir()
	pullUntilDone(dir, crashSource(), fresh, func(c *Config) { c.watch = fresh.watch })
	dir = t.TempDir()
	if !crash(t, dir, half, halfNth) {
		t.Fatal("there is no half")
	}
	pullUntilDone(dir, crashSource(), resumed, func(c *Config) { c.watch = resumed.watch })
	all := maps.Clone(fresh.seen)
	for name, n := range resumed.seen {
		if _, ok := all[name]; !ok {
			all[name] = -n
		}
	}
	rnd := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	var kills, met int
	var worst int64
	var missed []string
	names := slices.Sorted(maps.Keys(all))
	if raced {
		rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		names = names[:len(names)/3]
	}
	for _, name := range names {
		hit := 0
		for try := 0; hit < runs && try < 4*runs; try++ {
			dir, nth := t.TempDir(), all[name]
			if nth < 0 {
				crash(t, dir, half, halfNth)
				nth = -nth
			}
			if nth = 1 + rnd.IntN(nth); try >= 2*runs {
				nth = 1
			}
			if !crash(t, dir, name, nth) {
				continue // what runs side by side does not always come to the same
			}
			hit++
			worst = max(worst, afterCrash(t, dir, name, want, (kills+hit)%2 == 0)-size)
		}
		kills += hit
		if hit == runs {
			met++
		} else {
			missed = append(missed, name)
		}
	}
	const most = 4 << 20
	t.Logf("%d of %d points with %d kills each, %d kills in all; at most %d KiB of %d fetched again, bound %d; too seldom %q", met, len(names), runs, kills, worst>>10, size>>10, most>>10, missed)
	if met < len(names)*4/5 || len(all) < 55 || worst > most {
		t.Errorf("%d points, %d bytes again", met, worst)
	}
}

// afterCrash looks at what a crash left, lets the pull end, and returns how many bytes were given for it in all.
func afterCrash(t *testing.T, dir, at string, want map[string]string, change bool) int64 {
	t.Helper()
	into := filepath.Join(dir, "into")
	if w := wrongUnder(t, into, want); w != "" {
		t.Errorf("killed %s: %s", at, w)
	}
	jobs, err := fileStore{filepath.Join(dir, "jobs")}.Jobs()
	if err != nil {
		t.Errorf("killed %s: %v", at, err)
	}
	if len(jobs) == 1 && jobs[0].State == transfer.Done {
		change = false // nobody goes on with it
	}
	given := finish(t, dir, change)
	names := len(want) + 5
	if now := string(newer(crashSource())); change {
		want = maps.Clone(want)
		if got := tree(t, into); got["a/big1"] != now && got["a/big1 (2)"] == now { // the older one had its name
			want["a/big1 (2)"] = now
			names++
		} else {
			want["a/big1"] = now
		}
	}
	if w := wrongUnder(t, into, want); w != "" || len(tree(t, into)) != names {
		t.Errorf("killed %s and resumed: wrong is %q", at, w)
	}
	clean(t, into)
	os.RemoveAll(dir) //nolint:errcheck // the test's folder goes later
	return given
}

// pullUntilDone pulls the folder a into dir, or goes on with that.
func pullUntilDone(dir string, s *fakeSource, p *points, change func(*Config)) {
	cfg := Config{Store: pointStore{fileStore{filepath.Join(dir, "jobs")}, p}, Sources: s, Tick: 10 * time.Millisecond, Poll: 10 * time.Millisecond,
		Retry: 4 * time.Millisecond, batch: 5 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	m, err := New(cfg)
	if err != nil {
		panic(err)
	}
	if len(m.Jobs()) == 0 {
		if _, err := m.Pull(transfer.Request{Paths: []share.Path{"a"}, Into: filepath.Join(dir, "into")}, "bo"); err != nil {
			panic(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), calm.Most(30*time.Second))
	defer cancel()
	go func() {
		for m.Jobs()[0].State != transfer.Done && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := m.Run(ctx); err != nil {
		panic(err)
	}
	if j := m.Jobs()[0]; j.State != transfer.Done {
		panic(fmt.Sprintf("%+v", j))
	}
}

// oneLargeFile is a source of one file.
func oneLargeFile(mib int) *fakeSource {
	s := newFake()
	tile := random("tile", 16<<20+4096) // no two pieces are equal
	data := make([]byte, mib<<20)
	for at := 0; at < len(data); {
		at += copy(data[at:], tile)
	}
	s.put("a/big", data)
	return s
}

// TestKillFetchesLittleAgain kills the pull of one large file from outside, again and again, and counts what was given twice in the end.
func TestKillFetchesLittleAgain(t *testing.T) {
	mib := 96
	if n, err := strconv.Atoi(os.Getenv("PORCHLIGHT_KILL_MIB")); err == nil && n > 0 {
		mib = n
	}
	rnd := rand.New(rand.NewPCG(3, uint64(time.Now().UnixNano())))
	dir, size := t.TempDir(), int64(mib)<<20
	const kills = 5
	for k := range int64(kills) {
		at := size/kills*k + rnd.Int64N(size/kills*9/10)
		cmd, out := startCrash(t, dir, "PORCHLIGHT_CRASH_MIB="+strconv.Itoa(mib), "PORCHLIGHT_CRASH_END="+strconv.FormatInt(size-size/kills/10, 10))
		for end := time.Now().Add(calm.Most(time.Minute)); readGiven(dir) < at && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
		cmd.Process.Kill() //nolint:errcheck // one that is done fails below
		if cmd.Wait() == nil {
			t.Fatalf("done before %d of %d bytes: %s", at, size, out)
		}
	}
	cmd, out := startCrash(t, dir, "PORCHLIGHT_CRASH_MIB="+strconv.Itoa(mib))
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	again := (readGiven(dir) - size) / kills
	const most = 8 << 20
	t.Logf("%d MiB, killed %d times: %d KiB fetched again each time, at most %d", mib, kills, again>>10, most>>10)
	if again > most || again < 0 {
		t.Errorf("%d bytes again", again)
	}
	all, _ := oneLargeFile(mib).all()
	if w := wrongUnder(t, filepath.Join(dir, "into"), all); w != "" {
		t.Error(w)
	}
}
