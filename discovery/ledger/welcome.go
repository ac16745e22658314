package ledger

import (
	"errors"
	"fmt"

	"porchlight/discovery"
)

// ErrWelcome says that a ledger does not let this device in, or not by who gave it.
var ErrWelcome = errors.New("the ledger does not say that this device was let in by who sent it")

// Read makes a graph of stored or received entries, the genesis first and parents before children. Everything is checked anew.
// wg is the workgroup wanted. Entries that are refused make the whole unusable, but for those that only a newer program
// understands and what rests on them: those are left out.
func Read(wg Hash, raw [][]byte) (*Graph, error) {
	if len(raw) == 0 || len(raw) > MaxEntries {
		return nil, fmt.Errorf("%w: %d entries", ErrForm, len(raw))
	}
	var g *Graph
	for i, b := range raw {
		e, err := Parse(b)
		if err != nil {
			return nil, fmt.Errorf("ledger entry %d: %w", i, err)
		}
		if g == nil {
			if e.id != wg {
				return nil, ErrWorkgroup
			}
			if g, err = New(e); err != nil {
				return nil, err
			}
			continue
		}
		_, err = g.Insert(e)
		if err != nil && !errors.Is(err, ErrUpdate) && !(g.newer && errors.Is(err, ErrParent)) {
			return nil, fmt.Errorf("ledger entry %d: %w", i, err)
		}
	}
	return g, nil
}

// Welcome is Read for a device that was just let in: by inviter, the device the connection belongs to, which must be an active
// admin, as self must be an active member. Only after that may anything of it be stored.
func Welcome(wg Hash, raw [][]byte, inviter, self discovery.DeviceID) (*Graph, error) {
	g, err := Read(wg, raw)
	if err != nil {
		return nil, err
	}
	if st := g.State(); inviter == self || !st.Is(inviter, Admin) || !st.Is(self, Member) {
		return nil, ErrWelcome
	}
	return g, nil
}
