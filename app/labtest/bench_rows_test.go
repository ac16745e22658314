//go:build linux && lab

package labtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// bigFile is the one file of the work that is one file.
const bigFile = "big.bin"

// oneFile is the work of one file; its speed is told in MB/s.
func oneFile(size int64) work {
	return work{dir: "big", bytes: size, files: 1, unit: "MB/s", units: float64(size) / 1e6}
}

// ready has the devices of a group serve, all rivals too, and a folder of one large file shared.
func ready(t *testing.T, b *bench) *contest {
	c := newContest(t, b)
	writeFile(t, filepath.Join(c.data("big"), bigFile), gib, 3)
	c.from.Share(t, c.data("big"), "big")
	c.serveOthers()
	return c
}

// touch makes a new version of the large file: what was hashed of the old one says nothing.
func touch(c *contest) error {
	now := time.Now()
	return os.Chtimes(filepath.Join(c.data("big"), bigFile), now, now)
}

// oneGiB is the large file on a wire as fast as the machine, everything in memory.
func oneGiB() group {
	w := oneFile(gib)
	duelTo := func(r func(*contest) rival, b *bar) duel { return duel{work: w, rival: r, bar: b} }
	unhashed := duelTo((*contest).rawTLS, &bar{Must: 0.6, Aim: 0.75})
	unhashed.prepare = touch
	plain := func(c *contest) rival { return c.nginx("nginx to curl, not encrypted", "http", plainPort) }
	encrypted := func(c *contest) rival { return c.nginx("nginx to curl, TLS", "https", tlsPort) }
	return group{"1 GiB", false, 5 * gib, ready, []benchRow{
		unhashed.row("1 GiB, not yet hashed / raw TLS"),
		duelTo((*contest).rawTLS, &bar{Must: 0.65, Aim: 0.85}).row("1 GiB, hashed / raw TLS"),
		duelTo(encrypted, &bar{Must: 1.2, Aim: 1.5}).row("1 GiB, hashed / nginx to curl, TLS"),
		duelTo(plain, nil).row("1 GiB, hashed / nginx to curl, plain"),
		duelTo((*contest).samba, &bar{Must: 0.75, Aim: 1}).row("1 GiB, hashed / smbclient"),
		duelTo(func(c *contest) rival { return c.rsync() }, &bar{Must: 0.75, Aim: 1}).row("1 GiB, hashed / rsync"),
		duelTo((*contest).syncthing, &bar{Must: 4}).row("1 GiB, hashed / Syncthing"),
		{"1 GiB, memory of the receiver", func(c *contest, e *entry) { c.mostMemory(e, w, 80) }},
	}}
}

// shapedGiB is the same on a usual LAN.
func shapedGiB() group {
	const rate = "1gbit"
	setUp := func(t *testing.T, b *bench) *contest {
		c := ready(t, b)
		c.from.shapeBoth(t, rate)
		c.to.shapeBoth(t, rate)
		c.cable.shaped = 1e9
		return c
	}
	d := duel{work: oneFile(gib), rival: (*contest).iperf, bar: &bar{Must: 0.95, Aim: 0.98}}
	return group{"1 GiB, 1 Gbit/s", false, 5 * gib, setUp, []benchRow{d.row("1 GiB on a LAN of 1 Gbit/s / iperf3")}}
}

// smallFiles is many of them, in memory.
func smallFiles() group {
	const files, size = 20_000, 4 * kib
	setUp := func(t *testing.T, b *bench) *contest {
		c := newContest(t, b)
		writeMany(t, c.data("small"), files, 200, size)
		c.from.Share(t, c.data("small"), "small")
		c.serveOthers()
		return c
	}
	perSecond := work{dir: "small", bytes: files * size, files: files, unit: "files/s", units: files}
	seconds := perSecond
	seconds.unit = "s"
	return group{"20,000 files", false, 3 * gib, setUp, []benchRow{
		duel{work: seconds, rival: (*contest).tar, bar: &bar{Must: 3, Aim: 2, AtMost: true}}.row("20,000 files of 4 KiB, time / tar through a pipe"),
		duel{work: perSecond, rival: func(c *contest) rival { return c.rsync() }, bar: &bar{Must: 0.8, Aim: 1.2}}.row("20,000 files of 4 KiB / rsync"),
		duel{work: perSecond, rival: (*contest).samba, bar: &bar{Must: 12}, most: 3}.row("20,000 files of 4 KiB / smbclient"),
		duel{work: perSecond, rival: (*contest).syncthingWritten, bar: &bar{Must: 40}, most: 3}.row("20,000 files of 4 KiB / Syncthing"),
	}}
}

// manyFiles is what memory is most needed for.
func manyFiles() group {
	const files, size = 100_000, 100
	w := work{dir: "many", bytes: files * size, files: files, unit: "s"}
	setUp := func(t *testing.T, b *bench) *contest {
		c := newContest(t, b)
		writeMany(t, c.data("many"), files, 1000, size)
		c.from.Share(t, c.data("many"), "many")
		return c
	}
	return group{"100,000 files", false, 4 * gib, setUp, []benchRow{
		{"100,000 files, memory of the receiver", func(c *contest, e *entry) { c.mostMemory(e, w, 150) }},
	}}
}

// onDisk is the large file from disk to disk, until the disk has it; nothing of it is in memory before.
func onDisk() group {
	w := oneFile(gib)
	cold := func(t *testing.T, b *bench) *contest {
		c := ready(t, b)
		c.cold = true
		return c
	}
	durable := func(c *contest) rival { return c.rsync("--fsync") }
	return group{"1 GiB, cold", true, 6 * gib, cold, []benchRow{
		duel{work: w, rival: (*contest).rawTLSOnDisk}.row("1 GiB, cold, from disk to disk / raw TLS and fsync"),
		duel{work: w, rival: durable}.row("1 GiB, cold, from disk to disk / rsync --fsync"),
	}}
}

// mostMemory measures the most memory that serve uses while it receives, in MB.
func (c *contest) mostMemory(e *entry, w work, atMost float64) {
	e.Unit, e.Bar = "MB", &bar{Must: atMost, AtMost: true}
	var source []float64
	for range c.rounds {
		resetMemory(c.t, c.from, c.to)
		if _, err := c.ours(duel{work: w}); err != nil {
			e.Why = err.Error()
			c.t.Error(err)
			return
		}
		e.Ours = append(e.Ours, float64(memory(c.t, c.to, "VmHWM"))/1e6)
		source = append(source, float64(memory(c.t, c.from, "VmHWM"))/1e6)
	}
	e.Note = fmt.Sprintf("the source uses %.0f MB", middle(source))
}

// resetMemory forgets the most memory that each device ever used.
func resetMemory(t *testing.T, devices ...*Device) {
	t.Helper()
	for _, d := range devices {
		if err := os.WriteFile(filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "clear_refs"), []byte("5"), 0); err != nil {
			t.Fatal(err)
		}
	}
}
