package download

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"porchlight/share"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// ErrState is transfer.ErrState.
var ErrState = transfer.ErrState

// maxPaths bounds the files and folders of one request.
const maxPaths = 4096

// Pull makes a job of a request; from is the name of its source, for people. It begins when Run has a place free.
func (m *Manager) Pull(req transfer.Request, from string) (transfer.JobID, error) {
	if len(req.Paths) == 0 || len(req.Paths) > maxPaths {
		return 0, fmt.Errorf("%w: %d paths in a pull", transfer.ErrLimit, len(req.Paths))
	}
	if !filepath.IsAbs(req.Into) {
		return 0, fmt.Errorf("pull into %q: not an absolute path", req.Into)
	}
	var paths []share.Path
	for _, p := range req.Paths {
		p, err := share.ParsePath(string(p))
		if err != nil {
			return 0, fmt.Errorf("pull: %w", err)
		}
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	req.Paths = paths
	var volume int
	req.Into, volume = safefs.PlaceOf(filepath.Clean(req.Into))
	id, err := m.cfg.Store.NextJob()
	if err != nil {
		return 0, fmt.Errorf("number the pull: %w", err)
	}
	t := newTask(transfer.Job{ID: id, Request: req, From: from, Title: title(req), State: transfer.Waiting, Created: time.Now(), Volume: volume})
	m.mu.Lock()
	t.job.Order = m.last()
	m.mu.Unlock()
	if err := m.cfg.Store.PutJob(t.job); err != nil {
		return 0, fmt.Errorf("keep the pull: %w", err)
	}
	m.mu.Lock()
	m.tasks = append(m.tasks, t)
	slices.SortFunc(m.tasks, func(a, b *task) int { return int(a.job.ID - b.job.ID) })
	m.mu.Unlock()
	m.trim()
	m.cfg.OnChange()
	m.poke()
	return id, nil
}

// title names what one pull brings. How many things a selection has is said in words where there are some.
func title(r transfer.Request) string {
	switch {
	case len(r.Paths) > 1:
		return ""
	case r.Paths[0] == "":
		return r.ShareName
	}
	return r.Paths[0].Base()
}

// Jobs returns all jobs by number, as of now.
func (m *Manager) Jobs() []transfer.Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]transfer.Job, len(m.tasks))
	for i, t := range m.tasks {
		if t.job.State == transfer.Running {
			t.tally.merge(&t.job)
		}
		out[i] = t.job
	}
	return out
}

// Pause stops a job until Resume; what it has is kept. A job that is paused stays so.
func (m *Manager) Pause(id transfer.JobID) error {
	return m.command(id, func(t *task) error {
		switch t.job.State {
		case transfer.Paused:
			return nil
		case transfer.Waiting, transfer.Away:
			t.leave(transfer.Paused)
		case transfer.Running:
			if t.wanted == "" {
				t.wanted = transfer.Paused
			}
			t.stop()
		default:
			return ErrState
		}
		return nil
	})
}

// Resume lets a paused job go on. A job that waits for its source or disk tries at once; one that runs just runs.
func (m *Manager) Resume(id transfer.JobID) error {
	return m.command(id, func(t *task) error {
		switch {
		case t.job.State == transfer.Paused || t.job.State == transfer.Away:
			t.leave(transfer.Waiting)
		case t.job.State == transfer.Running && t.wanted == transfer.Paused:
			t.wanted = transfer.Waiting
		case t.job.State != transfer.Running && t.job.State != transfer.Waiting:
			return ErrState
		}
		return nil
	})
}

// Cancel ends a job and throws away what is not whole. Files that have their names stay.
func (m *Manager) Cancel(id transfer.JobID) error {
	var gone *transfer.Job
	err := m.command(id, func(t *task) error {
		switch t.job.State {
		case transfer.Running:
			t.wanted = transfer.Canceled
			t.stop()
		case transfer.Done:
			return ErrState
		case transfer.Canceled:
		default:
			t.leave(transfer.Canceled)
			t.job.Ended = time.Now()
			j := t.job
			gone = &j
		}
		return nil
	})
	if err == nil {
		m.offers.endJob(id)
	}
	if gone != nil {
		m.drop(*gone)
	}
	return err
}

// Retry begins a job again that failed, was canceled, or is done but for some files. What is there is not fetched again.
func (m *Manager) Retry(id transfer.JobID) error {
	return m.command(id, func(t *task) error {
		j := &t.job
		if j.State != transfer.Failed && j.State != transfer.Canceled && (j.State != transfer.Done || j.Failed == 0) {
			return ErrState
		}
		t.leave(transfer.Waiting)
		t.fails = 0
		t.parts = newPartials()
		j.Ended, j.Listed, j.Order = time.Time{}, false, m.last() // behind those that wait already
		j.Bytes, j.Total, j.Files, j.Done, j.Skipped, j.Failed, j.Adapted, j.Problems, j.Sources = 0, 0, 0, 0, 0, 0, 0, nil, nil
		return nil
	})
}

// Forget removes a job that has ended from the list.
func (m *Manager) Forget(id transfer.JobID) error {
	m.save.Lock()
	defer m.save.Unlock()
	m.mu.Lock()
	i := slices.IndexFunc(m.tasks, func(t *task) bool { return t.job.ID == id })
	if i < 0 {
		m.mu.Unlock()
		return transfer.ErrNoJob
	}
	t := m.tasks[i]
	if !t.job.State.Ended() {
		m.mu.Unlock()
		return ErrState
	}
	t.forgotten = true
	m.offers.endJob(id)
	m.tasks = slices.Delete(slices.Clone(m.tasks), i, i+1)
	failed := t.job.State == transfer.Failed
	m.mu.Unlock()
	if failed { // it kept what it had for a Retry
		m.drop(t.job)
	}
	if err := m.cfg.Store.DeleteJob(id); err != nil {
		return fmt.Errorf("forget the job: %w", err)
	}
	m.cfg.OnChange()
	return nil
}

