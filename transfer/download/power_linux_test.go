package download

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/share/safefs"
	"porchlight/transfer"
)

// powered is a disk whose power can be cut: it keeps what was done to it in the order in which it was done. What was not synced may then be
// there, not there, half there or zeros, each write for itself; names that were not synced are changed up to any of the steps in their order, as
// file systems with a journal keep them, or (loose) each file's for itself, which is all that POSIX promises. (Pillai and others, "All File Systems
// Are Not Created Equal", OSDI 2014.) Syncing costs nothing here.
type powered struct {
	mu    sync.Mutex // guards the fields below
	steps []poweredStep
	given func() int64
}

type poweredStep struct {
	safefs.Step
	job   *transfer.Job // not nil: the job was stored, and that is durable
	given int64         // what the source had given by then
}

func (d *powered) note(s poweredStep) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.given = d.given()
	d.steps = append(d.steps, s)
}

func (d *powered) watch(s *safefs.Step, do func() error) error {
	switch s.Deed {
	case safefs.SyncedFile, safefs.SyncedFolder, safefs.SyncedDisk:
	default:
		if err := do(); err != nil {
			return err
		}
	}
	note := *s
	note.Data = bytes.Clone(s.Data)
	if s.Deed != safefs.Read && s.Deed != safefs.Opened && s.Deed != safefs.Timed && s.Deed != safefs.Reserved && !strings.HasSuffix(s.Name, "/probe") {
		d.note(poweredStep{Step: note})
	}
	return nil
}

// PutJob makes it a store for one job.
func (d *powered) PutJob(j transfer.Job) error {
	d.note(poweredStep{job: &j})
	return nil
}

// body is the content of one file.
type body struct {
	kind  string // the deed that made it
	write []int  // steps
	sync  int    // everything before this step is durable
	names []int  // steps that name it, in order
	sure  int    // so many of them are durable
}

// replay finds out what the files are after so many steps.
func (d *powered) replay(cut int, loose bool) (bodies []*body, order []int, sure int) {
	at := map[string]*body{}
	synced := func(of *body, i int) { of.sync = i }
	for i, s := range d.steps[:cut] {
		if s.job != nil {
			continue
		}
		b := at[s.Name]
		switch s.Deed {
		case safefs.MadeFile, safefs.MadeFolder, safefs.Put:
			if b == nil || s.Deed == safefs.Put {
				b = &body{kind: string(s.Deed), names: []int{i}}
				at[s.Name] = b
				bodies = append(bodies, b)
				order = append(order, i)
			}
			if s.Deed == safefs.Put {
				b.write = append(b.write, i)
			}
		case safefs.Wrote, safefs.Sized:
			b.write = append(b.write, i)
		case safefs.Renamed:
			delete(at, s.Name)
			at[s.To] = b
			b.names = append(b.names, i)
			order = append(order, i)
		case safefs.Removed:
			for name, gone := range at {
				if name == s.Name || strings.HasPrefix(name, s.Name+"/") {
					delete(at, name)
					gone.names = append(gone.names, i)
				}
			}
			order = append(order, i)
		case safefs.SyncedFile:
			synced(b, i)
			sure = len(order) // the journal of the file system is one
		case safefs.SyncedFolder:
			sure = len(order)
			for _, b := range at {
				if last := d.steps[b.names[len(b.names)-1]]; last.Deed != safefs.Removed && path.Dir(cmp.Or(last.To, last.Name)) == path.Clean(s.Name) {
					b.sure = len(b.names)
				}
			}
		case safefs.SyncedDisk:
			sure = len(order)
			for _, b := range bodies {
				synced(b, i)
				b.sure = len(b.names)
			}
		}
	}
	if loose {
		return bodies, nil, 0
	}
	return bodies, order, sure
}

// lay makes the folder that a cut after so many steps leaves.
func (d *powered) lay(t *testing.T, into string, cut int, loose bool, rnd *rand.Rand) {
	t.Helper()
	bodies, order, sure := d.replay(cut, loose)
	last := -1 // the last name that changed
	if n := sure + rnd.IntN(len(order)-sure+1); n > 0 {
		last = order[n-1]
	}
	for _, b := range bodies {
		kept := 0
		for kept < len(b.names) && b.names[kept] <= last {
			kept++
		}
		if loose {
			kept = b.sure + rnd.IntN(len(b.names)-b.sure+1)
		}
		if kept == 0 || d.steps[b.names[kept-1]].Deed == safefs.Removed {
			continue
		}
		s := d.steps[b.names[kept-1]]
		to := filepath.Join(into, filepath.FromSlash(cmp.Or(s.To, s.Name)))
		if _, err := os.Stat(filepath.Dir(to)); err != nil {
			continue // with the folder it was in
		}
		if b.kind == string(safefs.MadeFolder) {
			must(t, os.MkdirAll(to, 0o777))
			continue
		}
		luck := []float64{0, 0.5, 1}[rnd.IntN(3)]
		must(t, os.WriteFile(to, d.content(b, luck, rnd), 0o666))
		must(t, os.Chtimes(to, time.Time{}, powerTime))
	}
}

// powerTime is that of every file, so that time never tells a wrong one from a right one.
var powerTime = fakeTime

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content is what a cut leaves of a file.
func (d *powered) content(b *body, luck float64, rnd *rand.Rand) []byte {
	var out []byte
	grow := func(n int) {
		if n > len(out) {
			out = append(out, make([]byte, n-len(out))...)
		}
	}
	for _, i := range b.write {
		s := d.steps[i]
		data := s.Data
		if i > b.sync && rnd.Float64() >= luck {
			switch rnd.IntN(3) {
			case 0:
				continue
			case 1:
				data = data[:rnd.IntN(len(data)+1)]
			case 2:
				data = make([]byte, len(data))
			}
		}
		if s.Deed == safefs.Sized {
			grow(int(s.Off))
			out = out[:s.Off]
			continue
		}
		grow(int(s.Off) + len(data))
		copy(out[s.Off:], data)
	}
	return out
}

