package download

import (
	"cmp"
	"slices"

	"porchlight/transfer"
)

// arrange gives every job a place of its own in the queue: by what is kept of it, and those without by their number. The caller holds
// the lock, or has the Manager alone.
func (m *Manager) arrange() {
	line := slices.Clone(m.tasks)
	for _, t := range line {
		if t.job.Order == 0 { // of a time when jobs had no places
			t.job.Order = int64(t.job.ID)
		}
	}
	slices.SortStableFunc(line, inLine)
	for i := 1; i < len(line); i++ {
		if before := line[i-1].job.Order; line[i].job.Order <= before {
			line[i].job.Order = before + 1
		}
	}
}

func inLine(a, b *task) int {
	return cmp.Or(cmp.Compare(a.job.Order, b.job.Order), cmp.Compare(a.job.ID, b.job.ID))
}

// line returns the jobs in the order in which they begin, those of the background last; none while the queue is held. The caller holds the lock.
func (m *Manager) line() []*task {
	if m.held {
		return nil
	}
	line := slices.Clone(m.tasks)
	slices.SortStableFunc(line, func(a, b *task) int {
		if a.job.Background != b.job.Background {
			if a.job.Background {
				return 1
			}
			return -1
		}
		return inLine(a, b)
	})
	return line
}

// giveWay stops the jobs of the background while there is another one to run: each wants all of the wire and the disk. They wait, and go on with what
// they have. It returns how many jobs run on, and whether there is one that is not of the background. The caller holds the lock.
func (m *Manager) giveWay() (running int, front bool) {
	for _, t := range m.tasks {
		front = front || !t.job.Background && (t.runs() || t.job.State == transfer.Waiting && !m.held)
	}
	for _, t := range m.tasks {
		switch {
		case !t.runs():
		case front && t.job.Background:
			t.stop()
		default:
			running++
		}
	}
	return running, front
}

// runs reports whether an attempt at the job is under way. The caller holds the lock of its Manager.
func (t *task) runs() bool { return t.stop != nil && t.job.State == transfer.Running }

// setBackground moves a job to the background, or back. One that has ended stays what it was.
func (m *Manager) setBackground(id transfer.JobID, back bool) error {
	m.mu.Lock()
	i := slices.IndexFunc(m.tasks, func(t *task) bool { return t.job.ID == id })
	if i < 0 {
		m.mu.Unlock()
		return transfer.ErrNoJob
	}
	t := m.tasks[i]
	if t.job.State.Ended() {
		m.mu.Unlock()
		return ErrState
	}
	t.job.Background = back
	m.mu.Unlock()
	m.changed(t)
	m.poke()
	return nil
}

// last is the place behind all others. The caller holds the lock.
func (m *Manager) last() int64 {
	for _, t := range m.tasks {
		m.taken = max(m.taken, t.job.Order)
	}
	m.taken++
	return m.taken
}

// Move puts a job that does not run elsewhere in the queue, before or behind others that do not run, or any job into the background and back. ErrState
// for one that runs or has ended.
func (m *Manager) Move(id transfer.JobID, to transfer.Move) error {
	if !to.Valid() {
		return ErrState
	}
	if to == transfer.MoveBack || to == transfer.MoveFront {
		return m.setBackground(id, to == transfer.MoveBack)
	}
	m.mu.Lock()
	back := slices.ContainsFunc(m.tasks, func(t *task) bool { return t.job.ID == id && t.job.Background })
	line := slices.DeleteFunc(slices.Clone(m.tasks), func(t *task) bool { return t.job.ID != id && (!t.job.State.Queued() || t.job.Background != back) })
	slices.SortStableFunc(line, inLine)
	i := slices.IndexFunc(line, func(t *task) bool { return t.job.ID == id })
	if i < 0 {
		m.mu.Unlock()
		return transfer.ErrNoJob
	}
	t := line[i]
	if !t.job.State.Queued() {
		m.mu.Unlock()
		return ErrState
	}
	moved := []*task{t}
	swap := func(k int) {
		if k >= 0 && k < len(line) {
			o := line[k]
			t.job.Order, o.job.Order = o.job.Order, t.job.Order
			moved = append(moved, o)
		}
	}
	switch to {
	case transfer.MoveUp:
		swap(i - 1)
	case transfer.MoveDown:
		swap(i + 1)
	case transfer.MoveFirst:
		if i > 0 {
			if t.job.Order = line[0].job.Order - 1; t.job.Order == 0 {
				t.job.Order = -1 // 0 stands for no place
			}
		}
	case transfer.MoveLast:
		t.job.Order = m.last()
	}
	m.mu.Unlock()
	for _, t := range moved {
		m.keep(t)
	}
	m.cfg.OnChange()
	m.poke()
	return nil
}

// Hold keeps all jobs from running until it is called with false. What each has is kept; what is asked for meanwhile waits. The caller
// remembers it beyond the life of the process.
func (m *Manager) Hold(held bool) {
	m.mu.Lock()
	same := m.held == held
	m.held = held
	if held {
		for _, t := range m.tasks {
			if t.job.State == transfer.Running && t.stop != nil {
				t.stop() // nobody wants another state of it, so it waits
			}
		}
	}
	m.mu.Unlock()
	if !same {
		m.cfg.OnChange()
		m.poke()
	}
}

// Held reports whether jobs are kept from running.
func (m *Manager) Held() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held
}

// trim forgets the jobs that ended longest ago, beyond transfer.MaxHistory. Those that failed are the last to go: what came of them is
// kept for another try.
func (m *Manager) trim() {
	m.mu.Lock()
	var ended []transfer.Job
	for _, t := range m.tasks {
		if t.job.State.Ended() {
			ended = append(ended, t.job)
		}
	}
	m.mu.Unlock()
	slices.SortFunc(ended, func(a, b transfer.Job) int {
		failed := func(j transfer.Job) int {
			if j.State == transfer.Failed {
				return 1
			}
			return 0
		}
		return cmp.Or(failed(a)-failed(b), a.Ended.Compare(b.Ended), cmp.Compare(a.ID, b.ID))
	})
	for _, j := range ended[:max(len(ended)-transfer.MaxHistory, 0)] {
		if err := m.Forget(j.ID); err != nil {
			m.cfg.Log.Debug("old job stays", "job", j.ID, "err", err) // somebody tried it again just now
		}
	}
}