// command changes one job.
func (m *Manager) command(id transfer.JobID, do func(*task) error) error {
	m.mu.Lock()
	i := slices.IndexFunc(m.tasks, func(t *task) bool { return t.job.ID == id })
	if i < 0 {
		m.mu.Unlock()
		return transfer.ErrNoJob
	}
	t := m.tasks[i]
	err := do(t)
	m.mu.Unlock()
	if err != nil {
		return err
	}
	m.changed(t)
	m.poke()
	return nil
}

// leave goes from a state in which no attempt runs to another.
func (t *task) leave(s transfer.State) {
	if t.stop != nil {
		t.stop()
		t.stop = nil
	}
	t.turn++
	t.job.State, t.job.Trouble, t.job.Detail = s, transfer.NoTrouble, ""
}

// await lets an away job wait for what it lacks, in a goroutine of its own. ctx is that of Run.
func (m *Manager) await(ctx context.Context, wg *sync.WaitGroup, t *task, h *halt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.job.State != transfer.Away || t.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	t.stop = cancel
	t.turn++
	turn, job, fails, parts := t.turn, t.job, t.fails, t.parts
	wg.Go(func() {
		defer cancel()
		m.wait(ctx, job, h, fails, parts)
		m.mu.Lock()
		mine := t.turn == turn && t.job.State == transfer.Away // and not sent elsewhere by a command
		if mine {
			t.leave(transfer.Waiting)
		}
		m.mu.Unlock()
		if mine {
			m.changed(t)
			m.poke()
		}
	})
}

// wait returns when the job may be tried again, or ctx ends.
func (m *Manager) wait(ctx context.Context, job transfer.Job, h *halt, fails int, parts *partials) {
	if h.trouble == transfer.SourceAway || h.trouble == transfer.ShareAway {
		up := m.cfg.Sources.Up(job.Request.Source)
		select {
		case <-up: // there already, and yet it failed: not too often
			sleep(ctx, m.cfg.Retry<<min(max(fails-1, 0), 5))
			return
		default:
		}
		m.waitHelp(ctx, up, fails, parts)
		return
	}
	for sleep(ctx, m.cfg.Poll) {
		d, err := openTarget(m.cfg.watch, job)
		if err != nil {
			continue
		}
		free, err := m.free(d)
		d.Close()
		if err == nil && free >= h.need {
			return
		}
	}
}

// waitHelp returns when the source is up, or others are that may have what is missing of a file that was begun.
func (m *Manager) waitHelp(ctx context.Context, up <-chan struct{}, fails int, parts *partials) {
	pause := m.cfg.Retry << min(max(fails-1, 0), 5)
	for {
		timer := time.NewTimer(pause)
		select {
		case <-up:
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		select {
		case <-up:
			return
		default:
		}
		if ctx.Err() != nil || m.helped(parts) {
			return
		}
	}
}

// helped reports whether a device is there that may have the rest of a file.
func (m *Manager) helped(parts *partials) bool {
	if m.cfg.Helpers == nil {
		return false
	}
	for _, id := range parts.helpers() {
		if _, err := m.cfg.Helpers.Helper(id); err == nil {
			return true
		}
	}
	return false
}

// openTarget opens the target folder of a job, and makes it as long as no attempt had it: then it was there, and if it is not now, its drive is away.
func openTarget(w safefs.Watch, j transfer.Job) (*safefs.Dest, error) {
	if j.Result == "" && j.Files == 0 && (j.Volume == 0 || safefs.Mounted(j.Request.Into[:j.Volume])) {
		return w.OpenDest(j.Request.Into)
	}
	return reopen(w, j)
}

// reopen opens the target folder of a job that was begun. Where its volume is not mounted, what lies at the path is another folder.
func reopen(w safefs.Watch, j transfer.Job) (*safefs.Dest, error) {
	if n := j.Volume; n > 0 && n <= len(j.Request.Into) && !safefs.Mounted(j.Request.Into[:n]) {
		return nil, fmt.Errorf("%w: the volume of the target folder is not mounted", safefs.ErrGone)
	}
	return w.ReopenDest(j.Request.Into)
}

func (m *Manager) free(d *safefs.Dest) (int64, error) {
	if m.cfg.free != nil {
		return m.cfg.free(d.Dir())
	}
	return d.Free()
}

// sleep returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// partID names the part folder of a job, the same after every start.
func partID(j transfer.Job) safefs.PartID {
	b := []byte("porchlight part v1\x00")
	b = binary.BigEndian.AppendUint64(b, uint64(j.ID))
	b = binary.BigEndian.AppendUint64(b, uint64(j.Created.UnixNano()))
	b = append(b, j.Request.Source[:]...)
	b = append(b, j.Request.Share[:]...)
	sum := sha256.Sum256(b)
	return safefs.PartID(sum[:8])
}

// drop removes what a job left that is not whole.
func (m *Manager) drop(j transfer.Job) {
	d, err := reopen(m.cfg.watch, j)
	if err != nil {
		return // nothing there to remove
	}
	defer d.Close()
	if err := d.DropPart(partID(j)); err != nil {
		m.cfg.Log.Warn("part folder stays", "job", j.ID, "err", err)
	}
}
