package membership

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
)

const (
	syncTime   = 10 * time.Second // for the ledgers of one workgroup to become equal
	askTime    = 5 * time.Second  // for one question to a neighbour
	warmTime   = 2 * time.Second  // for all of them to be ready, before this device leaves
	retryFirst = time.Second
	retryMost  = 30 * time.Second
	maxLoads   = 256 // that wait for one neighbour; what is more is compared instead
)

// load is entries for one neighbour.
type load struct {
	id      workgroup.ID
	entries [][]byte
}

// tie is what is to be done with a neighbour that is there. One goroutine does it.
type tie struct {
	device discovery.DeviceID
	peer   Neighbour
	work   chan struct{} // holds one
	quit   context.CancelFunc

	// The fields below are guarded by Membership.mu.
	loads   []load
	first   bool                  // compare all, even what is in step
	todo    map[workgroup.ID]bool // compare these
	rest    time.Time             // until then nothing is compared: it failed
	renew   bool                  // make the connections anew, after everything else
	offered []workgroup.ID
}

func (t *tie) poke() {
	select {
	case t.work <- struct{}{}:
	default:
	}
}

// Up says that a stream with a device has begun; peer answers until Down. It returns at once.
func (m *Membership) Up(device discovery.DeviceID, peer Neighbour) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if was := m.ties[device]; was != nil && was.quit != nil {
		was.quit()
	}
	t := &tie{device: device, peer: peer, work: make(chan struct{}, 1), first: true, todo: map[workgroup.ID]bool{}}
	m.ties[device] = t
	m.begin(t)
	t.poke()
}

// Down says that the stream with a device has ended; another one, with another peer, may have begun.
func (m *Membership) Down(device discovery.DeviceID, peer Neighbour) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.ties[device]; t != nil && t.peer == peer {
		if t.quit != nil {
			t.quit()
		}
		delete(m.ties, device)
	}
	m.here(device)
}

// begin starts the goroutine of a tie, if Run has begun. The caller holds mu.
func (m *Membership) begin(t *tie) {
	if m.ctx == nil || t.quit != nil {
		return
	}
	ctx, quit := context.WithCancel(m.ctx)
	t.quit = quit
	m.spawnLocked(func(context.Context) {
		defer quit()
		m.tend(ctx, t)
	})
}

// tend does what is to be done with a neighbour, until ctx ends.
func (m *Membership) tend(ctx context.Context, t *tie) {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	wait := retryFirst
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.work:
		case <-retry.C:
		}
		err := m.serve(ctx, t)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait = retryFirst
			continue
		}
		m.cfg.Log.Debug("not in step", "peer", t.device.Short(), "err", err, "again", wait)
		m.mu.Lock()
		t.rest = time.Now().Add(wait)
		m.mu.Unlock()
		retry.Reset(wait)
		wait = min(2*wait, retryMost)
	}
}

// serve does what waits now. The error is that of a comparison, which is to be tried again.
func (m *Membership) serve(ctx context.Context, t *tie) error {
	m.mu.Lock()
	loads, renew := t.loads, t.renew
	t.loads, t.renew = nil, false
	m.mu.Unlock()
	for _, l := range loads {
		if err := m.handIn(ctx, t.device, t.peer, l); err != nil {
			m.cfg.Log.Debug("entries not passed on", "peer", t.device.Short(), "err", err)
			m.mu.Lock()
			t.todo[l.id] = true
			m.mu.Unlock()
		}
	}
	if renew && m.lacks(t.device) && m.mayRenew(ctx, t) {
		m.cfg.Network.Renew(t.device) // ends this goroutine by Down, and begins another one
		return nil
	}
	err := m.syncAll(ctx, t)
	m.offer(ctx, t)
	return err
}

