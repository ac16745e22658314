package membership

import (
	"context"
	"errors"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
)

const (
	rescueTime = 15 * time.Minute // for somebody to choose a moment
	maxAsked   = 32               // devices that are shown the proof of a code
	allTime    = 30 * time.Second // for all of them
)

// rescue is the ledger that a member gave to somebody with the recovery code.
type rescue struct {
	welcome workgroup.Welcome
	until   time.Time
}

// moments returns the states of a workgroup to go back to, from this device's ledger or that of a neighbour.
func (m *Membership) moments(ctx context.Context, text string) ([]workgroup.Moment, error) {
	code, err := ledger.ParseRecoveryCode(text)
	if err != nil {
		return nil, err
	}
	w, err := m.rescue(ctx, code)
	if err != nil {
		return nil, err
	}
	return m.book().Moments(code, w)
}

// rescue returns a ledger for a code: none if this device has one of its own.
func (m *Membership) rescue(ctx context.Context, code ledger.RecoveryCode) (workgroup.Welcome, error) {
	_, err := m.book().Moments(code, workgroup.Welcome{})
	if !errors.Is(err, workgroup.ErrCode) {
		return workgroup.Welcome{}, err
	}
	now := m.cfg.Now()
	m.mu.Lock()
	r, ok := m.rescues[code]
	m.mu.Unlock()
	if ok && now.Before(r.until) {
		return r.welcome, nil
	}
	key, err := code.Key()
	if err != nil {
		return workgroup.Welcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, allTime)
	defer cancel()
	w, err := m.askAround(ctx, code, key)
	if err != nil {
		return workgroup.Welcome{}, err
	}
	m.mu.Lock()
	m.rescues[code] = rescue{w, now.Add(rescueTime)}
	m.mu.Unlock()
	m.stir()
	return w, nil
}

// askAround shows the proof to one device after the other. Nobody learns anything from it who is not in the workgroup.
func (m *Membership) askAround(ctx context.Context, code ledger.RecoveryCode, key *ledger.RecoveryKey) (workgroup.Welcome, error) {
	all := m.cfg.Network.Around()
	met := false
	for _, spot := range all[:min(len(all), maxAsked)] {
		w, err := m.askOne(ctx, spot, key)
		if err == nil {
			if _, err = m.book().Moments(code, w); err == nil {
				return w, nil
			}
		}
		met = met || !errors.Is(err, transfer.ErrAway)
		m.cfg.Log.Debug("no help with a recovery code", "peer", spot.Device.Short(), "at", spot.At, "err", err)
		if ctx.Err() != nil {
			break
		}
	}
	if met {
		return workgroup.Welcome{}, workgroup.ErrCode
	}
	return workgroup.Welcome{}, discovery.ErrNobody
}

func (m *Membership) askOne(ctx context.Context, spot Spot, key *ledger.RecoveryKey) (workgroup.Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, meetTime)
	defer cancel()
	meet, s, err := m.cfg.Network.Meet(ctx, spot.Device, spot.At)
	if err != nil {
		return workgroup.Welcome{}, err
	}
	defer meet.Close() //nolint:errcheck // it served its purpose
	return meet.Recover(ctx, key.Prove(s.Exporter))
}

// recover uses a recovery code.
func (m *Membership) recover(ctx context.Context, text string, c workgroup.Choice) (workgroup.Workgroup, error) {
	code, err := ledger.ParseRecoveryCode(text)
	if err != nil {
		return workgroup.Workgroup{}, err
	}
	w, err := m.rescue(ctx, code)
	if err != nil {
		return workgroup.Workgroup{}, err
	}
	c.Name, c.PersonName = normal(c.Name), normal(c.PersonName)
	if c.Name == "" {
		c.Name = m.name()
	}
	change, err := m.book().Recover(code, w, c)
	if err != nil {
		return workgroup.Workgroup{}, err
	}
	m.mu.Lock()
	delete(m.rescues, code)
	m.mu.Unlock()
	m.follow(change, discovery.DeviceID{})
	return m.book().Workgroup(change.Workgroup)
}

// startOver founds a workgroup that continues another one. Those who are to come along are asked when they are there.
func (m *Membership) startOver(old workgroup.ID, f workgroup.Founding, keep []discovery.DeviceID) (workgroup.Workgroup, error) {
	w, err := m.book().StartOver(old, composed(f), keep...)
	if err != nil {
		return workgroup.Workgroup{}, err
	}
	m.founded(w)
	return w, nil
}

// founded is what follows when this device founded a workgroup.
func (m *Membership) founded(w workgroup.Workgroup) {
	m.mu.Lock()
	for _, p := range w.Members {
		if t := m.ties[p.ID]; t != nil {
			t.poke()
		}
	}
	m.mu.Unlock()
	m.cfg.Announce()
	m.cfg.OnChange()
}

// moveOver is the yes to an offer of somebody who started over.
func (m *Membership) moveOver(ctx context.Context, id workgroup.ID) error {
	for _, o := range m.book().Offers() {
		if o.ID == id {
			m.warm(ctx, o.Old)
		}
	}
	changes, err := m.book().MoveOver(id)
	for i := len(changes) - 1; i >= 0; i-- { // that it left goes out while the old workgroup is still proven
		m.follow(changes[i], discovery.DeviceID{})
	}
	m.cfg.OnChange()
	return err
}
