package safefs

import (
	"crypto/rand"
	"math"
	"os"
	"strings"
	"time"
)

// years are the times of change that a disk can keep, from first to last.
type years struct {
	first, last time.Time
	none        bool // it keeps no time at all, but the one of the writing
}

// everyDisk is kept by all disks: FAT begins in 1980, and some old formats end in 2038.
func everyDisk() years {
	return years{first: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), last: time.Date(2038, 1, 18, 0, 0, 0, 0, time.UTC)}
}

// clamp brings t into the years.
func (y years) clamp(t time.Time) time.Time {
	switch {
	case t.Before(y.first):
		return y.first
	case t.After(y.last):
		return y.last
	}
	return t
}

// SameTime reports whether a file of the given time here is, by its time, the one of time there. Some disks keep two seconds, and none every year.
func (d *Dest) SameTime(here, there time.Time) bool {
	return near(here, there) || near(here, d.years.clamp(there)) || near(here, everyDisk().clamp(there))
}

// KeepsTimes reports whether a file here keeps the time it is given. Phones and some network volumes do not: there the time of a file says nothing about it.
func (d *Dest) KeepsTimes() bool { return !d.years.none }

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= 2*time.Second }

// tryYears finds out which times a disk keeps. What is beyond some disks cut to the nearest, and others make any other year of it, without a word.
func tryYears(parts *os.Root) years {
	y := everyDisk()
	name := probes + "-time-" + strings.ToLower(rand.Text()[:8])
	f, err := parts.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return y
	}
	f.Close()
	defer parts.Remove(name) //nolint:errcheck // an empty file in the private folder, at worst
	kept := func(t time.Time) bool {
		if parts.Chtimes(name, time.Now(), t) != nil {
			return false
		}
		fi, err := parts.Lstat(name)
		return err == nil && near(fi.ModTime(), t)
	}
	for _, t := range []time.Time{time.Unix(0, math.MinInt64), time.Unix(math.MinInt32, 0), time.Unix(86400, 0)} { // all we have a number for; ext4; from 1970 on
		if kept(t) {
			y.first = t
			break
		}
	}
	for _, t := range []time.Time{time.Unix(0, math.MaxInt64), time.Date(2107, 12, 31, 0, 0, 0, 0, time.UTC)} { // all we have a number for; FAT
		if kept(t) {
			y.last = t
			break
		}
	}
	y.none = !kept(time.Date(2001, 9, 9, 1, 46, 40, 0, time.UTC)) // a common day
	return y
}

// sinceEpoch is a time of the disk in nanoseconds since 1970. Disks know years that have no such number: they become the nearest that has.
func sinceEpoch(sec, nsec int64) int64 {
	const most = math.MaxInt64 / int64(time.Second)
	switch {
	case sec >= most:
		return math.MaxInt64
	case sec <= -most:
		return math.MinInt64
	}
	return sec*int64(time.Second) + nsec
}