// lacks reports whether there is a common workgroup that was not proven on the newest connection of this device to a neighbour.
func (m *Membership) lacks(device discovery.DeviceID) bool {
	common := m.book().Common(device)
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[device]
	return slices.ContainsFunc(common, func(id workgroup.ID) bool { return k == nil || !slices.Contains(k.out, id) })
}

// mayRenew reports whether the connections to a neighbour may be made anew, and asks for it later if not.
func (m *Membership) mayRenew(ctx context.Context, t *tie) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[t.device]
	if k == nil {
		return true
	}
	now := time.Now()
	if left := renewEvery - now.Sub(k.renewed); left > 0 {
		m.spawnLocked(func(context.Context) {
			select {
			case <-time.After(left):
				m.mu.Lock()
				defer m.mu.Unlock()
				t.renew = true
				t.poke()
			case <-ctx.Done():
			}
		})
		return false
	}
	k.renewed = now
	return true
}

// warm opens connections to the members of a workgroup on which it is proven, for this device's last words: after it left it can
// prove nothing any more.
func (m *Membership) warm(ctx context.Context, id workgroup.ID) {
	have, err := m.book().Have(id)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, warmTime)
	defer cancel()
	var all sync.WaitGroup
	for _, t := range m.membersHere(id, discovery.DeviceID{}) {
		all.Go(func() {
			if _, err := t.peer.Compare(ctx, id, have); err != nil {
				m.cfg.Log.Debug("will not hear that this device leaves", "peer", t.device.Short(), "err", err)
			}
		})
	}
	all.Wait()
}

// post gives entries to a neighbour with which no stream need be kept.
func (m *Membership) post(device discovery.DeviceID, peer Neighbour, l load) {
	m.spawn(func(ctx context.Context) {
		if err := m.handIn(ctx, device, peer, l); err != nil {
			m.cfg.Log.Debug("entries not handed in", "peer", device.Short(), "err", err)
		}
	})
}

// handIn gives entries to a neighbour. If it did not take this device for a member before, it may do so now: a new hello tells.
func (m *Membership) handIn(ctx context.Context, device discovery.DeviceID, peer Neighbour, l load) error {
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	if err := m.book().HandIn(ctx, l.id, device, peer, l.entries); err != nil {
		return err
	}
	if !slices.Contains(m.book().Common(device), l.id) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, t := m.known[device], m.ties[device]; t != nil && k != nil && !slices.Contains(k.out, l.id) {
		t.renew, t.todo[l.id] = true, true
		t.poke()
	}
	return nil
}

// syncAll makes the ledgers of common workgroups equal, and takes the keys. After a failure it waits for its time.
func (m *Membership) syncAll(ctx context.Context, t *tie) error {
	common := m.book().Common(t.device)
	m.mu.Lock()
	if t.first {
		for _, id := range common {
			t.todo[id] = true
		}
	}
	var ids []workgroup.ID
	if t.first || !time.Now().Before(t.rest) {
		for id := range t.todo {
			if slices.Contains(common, id) {
				ids = append(ids, id)
			}
		}
		t.first = false
		clear(t.todo)
	}
	m.mu.Unlock()
	var errs []error
	for _, id := range ids {
		err := m.syncOne(ctx, t, id)
		if err == nil {
			continue
		}
		errs = append(errs, err)
		m.mu.Lock()
		t.todo[id] = true
		if errors.Is(err, transfer.ErrGone) && m.hopes(t.device, id) {
			t.renew = true
		}
		m.mu.Unlock()
	}
	return errors.Join(errs...)
}

// hopes reports whether a device that does not speak of a workgroup may do so on new connections: these are from before this one was
// in it. It is tried once. The caller holds mu.
func (m *Membership) hopes(device discovery.DeviceID, id workgroup.ID) bool {
	k := m.known[device]
	if k == nil || slices.Contains(k.out, id) || slices.Contains(k.hoped, id) {
		return false
	}
	k.hoped = append(k.hoped, id)
	return true
}

