package download

import (
	"maps"
	"slices"
	"sync"

	"porchlight/transfer"
)

// Memory is a Store that forgets with the process.
type Memory struct {
	mu   sync.Mutex // guards the fields below
	jobs map[transfer.JobID]transfer.Job
	last transfer.JobID
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{jobs: map[transfer.JobID]transfer.Job{}} }

// Jobs returns all jobs by number.
func (s *Memory) Jobs() ([]transfer.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.jobs), func(a, b transfer.Job) int { return int(a.ID - b.ID) }), nil
}

// PutJob keeps a job.
func (s *Memory) PutJob(j transfer.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[j.ID] = j
	return nil
}

// DeleteJob forgets a job.
func (s *Memory) DeleteJob(id transfer.JobID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, id)
	return nil
}

// NextJob returns the next number.
func (s *Memory) NextJob() (transfer.JobID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return s.last, nil
}
