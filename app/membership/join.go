package membership

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
)

const (
	findTime   = 6 * time.Second // for the announcement of an invitation to be heard
	findEvery  = 200 * time.Millisecond
	othersTime = time.Second     // for another one, after somebody with this slot did not know the code
	meetTime   = 8 * time.Second // to connect, and for the messages that no person waits for
	maxTried   = 16              // addresses: of MaxInviters devices, each with some
	waitTime   = decideTime + meetTime
	againTime  = 2 * time.Second // before a device is asked again whose connection broke
)

// Join asks to be let in by whoever shows a code, and returns when that was decided.
func (m *Membership) joinByCode(ctx context.Context, text string) (workgroup.Workgroup, error) {
	code, addrs, err := pairing.ParseCode(text)
	if err != nil {
		return workgroup.Workgroup{}, err
	}
	j := &joiner{m: m, code: code, tried: map[netip.AddrPort]bool{}, met: map[discovery.DeviceID]bool{m.self(): true}, later: map[netip.AddrPort]time.Time{},
		best: discovery.ErrNobody, until: time.Now().Add(findTime)}
	m.cfg.Refresh()
	tick := time.NewTicker(findEvery)
	defer tick.Stop()
	for {
		for _, at := range slices.Concat(addrs, m.cfg.Network.Inviters(code.Slot())) {
			if w, done, err := j.try(ctx, at); done {
				return w, err
			}
		}
		if j.enough() || time.Now().After(j.until) {
			return workgroup.Workgroup{}, j.best
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return workgroup.Workgroup{}, errors.Join(ctx.Err(), j.best)
		}
	}
}

// joiner goes from one device that announces the slot of a code to the next.
type joiner struct {
	m     *Membership
	code  pairing.Code
	tried map[netip.AddrPort]bool
	met   map[discovery.DeviceID]bool
	later map[netip.AddrPort]time.Time // those that were asked too soon after the last time
	runs  int
	best  error     // what says most about why nobody let this device in
	until time.Time // others may still turn up
}

func (j *joiner) enough() bool { return j.runs >= pairing.MaxInviters || len(j.tried) >= maxTried }

// note keeps the error that says most: that a code is wrong or over was said by somebody who had one with the same slot.
func (j *joiner) note(err error) {
	weight := func(err error) int {
		for i, kind := range []error{discovery.ErrNobody, pairing.ErrOver, pairing.ErrOften, pairing.ErrProof} {
			if errors.Is(err, kind) {
				return i
			}
		}
		return 0
	}
	if weight(err) > weight(j.best) {
		j.best = err
	}
}

// try proves the code to whoever is at an address. done says that this was the one, whatever came of it.
func (j *joiner) try(ctx context.Context, at netip.AddrPort) (w workgroup.Workgroup, done bool, err error) {
	if j.enough() || j.tried[at] || time.Now().Before(j.later[at]) {
		return w, false, nil
	}
	j.tried[at] = true
	mctx, cancel := context.WithTimeout(ctx, meetTime)
	defer cancel()
	meet, s, err := j.m.cfg.Network.Meet(mctx, discovery.DeviceID{}, at)
	if err != nil {
		j.m.cfg.Log.Debug("nobody with an invitation", "at", at, "err", err)
		return w, false, nil
	}
	defer meet.Close() //nolint:errcheck // it served its purpose
	if j.met[s.Device] || j.m.cfg.Blocked != nil && j.m.cfg.Blocked(s.Device) {
		return w, false, nil
	}
	j.met[s.Device] = true
	j.runs++
	if err := j.prove(mctx, meet, s); err != nil {
		j.m.cfg.Log.Info("the code does not fit", "peer", s.Device.Short(), "err", err)
		j.note(err)
		if errors.Is(err, pairing.ErrOften) && j.later[at].IsZero() {
			j.later[at] = time.Now().Add(pairing.RunEvery)
			delete(j.tried, at)
			delete(j.met, s.Device)
			return w, false, nil
		}
		if soon := time.Now().Add(othersTime); soon.Before(j.until) && len(j.later) == 0 {
			j.until = soon
		}
		return w, false, nil
	}
	cancel()
	w, err = j.result(ctx, meet, s, at)
	return w, true, err
}

func (j *joiner) prove(ctx context.Context, meet Meeting, s Session) error {
	run, msg, err := pairing.NewJoin(channel(s.Device, j.m.self(), s.Exporter), j.code, j.m.name(), j.m.cfg.Rand)
	if err != nil {
		return err
	}
	if msg, err = meet.Join(ctx, msg); err != nil {
		return err
	}
	if msg, err = run.Confirm(msg); err != nil {
		return err
	}
	if msg, err = meet.JoinConfirm(ctx, msg); err != nil {
		return err
	}
	return run.Finish(msg)
}

// result waits for the person who shows the code, also when the connection breaks meanwhile, and enters the workgroup.
func (j *joiner) result(outer context.Context, meet Meeting, s Session, at netip.AddrPort) (workgroup.Workgroup, error) {
	ctx, cancel := context.WithTimeout(outer, waitTime)
	defer cancel()
	welcome, err := meet.JoinResult(ctx, func() {})
	for errors.Is(err, transfer.ErrAway) && ctx.Err() == nil {
		select {
		case <-time.After(againTime):
		case <-ctx.Done():
		}
		again, _, merr := j.m.cfg.Network.Meet(ctx, s.Device, at)
		if merr != nil {
			continue
		}
		welcome, err = again.JoinResult(ctx, func() {})
		again.Close() //nolint:errcheck // it served its purpose
	}
	if err != nil {
		return workgroup.Workgroup{}, errors.Join(outer.Err(), err) // whose time was up comes first
	}
	via := ledger.ViaCode
	if j.code.Secret != "" {
		via = ledger.ViaQR
	}
	return j.m.enter(s.Device, at, welcome, via)
}

// enter joins a workgroup that a device let this one into.
func (m *Membership) enter(inviter discovery.DeviceID, at netip.AddrPort, welcome workgroup.Welcome, via ledger.Via) (workgroup.Workgroup, error) {
	c, err := m.book().Join(inviter, welcome)
	if err != nil {
		return workgroup.Workgroup{}, fmt.Errorf("enter the workgroup: %w", err)
	}
	m.cfg.Verified(inviter, via)
	if at.IsValid() {
		m.cfg.Network.Keep(inviter, at)
	}
	m.follow(c, inviter)
	return m.book().Workgroup(welcome.Workgroup)
}

// name is what this device calls itself when it meets somebody.
func (m *Membership) name() string {
	if m.cfg.Name != nil {
		if name := normal(m.cfg.Name()); discovery.CheckName(name) == nil {
			return name
		}
	}
	return m.self().Short()
}
