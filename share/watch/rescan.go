package watch

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"
)

// state is what was last seen of a folder. Only the rescan touches it.
type state struct {
	seen   bool
	info   os.FileInfo // nil: it was not there
	digest [32]byte    // of its names and times; only of a folder the system does not watch
}

// rescan keeps the folders the system watches attached to what their paths mean, and reads the others.
func (w *Watcher) rescan(ctx context.Context, changed chan<- string) {
	timer := time.NewTimer(w.cfg.Rescan)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		}
		start := time.Now()
		for _, d := range w.list() {
			if ctx.Err() != nil {
				return
			}
			if !w.look(d) {
				continue
			}
			select {
			case changed <- d.path:
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(max(w.cfg.Rescan, scanShare*time.Since(start)))
	}
}

func (w *Watcher) list() []*dir {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*dir, 0, len(w.dirs))
	for _, d := range w.dirs {
		all = append(all, d)
	}
	return all
}

// look reports whether a folder is another one than before, came, went, or has other content while the system does not watch it.
func (w *Watcher) look(d *dir) bool {
	before := d.state
	now := state{seen: true}
	if fi, err := os.Stat(d.path); err == nil && fi.IsDir() {
		now.info = fi
	}
	same := (now.info == nil) == (before.info == nil) && (now.info == nil || os.SameFile(now.info, before.info))
	if !same && before.seen {
		w.detach(d) // the system still watches what was at the path before
	}
	if now.info != nil && !w.isAttached(d) {
		w.attach(d) // before reading: what changes from now on is notified
		now.digest = digest(d.path)
	} else {
		now.digest = before.digest
	}
	d.state = now
	return before.seen && (!same || now.digest != before.digest)
}

func (w *Watcher) isAttached(d *dir) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return d.attached
}

// attach has the system watch a folder, if it can and may; it reports whether it does.
func (w *Watcher) attach(d *dir) bool {
	w.ops.Lock()
	defer w.ops.Unlock()
	w.mu.Lock()
	system := w.system
	may := system != nil && w.dirs[d.path] == d && w.attached < w.cfg.Limit
	if d.attached || !may {
		if system != nil && w.attached >= w.cfg.Limit {
			w.say("as many as may be are watched")
		}
		defer w.mu.Unlock()
		return d.attached
	}
	// from here events count; Remove waits for ops
	d.attached = true
	w.attached++
	w.mu.Unlock()
	// of two paths to one folder (a bind mount, a link) fsnotify keeps the first: the other one is read
	var err error
	if watchable(d.path) {
		if err = system.Add(d.path); err == nil && slices.Contains(system.WatchList(), d.path) {
			return true
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.say(err.Error())
	}
	if d.attached {
		d.attached = false
		w.attached--
	}
	return false
}

// say tells once that some folders are read now and then, since the system watches no more. The caller holds mu.
func (w *Watcher) say(why string) {
	if !w.said {
		w.said = true
		w.cfg.Log.Info("the system watches no more folders, the others are read now and then", "why", why)
	}
}

// detach ends the system's watch of a folder.
func (w *Watcher) detach(d *dir) {
	w.ops.Lock()
	defer w.ops.Unlock()
	w.mu.Lock()
	system, was := w.system, d.attached
	if w.dirs[d.path] != d {
		system = nil // removed meanwhile; what is watched there now is somebody else's
	}
	if was {
		d.attached = false
		w.attached--
	}
	w.mu.Unlock()
	if system != nil {
		system.Remove(d.path) //nolint:errcheck // it may have gone by itself
	}
}

// digest is of the names in a folder, their sizes and their times, in whatever order they come. What cannot be read is as if it were empty.
// It holds some names at a time: a folder may have a million.
func digest(path string) (sum [32]byte) {
	d, err := os.Open(path)
	if err != nil {
		return sum
	}
	defer d.Close()
	var b [16]byte
	for h := sha256.New(); ; {
		entries, err := d.ReadDir(1024)
		for _, e := range entries {
			h.Reset()
			h.Write([]byte(e.Name()))
			h.Write([]byte{0})
			if fi, err := e.Info(); err == nil {
				binary.LittleEndian.PutUint64(b[:8], uint64(fi.ModTime().UnixNano()))
				binary.LittleEndian.PutUint64(b[8:], uint64(fi.Size()))
				h.Write(b[:])
			}
			one := h.Sum(b[:0:0])
			for i := range sum {
				sum[i] ^= one[i]
			}
		}
		if err != nil || len(entries) == 0 {
			return sum
		}
	}
}
