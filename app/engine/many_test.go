//go:build unix

package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"syscall"
	"testing"
	"time"

	"porchlight/transfer"
)

// TestManyFilesStaySteady pulls very many tiny files: the last thousands come as fast as the first, and no memory grows with their number.
func TestManyFilesStaySteady(t *testing.T) {
	const folders, blocks = 50, 10
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	data := noise("tiny", 100)
	for d := range folders {
		dir := filepath.Join(a.dir, "Stuff", fmt.Sprint("folder ", d))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range manyFiles / folders {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("file ", f)), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := a.offer("Stuff")
	before := atRest()
	id := b.pull(a, o, "")
	at := [blocks + 1]time.Time{} // when so many tenths were there
	heap := [blocks]uint64{}      // what the collector last left, at the end of each
	used := [blocks + 1]time.Duration{}
	last, seen, spent := 0, time.Now(), cpuTime(t) // the look before
	at[0], used[0] = seen, spent                   // the listing belongs to the first
	b.within(5*time.Minute, "all is there", func() bool {
		j, now, cpu := b.job(id), time.Now(), cpuTime(t)
		for k := last*blocks/manyFiles + 1; k <= j.Done*blocks/manyFiles; k++ {
			part := float64(k*manyFiles/blocks-last) / float64(j.Done-last)
			at[k] = seen.Add(time.Duration(part * float64(now.Sub(seen))))
			used[k] = spent + time.Duration(part*float64(cpu-spent))
			heap[k-1] = lastHeap()
		}
		if j.State == transfer.Away {
			t.Fatalf("it broke off: %+v", j)
		}
		if j.Done != last {
			last, seen, spent = j.Done, now, cpu
		}
		return j.State.Ended()
	})
	if j := b.job(id); j.State != transfer.Done || j.Done != manyFiles || j.Failed != 0 {
		t.Fatalf("%+v", j)
	}
	var rate, work [blocks]float64
	for k := range rate {
		rate[k] = manyFiles / blocks / at[k+1].Sub(at[k]).Seconds()
		work[k] = manyFiles / blocks / (used[k+1] - used[k]).Seconds()
	}
	first, end := middle(rate[:3]), middle(rate[blocks-3:])
	firstWork, endWork := middle(work[:3]), middle(work[blocks-3:])
	after := atRest()
	t.Logf("files/s in each tenth: %.0f; last to first third %.2f", rate, end/first)
	t.Logf("files for a second of processor: %.0f; last to first third %.2f", work, endWork/firstWork)
	t.Logf("heap after each tenth, MiB: %d; at rest %.1f before, %.1f after", mebibytes(heap[:]), float64(before)/(1<<20), float64(after)/(1<<20))
	if end < 0.8*first && endWork < 0.8*firstWork { // a disk that falls behind, and whoever else is busy on it, take no processor time of ours
		t.Errorf("the last third came at %.0f files/s, the first at %.0f", end, first)
	}
	if grown := int64(middle(heap[blocks-3:])) - int64(middle(heap[:3])); grown > 24<<20 {
		t.Errorf("the heap grew by %d MiB on the way", grown>>20)
	}
	if after > before+12<<20 {
		t.Errorf("%d MiB stay when all is done", (after-before)>>20)
	}
}

// cpuTime is what this process has used so far, both ends of the pull.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// atRest is what lives on the heap, in bytes.
func atRest() uint64 {
	for range 2 { // pools give back what they hold at the second collection
		runtime.GC()
	}
	return lastHeap()
}

// lastHeap is what the last collection found alive, in bytes.
func lastHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func mebibytes(b []uint64) (out []uint64) {
	for _, n := range b {
		out = append(out, n>>20)
	}
	return out
}

func middle[T float64 | uint64](of []T) T {
	of = slices.Clone(of)
	slices.Sort(of)
	return of[len(of)/2]
}
