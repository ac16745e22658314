package workgroup

import (
	"slices"
	"sync"
	"time"

	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
)

// Kept is what a store keeps of one workgroup.
type Kept struct {
	ID       ID
	Entries  [][]byte             // in the order in which they were added
	Keys     []keyring.Key        // secrets
	Recovery *ledger.RecoveryCode // a secret, from founding until it is saved elsewhere; nil otherwise
	Remind   time.Time            // not to remind of it before; zero if it was never put off
	Joined   time.Time            // as this device's clock said; the order of the list
	Left     bool
	Declined []ID // workgroups that continue this one, and that the user did not want
}

// Store keeps workgroups beyond the life of the process. Safe for concurrent use.
type Store interface {
	// Workgroups returns all, the oldest first.
	Workgroups() ([]Kept, error)
	// PutWorkgroup keeps one, replacing what there was of its ID but for the entries: those of k are added to them. Either all of it
	// is kept or nothing. A secret that k does not have any more is gone for good.
	PutWorkgroup(k Kept) error
	// DeleteWorkgroup forgets one with its entries and secrets; it is no error if there is none.
	DeleteWorkgroup(ID) error
}

// Memory is a Store that forgets everything with the process.
type Memory struct {
	mu  sync.Mutex // guards the field below
	all []Kept
}

// NewMemory makes an empty one.
func NewMemory() *Memory { return &Memory{} }

// Workgroups is Store's.
func (m *Memory) Workgroups() ([]Kept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Kept, 0, len(m.all))
	for _, k := range m.all {
		out = append(out, k.clone())
	}
	return out, nil
}

// PutWorkgroup is Store's.
func (m *Memory) PutWorkgroup(k Kept) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k = k.clone()
	if i := m.find(k.ID); i >= 0 {
		k.Entries = append(m.all[i].Entries, k.Entries...)
		m.all[i] = k
	} else {
		m.all = append(m.all, k)
	}
	slices.SortStableFunc(m.all, func(a, b Kept) int {
		if c := a.Joined.Compare(b.Joined); c != 0 {
			return c
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	return nil
}

// DeleteWorkgroup is Store's.
func (m *Memory) DeleteWorkgroup(id ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = slices.DeleteFunc(m.all, func(k Kept) bool { return k.ID == id })
	return nil
}

func (m *Memory) find(id ID) int {
	return slices.IndexFunc(m.all, func(k Kept) bool { return k.ID == id })
}

// clone copies k; entries are never changed, so their bytes are shared.
func (k Kept) clone() Kept {
	k.Entries, k.Keys, k.Declined = slices.Clone(k.Entries), slices.Clone(k.Keys), slices.Clone(k.Declined)
	if k.Recovery != nil {
		code := *k.Recovery
		k.Recovery = &code
	}
	return k
}