func (m *Membership) syncOne(ctx context.Context, t *tie, id workgroup.ID) error {
	sctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	err := m.book().Sync(sctx, id, t.device, t.peer, func(c workgroup.Change) { m.follow(c, t.device) })
	if errors.Is(err, workgroup.ErrNotMember) {
		return nil // the ledgers are equal
	}
	if err != nil {
		return err
	}
	m.cfg.OnChange() // what it offers may be more now
	if err := m.takeKeys(ctx, t.peer, t.device, id); err != nil {
		if w, werr := m.book().Workgroup(id); werr == nil && w.KeyMissing {
			return err
		}
		m.cfg.Log.Debug("no keys", "peer", t.device.Short(), "err", err)
	}
	return nil
}

func (m *Membership) takeKeys(ctx context.Context, peer Neighbour, device discovery.DeviceID, id workgroup.ID) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	ring, err := peer.Keys(ctx, id)
	if err != nil {
		return err
	}
	c, err := m.book().LearnKeys(id, device, ring)
	m.follow(c, device)
	return err
}

// askKeys asks members for the key in use, who sent the entries first, until one has it.
func (m *Membership) askKeys(id workgroup.ID, first discovery.DeviceID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asking[id] {
		return
	}
	m.asking[id] = m.spawnLocked(func(ctx context.Context) {
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.asking, id)
		}()
		m.findKey(ctx, id, first)
	})
}

// keyTries is how often all are asked: who passed the entries on may be waiting for the key itself.
const keyTries = 5

func (m *Membership) findKey(ctx context.Context, id workgroup.ID, first discovery.DeviceID) {
	wait := 50 * time.Millisecond
	for range keyTries {
		for _, t := range m.membersHere(id, first) {
			if w, err := m.book().Workgroup(id); err != nil || !w.KeyMissing {
				return
			}
			if err := m.takeKeys(ctx, t.peer, t.device, id); err != nil {
				m.cfg.Log.Debug("no keys", "peer", t.device.Short(), "err", err)
			}
		}
		if w, err := m.book().Workgroup(id); err != nil || !w.KeyMissing {
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait *= 4
	}
}

// membersHere returns the neighbours that are in step in a workgroup.
func (m *Membership) membersHere(id workgroup.ID, first discovery.DeviceID) (out []*tie) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for device, t := range m.ties {
		if !slices.Contains(m.book().Synced(device), id) {
			continue
		}
		if device == first {
			out = slices.Insert(out, 0, t)
		} else {
			out = append(out, t)
		}
	}
	return out
}

// offer asks a neighbour to move to the workgroups that this device started over with it, once while it is there.
func (m *Membership) offer(ctx context.Context, t *tie) {
	for _, w := range m.book().Workgroups() {
		if !founded(w) || !slices.Contains(idsOf(w.Members), t.device) || !m.toOffer(t, w.ID) {
			continue
		}
		welcome, err := m.book().WelcomeFor(w.ID, t.device)
		if err != nil {
			continue
		}
		octx, cancel := context.WithTimeout(ctx, askTime)
		err = t.peer.Offer(octx, welcome)
		cancel()
		if err != nil { // it did not want to, or does not know the workgroup before
			m.cfg.Log.Debug("not offered to move over", "peer", t.device.Short(), "err", err)
		}
	}
}

// founded reports whether this device founded a workgroup that continues another one.
func founded(w workgroup.Workgroup) bool {
	return w.Standing == workgroup.In && w.Replaces != (workgroup.ID{}) && slices.ContainsFunc(w.Members, func(p workgroup.Member) bool {
		return p.Self && p.By == p.ID
	})
}

// toOffer reports whether a neighbour has not moved yet, and was not asked since it came.
func (m *Membership) toOffer(t *tie, id workgroup.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proven(t.device, id) || slices.Contains(t.offered, id) {
		return false
	}
	t.offered = append(t.offered, id)
	return true
}
