package safefs

import (
	"math"
	"testing"
	"time"
)

// TestYears: a file of any year is the same one again, whatever year the disk makes of it.
func TestYears(t *testing.T) {
	d, p := openDest(t)
	top, err := d.Folder("")
	must(t, err)
	defer top.Release()
	for i, at := range []time.Time{
		{}, time.Unix(0, math.MinInt64), time.Date(1850, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(math.MinInt32, 0), time.Unix(-1, 5), time.Unix(0, 0),
		time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), when, time.Unix(math.MaxInt32, 999_999_999), time.Unix(math.MaxUint32, 0), time.Unix(0, math.MaxInt64),
	} {
		name := "f" + string(rune('a'+i))
		must(t, p.Put(name, []byte("x"), at))
		must(t, p.Publish(name, top, name))
		info, err := top.Stat(name)
		must(t, err)
		if !d.SameTime(info.ModTime(), at) {
			t.Errorf("%v became %v, and is another file then", at, info.ModTime())
		}
		if d.SameTime(when.Add(time.Hour), at) {
			t.Errorf("a file of some day is taken for one of %v", at)
		}
		f, err := p.Create(name, 3)
		must(t, err)
		must(t, p.Seal(f, name, at))
		if got, err := p.root.Lstat(name); err != nil || !got.ModTime().Equal(info.ModTime()) {
			t.Errorf("a large file of %v is of %v, a small one of %v: %v", at, got.ModTime(), info.ModTime(), err)
		}
	}
	if !d.KeepsTimes() {
		t.Error("this disk is said to keep no times")
	}
}

func TestSinceEpoch(t *testing.T) {
	for _, tt := range []struct{ sec, nsec, want int64 }{
		{0, 5, 5}, {-1, 999_999_999, -1}, {1_700_000_000, 1, 1_700_000_000_000_000_001},
		{15_032_385_535, 0, math.MaxInt64}, {math.MaxInt64, 999_999_999, math.MaxInt64}, {math.MinInt64, 0, math.MinInt64}, {-62_135_596_800, 0, math.MinInt64},
	} {
		if got := sinceEpoch(tt.sec, tt.nsec); got != tt.want {
			t.Errorf("%d s %d ns are %d, want %d", tt.sec, tt.nsec, got, tt.want)
		}
	}
}

// TestClampTime: every disk's years, and one's own.
func TestClampTime(t *testing.T) {
	y := everyDisk()
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(0, math.MaxInt64)} {
		if got := y.clamp(at); got.Before(y.first) || got.After(y.last) || got.Equal(at) {
			t.Errorf("%v becomes %v", at, got)
		}
	}
	if got := y.clamp(when); !got.Equal(when) {
		t.Errorf("%v becomes %v", when, got)
	}
}
