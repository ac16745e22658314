package download

import (
	"bufio"
	"bytes"
	"context"
	"hash/maphash"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// hostileNames reads the corpus that share/safefs keeps: those a listing may contain, the rest being refused before it comes here.
func hostileNames(t *testing.T) (names []string) {
	t.Helper()
	f, err := os.Open(filepath.FromSlash("../../share/safefs/testdata/names.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, err := strconv.Unquote(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		if share.CheckComponent(name) == nil && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	if len(names) < 300 {
		t.Fatalf("%d names", len(names))
	}
	return names
}

// TestPullCorpus pulls every hostile name there is, as files and as folders: each arrives once, under a name of the target folder, and each changed name is told.
func TestPullCorpus(t *testing.T) {
	names := hostileNames(t)
	s := newFake()
	for _, n := range names {
		s.put("files/"+n, []byte("file "+n))
		s.put("folders/"+n+"/f", []byte("folder "+n))
	}
	w := newWorld(t, s, nil)
	for round := range 2 {
		j := w.state(w.pull("files", "folders"), transfer.Done)
		got, sources, adapted := tree(t, w.into), map[string]string{}, 0
		for at, text := range got {
			if text == "" {
				continue
			}
			if other, twice := sources[text]; twice {
				t.Errorf("%q is at %q and at %q", text, at, other)
			}
			sources[text] = at
			kind, name, _ := strings.Cut(text, " ")
			if want := map[string]string{"file": "files/" + name, "folder": "folders/" + name + "/f"}[kind]; at != want {
				adapted++
			}
		}
		if len(sources) != 2*len(names) || j.Done != 2*len(names) || j.Failed != 0 {
			t.Errorf("%d of %d arrived: %d done, %d failed", len(sources), 2*len(names), j.Done, j.Failed)
		}
		if j.Adapted != adapted || len(j.Problems) != min(adapted, transfer.MaxProblems) || adapted < 20 {
			t.Errorf("%d names were adapted, %d are told of, %d with their names", adapted, j.Adapted, len(j.Problems))
		}
		if round == 1 && j.Skipped != 2*len(names) {
			t.Errorf("the second time %d of %d were there already", j.Skipped, 2*len(names))
		}
		if all, err := os.ReadDir(filepath.Dir(w.into)); err != nil || len(all) != 1 {
			t.Errorf("beside the target folder: %v, %v", all, err)
		}
		t.Logf("%d files, %d names adapted", len(sources), adapted)
	}
}

// TestCorpusOnDisksThatFold gives the corpus names on disks that few test machines have: no two are one name there.
func TestCorpusOnDisksThatFold(t *testing.T) {
	for _, strict := range []bool{false, true} {
		names := safefs.NewNames(strict, true, 0)
		l := &lister{pull: &pull{tally: &tally{}}, names: names, seed: maphash.MakeSeed()}
		up, taken := &level{used: map[uint64]int{}}, map[string]string{}
		for _, n := range hostileNames(t) {
			got, _, err := l.pick(up, n, 1)
			if err != nil {
				t.Errorf("nothing for %q: %v", n, err)
				continue
			}
			key := strings.ToLower(strings.ToUpper(names.Key(got)))
			if other, twice := taken[key]; twice {
				t.Errorf("%q and %q are both %q", n, other, got)
			}
			taken[key] = n
		}
	}
}

// TestDeepest: the deepest folder that can be named arrives, below the root of a share too; what is deeper is told, with the reason.
func TestDeepest(t *testing.T) {
	s := newFake()
	deepest := strings.Repeat("d/", share.MaxDepth-1)
	s.put(deepest+"f", []byte("deep"))
	s.dirs[share.Path(deepest+"e")] = true
	beyond := share.Entry{Path: share.Path(deepest + "e/x"), Kind: share.Other, Reason: safefs.ReasonDeep}
	w := newWorld(t, s, func(c *Config) { c.Sources = hostile{s, beyond} })
	j := w.state(w.pull(""), transfer.Done)
	if got := tree(t, w.into); got["Photos/"+deepest+"f"] != "deep" || len(got) != share.MaxDepth+2 {
		t.Errorf("%d entries", len(got))
	}
	if j.Failed != 1 || len(j.Problems) != 1 || j.Problems[0].Trouble != transfer.TooDeep {
		t.Errorf("%+v", j)
	}
}

// oversize says of one file that it is larger than it is.
type oversize struct {
	*fakeSource
	of   share.Path
	size int64
}

func (o oversize) Source(discovery.DeviceID) (Source, error) { return o, nil }

func (o oversize) Manifest(ctx context.Context, id share.ID, p share.Path, yield func(share.Entry) error) error {
	return o.fakeSource.Manifest(ctx, id, p, func(e share.Entry) error {
		if e.Path == o.of {
			e.Size = o.size
		}
		return yield(e)
	})
}

// TestTooLargeIsRefusedBefore: a file that the disk cannot hold is refused before anything of it is asked for, and keeps nobody waiting for space.
func TestTooLargeIsRefusedBefore(t *testing.T) {
	s := newFake()
	s.put("a/huge.iso", []byte("x"))
	s.put("a/small", []byte("small"))
	asked := atomic.Bool{}
	s.onRead = func(p share.Path, _ int64) error {
		asked.Store(true)
		return nil
	}
	w := newWorld(t, s, func(c *Config) { c.Sources = oversize{s, "a/huge.iso", 1 << 42} })
	j := w.state(w.pull("a"), transfer.Done)
	if j.Failed != 1 || j.Done != 1 || len(j.Problems) != 1 || j.Problems[0] != (transfer.Problem{Path: "a/huge.iso", Trouble: transfer.FileTooLarge}) || j.Total != 5 {
		t.Errorf("%+v", j)
	}
	if asked.Load() || tree(t, w.into)["a/small"] != "small" {
		t.Error("it was asked for, or the small one did not come")
	}
}

// TestShareAwayAndBack: the folder of a share goes while it is pulled from, or is not there from the beginning. The pull waits, says so, and goes on by itself.
func TestShareAwayAndBack(t *testing.T) {
	for _, begun := range []bool{false, true} {
		s := newFake()
		want := random("big", 20<<20)
		s.put("a/big", want)
		s.put("a/small", []byte("small"))
		s.away.Store(!begun)
		var once sync.Once
		s.onBytes = func(_ share.Path, off int64, _ []byte) error {
			if begun && off == 4<<20 {
				once.Do(func() { s.away.Store(true) })
			}
			return nil
		}
		w := newWorld(t, s, nil)
		id := w.pull("a")
		j := w.state(id, transfer.Away)
		if j.Trouble != transfer.ShareAway || j.Detail != "Photos" {
			t.Errorf("%+v", j)
		}
		s.away.Store(false)
		w.state(id, transfer.Done)
		if got := tree(t, w.into); got["a/big"] != string(want) || got["a/small"] != "small" {
			t.Error("wrong bytes")
		}
	}
}

// TestKeepsChanging: a file that is another one each time it is asked for, small or large, is given up with words, after a few tries.
func TestKeepsChanging(t *testing.T) {
	s := newFake()
	s.put("a/log", []byte("line\n"))
	s.put("a/video", random("v", 3<<20))
	s.put("a/other", []byte("other"))
	var small, large atomic.Int64
	s.onManifest = func(asked share.Path, e share.Entry) error {
		switch e.Path { // after it was described, and before it is read
		case "a/log":
			defer s.put("a/log", bytes.Repeat([]byte("line\n"), int(small.Add(1))+1))
		case "a/video":
			defer s.put("a/video", random("v", 3<<20+int(large.Add(1))))
		}
		return nil
	}
	w := newWorld(t, s, nil)
	j := w.state(w.pull("a"), transfer.Done)
	if j.Failed != 2 || j.Done != 1 || len(j.Problems) != 2 || j.Problems[0].Trouble != transfer.SourceChanged || j.Problems[1].Trouble != transfer.SourceChanged {
		t.Errorf("%+v", j)
	}
	if small.Load() > 8 || large.Load() > 8 {
		t.Errorf("asked %d and %d times", small.Load(), large.Load())
	}
	if got := tree(t, w.into); len(got) != 2 || got["a/other"] != "other" {
		t.Errorf("%.200q", got)
	}
	clean(t, w.into)
}

// TestTargetVolumeGone: what was a mounted volume when the pull was asked for is an empty folder of another disk by now. Nothing is written there.
func TestTargetVolumeGone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere the place where a volume is mounted goes with it")
	}
	s := newFake()
	s.put("a/f", []byte("x"))
	into := filepath.Join(t.TempDir(), "stick")
	if err := os.Mkdir(into, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, j := range []transfer.Job{{Volume: len(into)}, {Volume: len(into), Files: 7, Result: into}} {
		st := NewMemory()
		id, err := st.NextJob()
		if err != nil {
			t.Fatal(err)
		}
		j.ID, j.State, j.Request = id, transfer.Waiting, transfer.Request{Paths: []share.Path{"a"}, Into: into}
		if err := st.PutJob(j); err != nil {
			t.Fatal(err)
		}
		w := openWorld(t, s, st, into, nil)
		if got := w.state(id, transfer.Away); got.Trouble != transfer.TargetGone {
			t.Errorf("%+v", got)
		}
		if err := w.m.Cancel(id); err != nil {
			t.Error(err)
		}
		w.stop()
		if all, err := os.ReadDir(into); err != nil || len(all) != 0 {
			t.Errorf("in its place: %v, %v", all, err)
		}
	}
}

// TestTroubleEndsTrust: a disk says once that it lost what it had taken. From then on what is on it is read back before it counts.
func TestTroubleEndsTrust(t *testing.T) {
	for _, tt := range []struct {
		why     error
		trusted bool
	}{
		{transfer.ErrAway, true}, {context.Canceled, true}, {&halt{trouble: transfer.DiskFull, err: safefs.ErrFull}, true},
		{&halt{trouble: transfer.DiskReadOnly, err: safefs.ErrReadOnly}, false}, {&halt{trouble: transfer.TargetGone, err: safefs.ErrGone}, false},
		{&halt{trouble: transfer.DiskTrouble, err: os.ErrInvalid}, false},
	} {
		p, b := &pull{tally: &tally{}, parts: newPartials()}, &partial{trusted: true}
		p.leaveFile(b, tt.why)
		if b.trusted != tt.trusted {
			t.Errorf("after %v it is trusted: %v", tt.why, b.trusted)
		}
	}
	s := newPartials()
	waits, rests := &partial{trusted: true, busy: true}, &partial{trusted: true}
	s.byPath["waits for its name"], s.byPath["rests"] = waits, rests
	s.closeFiles()
	if waits.trusted || !rests.trusted {
		t.Error("what was never named is trusted, or what was put down is not")
	}
}
