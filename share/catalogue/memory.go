package catalogue

import (
	"cmp"
	"slices"
	"sync"

	"porchlight/share"
)

// Memory is a Store that forgets with the process.
type Memory struct {
	mu     sync.Mutex // guards the field below
	shares map[share.ID]share.Share
}

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{shares: map[share.ID]share.Share{}} }

// Shares returns all, the oldest first.
func (m *Memory) Shares() ([]share.Share, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]share.Share, 0, len(m.shares))
	for _, s := range m.shares {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b share.Share) int {
		return cmp.Or(a.Added.Compare(b.Added), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all, nil
}

// PutShare keeps one, replacing the one of its ID.
func (m *Memory) PutShare(s share.Share) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shares[s.ID] = s
	return nil
}

// DeleteShare forgets one; it is no error if there is none.
func (m *Memory) DeleteShare(id share.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.shares, id)
	return nil
}