// powerSource has several large files and batches of small ones; all of one time.
func powerSource() *fakeSource {
	s := faultSource()
	for i := range 30 {
		name := fmt.Sprintf("a/d2/more%d", i)
		s.put(name, random(name, 2000))
	}
	for _, f := range s.files {
		f.mtime = powerTime
	}
	return s
}

// recordedPull pulls the folder a on a disk whose power can be cut.
func recordedPull(t *testing.T, s *fakeSource, given *atomic.Int64) *powered {
	t.Helper()
	metered(s, given, func(int64) { time.Sleep(100 * time.Microsecond) })
	d := &powered{given: given.Load}
	w := openWorld(t, s, &poweredStore{Memory: NewMemory(), disk: d}, filepath.Join(t.TempDir(), "into"), func(c *Config) {
		c.watch, c.batch = d.watch, 3*time.Millisecond
	})
	w.state(w.pull("a"), transfer.Done)
	w.stop()
	metered(s, given, func(int64) {})
	return d
}

// TestPowerCuts cuts the power at many moments of a pull, each with several ways for what was not synced to be lost. A file under its final name is
// right at once, a job that is stored as done has all its files, and every other one ends well.
func TestPowerCuts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 7))
	s := powerSource()
	want, size := s.all()
	var given atomic.Int64
	d := recordedPull(t, s, &given)
	every := 3
	if raced {
		every = 9
	}
	if os.Getenv("PORCHLIGHT_CRASH_RUNS") != "" {
		every = 1
	}
	cuts, done := 0, 0
	var worst int64
	for cut := 0; cut <= len(d.steps); cut++ {
		ways := 1
		switch {
		case cut == len(d.steps):
			ways = 20 // nothing makes up for what is lost now
		case cut%every != 0:
			continue
		}
		for way := range ways {
			loose := (cut/every+way)%2 == 1
			what := fmt.Sprintf("cut after step %d of %d, loose %v", cut, len(d.steps), loose)
			into := filepath.Join(t.TempDir(), "into")
			must(t, os.MkdirAll(into, 0o777)) // what a person chose is there
			d.lay(t, into, cut, loose, rnd)
			job, had := d.stored(cut)
			if job == nil {
				continue
			}
			cuts++
			given.Store(0)
			if d.afterCut(t, s, *job, into, what, want) {
				done++
			} else {
				worst = max(worst, had+given.Load()-size)
			}
		}
	}
	t.Logf("%d steps, %d cuts, %d of them after the end; at most %d of %d KiB fetched again", len(d.steps), cuts, done, worst>>10, size>>10)
	if cuts < len(d.steps)/every || done == 0 || worst > size {
		t.Errorf("%d cuts, %d after the end, %d bytes again", cuts, done, worst)
	}
}

// afterCut looks at what a cut left and lets the job end, unless it is done already: that it reports.
func (*powered) afterCut(t *testing.T, s *fakeSource, job transfer.Job, into, what string, want map[string]string) (done bool) {
	t.Helper()
	if wrong := wrongUnder(t, into, want); wrong != "" {
		t.Errorf("%s: %s", what, wrong)
	}
	if done = job.State == transfer.Done; done {
		what += ", done"
	} else {
		what += ", resumed"
		goOn(t, s, job, into, what)
	}
	if wrong, n := wrongUnder(t, into, want), countFiles(tree(t, into)); wrong != "" || n != len(want) {
		t.Errorf("%s: %d of %d files are there; wrong is %q", what, n, len(want), wrong)
	}
	os.RemoveAll(into) //nolint:errcheck // the test's folder goes later
	return done
}

func countFiles(tree map[string]string) (n int) {
	for name := range tree {
		if !strings.HasSuffix(name, "/") {
			n++
		}
	}
	return n
}

// stored is the job as it was kept when so many steps were done, and what had been given by then.
func (d *powered) stored(cut int) (job *transfer.Job, given int64) {
	for _, s := range slices.Backward(d.steps[:cut]) {
		given = max(given, s.given)
		if s.job != nil && job == nil {
			job = s.job
		}
	}
	return job, given
}

// goOn lets a job end that was cut off.
func goOn(t *testing.T, s *fakeSource, j transfer.Job, into, what string) {
	t.Helper()
	j.Request.Into = into
	if j.Result != "" {
		j.Result = into
	}
	st := NewMemory()
	must(t, st.PutJob(j))
	w := openWorld(t, s, st, into, func(c *Config) {
		c.batch = 2 * time.Millisecond
		c.watch = (&breaking{}).watch
	})
	j = w.until(j.ID, what+": done", func(j transfer.Job) bool { return j.State.Ended() })
	w.stop()
	if b, _ := json.Marshal(j); j.State != transfer.Done || j.Failed > 0 || j.Adapted > 0 {
		t.Errorf("%s: %s", what, b)
	}
}

// poweredStore tells a disk of what it keeps.
type poweredStore struct {
	*Memory
	disk *powered
}

func (s *poweredStore) PutJob(j transfer.Job) error {
	s.disk.PutJob(j) //nolint:errcheck // cannot fail
	return s.Memory.PutJob(j)
}
