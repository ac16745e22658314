package download

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

// killSource is the same in every child, but for a/flip, whose content changes with every start.
func killSource(epoch int) *fakeSource {
	s := newFake()
	for i := range 3 {
		name := "a/big" + strconv.Itoa(i)
		s.put(name, random(name, (9+4*i)<<20+i))
	}
	for i := range 1200 {
		name := "a/d" + strconv.Itoa(i%20) + "/f" + strconv.Itoa(i)
		s.put(name, random(name, 500+i*7))
	}
	s.n = uint64(10_000 + epoch)
	s.put("a/flip", random("flip"+strconv.Itoa(epoch), 6<<20))
	return s
}

// sums knows the content of every file that the source ever had.
type sums struct {
	files map[string]content.Hash
	flips map[content.Hash]bool
	most  int // epochs known
}

func newSums() *sums {
	s := &sums{files: map[string]content.Hash{}, flips: map[content.Hash]bool{}}
	for p, f := range killSource(0).files {
		if p != "a/flip" {
			s.files[string(p)] = content.Sum(f.data)
		}
	}
	return s
}

// right reports whether a file under a final name is one that the source ever had. A flip that arrived stays, and the next one gets a number.
func (s *sums) right(rel, got string, epochs int) bool {
	h := content.Sum([]byte(got))
	if !strings.HasPrefix(rel, "a/flip") {
		return s.files[rel] == h
	}
	for ; s.most < epochs; s.most++ {
		s.flips[content.Sum(random("flip"+strconv.Itoa(s.most+1), 6<<20))] = true
	}
	return s.flips[h]
}

// child pulls the folder a into dir until it is done or killed.
func child(dir string) {
	epoch, err := strconv.Atoi(os.Getenv("PORCHLIGHT_DOWNLOAD_EPOCH"))
	if err != nil {
		panic(err)
	}
	s := killSource(epoch)
	pace := func() { time.Sleep(150 * time.Microsecond) }
	if os.Getenv("PORCHLIGHT_DOWNLOAD_FAST") != "" {
		pace = func() {}
	}
	s.onBytes = func(share.Path, int64, []byte) error { pace(); return nil }
	var n atomic.Int64 // packs come two at a time
	s.onPack = func(_ share.Path, b []byte) ([]byte, error) {
		if n.Add(1)%4 == 0 {
			pace()
		}
		return b, nil
	}
	crowd, h := killCrowd(s, epoch)
	m, err := New(Config{Store: fileStore{filepath.Join(dir, "jobs")}, Sources: crowd, Helpers: helpers{h}, Self: func() discovery.DeviceID { return keyOf(9).id() }, Tick: 20 * time.Millisecond, batch: time.Duration(5+epoch%7*10) * time.Millisecond})
	if err != nil {
		panic(err)
	}
	if len(m.Jobs()) == 0 {
		if _, err := m.Pull(transfer.Request{Source: crowd.key.id(), Paths: []share.Path{"a"}, Into: filepath.Join(dir, "into")}, "bo"); err != nil {
			panic(err)
		}
	}
	if epoch%5 == 4 && os.Getenv("PORCHLIGHT_DOWNLOAD_FAST") == "" {
		s.cut() // what was begun goes on with the helper alone
	}
	os.Stdout.WriteString("ready\n") //nolint:errcheck // the parent is the reader
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for m.Jobs()[0].State != transfer.Done {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := m.Run(ctx); err != nil {
		panic(err)
	}
}

// killCrowd names a helper for the largest file, in three starts of four. One of its pieces in eight is wrong.
func killCrowd(s *fakeSource, epoch int) (*crowdSource, *fakeHelper) {
	h := newHelper(2, s.files["a/big2"].data)
	var n atomic.Int64
	h.content = func(_ int, p []byte) ([]byte, error) {
		time.Sleep(500 * time.Microsecond)
		if n.Add(1)%8 == 0 {
			p[1] ^= 1
		}
		return p, nil
	}
	crowd := newCrowdSource()
	if epoch%4 != 0 {
		crowd = newCrowdSource(h)
	}
	crowd.fakeSource = s
	return crowd, h
}

// fileStore keeps one job in a file.
type fileStore struct{ path string }

func (s fileStore) Jobs() ([]transfer.Job, error) {
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var j transfer.Job
	err = json.Unmarshal(b, &j)
	return []transfer.Job{j}, err
}

func (s fileStore) PutJob(j transfer.Job) error {
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(s.path+".new", s.path)
}

func (s fileStore) DeleteJob(transfer.JobID) error { return os.Remove(s.path) }

func (s fileStore) NextJob() (transfer.JobID, error) { return 1, nil }

// TestKill kills a pull at random moments, looks at what stands under final names after each, and lets the last one finish.
func TestKill(t *testing.T) {
	kills := 30
	if n, err := strconv.Atoi(os.Getenv("PORCHLIGHT_KILLS")); err == nil && n > 0 {
		kills = n
	}
	want := newSums()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	rounds, seen, epoch := 1, 0, 0
	for range kills {
		epoch++
		wait := time.Duration(rnd.Int64N(int64(200 * time.Millisecond)))
		if runChild(t, dir, epoch, max(wait, 1)) {
			checkTree(t, dir, want, epoch, true)
			dir = t.TempDir()
			rounds++
			continue
		}
		seen += checkTree(t, dir, want, epoch, false)
	}
	epoch++
	if !runChild(t, dir, epoch, 0) {
		job, err := os.ReadFile(filepath.Join(dir, "jobs"))
		t.Errorf("the last one did not finish: %s %v", job, err)
	}
	checkTree(t, dir, want, epoch, true)
	t.Logf("%d kills in %d pulls; %d files looked at in between", kills, rounds, seen)
}

// runChild starts a pull, kills it after wait (never if 0), and reports whether it was done before.
func runChild(t *testing.T, dir string, epoch int, wait time.Duration) bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PORCHLIGHT_DOWNLOAD_CHILD="+dir, "PORCHLIGHT_DOWNLOAD_EPOCH="+strconv.Itoa(epoch))
	if wait == 0 {
		cmd.Env = append(cmd.Env, "PORCHLIGHT_DOWNLOAD_FAST=1")
		wait = calm.Most(30 * time.Second)
	}
	out := &strings.Builder{}
	cmd.Stderr = out
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("ready\n"))); err != nil { // so that the kill hits the pull and not the start
		t.Errorf("child: %v\n%s", err, out)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("child: %v\n%s", err, out)
		}
		return true
	case <-time.After(wait):
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		return <-done == nil
	}
}

// checkTree fails if anything under a final name is not right, and, once all is done, if anything is missing or left over.
func checkTree(t *testing.T, dir string, want *sums, epochs int, whole bool) (found int) {
	t.Helper()
	into := filepath.Join(dir, "into")
	if _, err := os.Stat(into); err != nil && !whole {
		return 0 // killed before it began
	}
	flips := 0
	for rel, data := range tree(t, into) {
		if strings.HasSuffix(rel, "/") {
			continue
		}
		if !want.right(rel, data, epochs) {
			t.Errorf("%s stands there with %d wrong bytes", rel, len(data))
		}
		if strings.HasPrefix(rel, "a/flip") {
			flips++
		} else {
			found++
		}
	}
	if whole {
		if found != len(want.files) || flips == 0 {
			t.Errorf("%d of %d files are there, and %d of the changing one", found, len(want.files), flips)
		}
		clean(t, into)
	}
	return found
}
