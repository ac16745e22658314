package pace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const simPiece = 1 << 20

// simDisk is a disk in fake time: it writes one piece at a time, and going to another place than the last one's end takes time.
type simDisk struct {
	rate       float64 // bytes per second
	seek       time.Duration
	stallEvery int64 // bytes
	stall      time.Duration

	free    chan struct{} // a token while nothing is written
	file    int
	at      int64
	written int64
	order   []int // the file of each piece
}

func (d *simDisk) write(file int, off int64) {
	<-d.free
	took := time.Duration(simPiece / d.rate * float64(time.Second))
	if file != d.file || off != d.at {
		took += d.seek
	}
	if d.stallEvery > 0 && d.written/d.stallEvery != (d.written+simPiece)/d.stallEvery {
		took += d.stall
	}
	d.file, d.at, d.written, d.order = file, off+simPiece, d.written+simPiece, append(d.order, file)
	time.Sleep(took)
	d.free <- struct{}{}
}

// simPull is what is pulled in a simulation: files of ranges of 16 MiB, each over some lanes.
type simPull struct {
	files, lanes, ranges int
	source               float64 // bytes per second over one lane
}

// run pulls onto d and returns how long it took. Who may write is up to p; all may if it is nil.
func (s simPull) run(t *testing.T, d *simDisk, p *Disk) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d.free = make(chan struct{}, 1)
		d.free <- struct{}{}
		start := time.Now()
		var wg sync.WaitGroup
		for f := range s.files {
			todo := make(chan int, s.ranges)
			for r := range s.ranges {
				todo <- r
			}
			close(todo)
			for range s.lanes {
				wg.Go(func() {
					for r := range todo {
						s.fetch(t.Context(), d, p, f+1, r)
					}
				})
			}
		}
		wg.Wait()
		took = time.Since(start)
	})
	return took
}

// fetch brings one range: what arrives waits in a short queue until it is written.
func (s simPull) fetch(ctx context.Context, d *simDisk, p *Disk, file, r int) {
	if p != nil {
		if p.Enter(ctx, file, nil) != nil {
			return
		}
		defer p.Leave(file)
	}
	queue := make(chan int64, 1)
	go func() {
		defer close(queue)
		for i := range int64(16) {
			time.Sleep(time.Duration(simPiece / s.source * float64(time.Second)))
			queue <- (int64(r)*16 + i) * simPiece
		}
	}()
	for off := range queue {
		if p != nil {
			p.Began()
		}
		d.write(file, off)
		if p != nil {
			p.Ended(simPiece, false)
		}
	}
}

// TestParallelismFollowsTheDisk pulls 8 GiB onto disks of several kinds. None may be slower than the better of what one writer and as many as want to reach.
func TestParallelismFollowsTheDisk(t *testing.T) {
	const mb = 1e6
	for _, tt := range []struct {
		name  string
		disk  simDisk
		pull  simPull
		least float64 // of the better rate
		seeks bool    // many are much slower than one
	}{
		{"rotating disk, one file", simDisk{rate: 100 * mb, seek: 10 * time.Millisecond}, simPull{1, 2, 512, 300 * mb}, 0.9, true},
		{"rotating disk, four files", simDisk{rate: 100 * mb, seek: 10 * time.Millisecond}, simPull{4, 2, 128, 300 * mb}, 0.9, true},
		{"memory card", simDisk{rate: 20 * mb, seek: 40 * time.Millisecond, stallEvery: 8 << 20, stall: 200 * time.Millisecond}, simPull{2, 2, 256, 60 * mb}, 0.9, true},
		{"memory card that only stalls", simDisk{rate: 20 * mb, stallEvery: 8 << 20, stall: 200 * time.Millisecond}, simPull{2, 2, 256, 60 * mb}, 0.98, false},
		{"fast disk", simDisk{rate: 2000 * mb}, simPull{1, 2, 512, 300 * mb}, 0.98, false},
		{"disk slower than two lanes", simDisk{rate: 500 * mb}, simPull{1, 2, 512, 300 * mb}, 0.98, false},
		{"rotating disk, slow network", simDisk{rate: 100 * mb, seek: 10 * time.Millisecond}, simPull{2, 2, 256, 6 * mb}, 0.98, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			one, all, paced := tt.disk, tt.disk, tt.disk
			single := simPull{tt.pull.files, 1, tt.pull.ranges, tt.pull.source}
			single.ranges, single.files = single.ranges*single.files, 1
			alone, many := single.run(t, &one, nil), tt.pull.run(t, &all, nil)
			took := tt.pull.run(t, &paced, &Disk{})
			best := min(alone, many)
			rate := float64(paced.written) / mb / took.Seconds()
			got := best.Seconds() / took.Seconds()
			t.Logf("one writer %v, as many as want to %v, as the disk bears %v: %.0f MB/s, %.3f of the better", alone, many, took, rate, got)
			if got < tt.least {
				t.Errorf("at least %.2f was expected", tt.least)
			}
			if slow := float64(many) / float64(alone); tt.seeks != (slow > 1.3) {
				t.Errorf("many take %.2f times as long as one: this disk shows nothing", slow)
			}
		})
	}
}

// TestLongRuns lets the large files of two jobs alternate on a disk that seeks.
func TestLongRuns(t *testing.T) {
	d := simDisk{rate: 100e6, seek: 10 * time.Millisecond}
	simPull{2, 1, 128, 300e6}.run(t, &d, &Disk{})
	turns, short, run := 0, 0, 1
	half := d.order[len(d.order)/2:] // settled by now
	for i := 1; i < len(half); i++ {
		if half[i] == half[i-1] {
			run++
			continue
		}
		if turns++; run < runWork/simPiece {
			short++
		}
		run = 1
	}
	t.Logf("%d turns over %d MiB, %d of them after less than 16 MiB", turns, len(half), short)
	if turns < 20 || short > turns/3 { // a trial writes in short turns
		t.Error("two files were to alternate in long runs")
	}
}

// TestSilentHolder lets others write while the one whose turn it is waits for a source that says nothing.
func TestSilentHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Disk{}
		d.kinds[0].one, d.settled = true, true
		if err := d.Enter(t.Context(), "slow", nil); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := d.Enter(t.Context(), "other", nil); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited == 0 || waited > time.Second {
			t.Errorf("the other waited %v", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), look/2)
		defer cancel()
		if err := d.Enter(ctx, "third", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the third got %v", err)
		}
		d.Leave("slow")
		d.Leave("other")
		if d.in != 0 || len(d.waiting) != 0 {
			t.Errorf("%d write and %d wait", d.in, len(d.waiting))
		}
	})
}
