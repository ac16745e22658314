package download

import (
	"context"
	"slices"
	"sync"
	"time"

	"porchlight/transfer"
	"porchlight/transfer/swarm"
)

// StandingStore keeps what this device has seen of others beyond the life of the process.
type StandingStore interface {
	// Standing returns what was kept, however old. An error says that it is lost.
	Standing() ([]transfer.Conduct, error)
	// PutStanding replaces what was kept.
	PutStanding([]transfer.Conduct) error
}

// standingEvery is how often it is kept; what is lost by a crash is learnt again.
const standingEvery = time.Minute

// recallStanding takes over what earlier runs have seen of others. What cannot be read is forgotten.
func recallStanding(cfg Config) *swarm.Standing {
	if cfg.Standing == nil {
		return swarm.NewStanding()
	}
	old, err := cfg.Standing.Standing()
	if err != nil {
		cfg.Log.Warn("what was known of others is forgotten", "err", err)
		old = nil
	}
	now := time.Now()
	old = slices.DeleteFunc(slices.Clone(old), func(c transfer.Conduct) bool { return !swarm.Current(c, now) })
	return swarm.NewStanding(old...)
}

// keepStanding keeps what is seen of others, every minute in which something is. The returned function keeps the last of it, and
// returns when ctx has ended and all is kept.
func (m *Manager) keepStanding(ctx context.Context) (last func()) {
	if m.cfg.Standing == nil {
		return func() {}
	}
	var kept uint64
	keep := func() {
		if n := m.standing.Reports(); n != kept {
			kept = n
			if err := m.cfg.Standing.PutStanding(m.standing.Records(time.Now())); err != nil {
				m.cfg.Log.Warn("what is known of others is not kept", "err", err)
			}
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(standingEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				keep()
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { wg.Wait(); keep() }
}
