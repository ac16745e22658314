package membership

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

const (
	maxShown   = 8                // invitations and comparisons that are over and still listed
	decideTime = 10 * time.Minute // for a person to say yes to somebody who waits
	runTime    = time.Minute      // for the two messages of a run
	showTime   = 10 * time.Minute // something that is over is listed for so long
)

// invitation is one offer to let a device in. Its fields are guarded by Membership.mu, but for invite.
type invitation struct {
	id        string
	workgroup workgroup.ID
	yes       bool
	invite    *pairing.Invite
	qr        string
	state     discovery.InviteState
	until     time.Time // of the state; then it is over, or listed no more
	guest     *guest    // nil before somebody proved the code
	busy      bool      // the guest is being admitted
}

// guest is a device that proved a code, or was found to show the same pictures, and waits.
type guest struct {
	device   discovery.DeviceID
	key      ledger.Key
	name     string
	via      ledger.Via
	exporter [32]byte
	decided  chan struct{} // closed when the next two are set
	welcome  workgroup.Welcome
	err      error
}

// run is one try at a code, on one connection.
type run struct {
	run   *pairing.Run
	of    *invitation
	via   ledger.Via
	begun time.Time
	gone  <-chan struct{}
	taken bool // its proof has come
}

func (r *run) over(now time.Time) bool {
	select {
	case <-r.gone:
		return true
	default:
		return now.Sub(r.begun) >= runTime
	}
}

// invite makes an invitation into a workgroup of which this device is an admin. One that is open already ends: one slot is announced.
func (m *Membership) invite(id workgroup.ID, how discovery.Invite) (discovery.Invitation, error) {
	w, err := m.book().Workgroup(id)
	switch {
	case err != nil:
		return discovery.Invitation{}, err
	case w.Standing != workgroup.In:
		return discovery.Invitation{}, workgroup.ErrNotMember
	case w.Role != ledger.Admin:
		return discovery.Invitation{}, workgroup.ErrNotAdmin
	}
	name, err := m.token()
	if err != nil {
		return discovery.Invitation{}, err
	}
	now := m.cfg.Now()
	code, err := m.desk.Invite(m.cfg.Rand, now, func(slot int) bool { return len(m.cfg.Network.Inviters(slot)) > 0 })
	if err != nil {
		return discovery.Invitation{}, err
	}
	inv := &invitation{id: name, workgroup: id, yes: how.Yes, invite: code, qr: code.Code().QR(m.cfg.Addresses()), state: discovery.InviteOpen, until: code.Until()}
	m.mu.Lock()
	if was := m.open(); was != nil {
		was.invite.Close()
		was.end(discovery.InviteEnded, now)
	}
	m.invitations = append(m.invitations, inv)
	if at := slices.IndexFunc(m.invitations, (*invitation).over); len(m.invitations) > maxShown && at >= 0 {
		m.invitations = slices.Delete(m.invitations, at, at+1)
	}
	shown := inv.show()
	m.mu.Unlock()
	m.cfg.Announce()
	m.stir()
	return shown, nil
}

// show is called with mu held.
func (i *invitation) show() discovery.Invitation {
	out := discovery.Invitation{ID: i.id, Workgroup: i.workgroup, State: i.state, Code: i.invite.Code().Digits, QR: i.qr, Until: i.invite.Until(),
		Tried: i.invite.Tried(), Tries: pairing.MaxRuns, Yes: i.yes}
	if i.state != discovery.InviteOpen {
		out.Until = i.until
	}
	if i.guest != nil {
		out.Device, out.Name = i.guest.device, i.guest.name
	}
	return out
}

// end is called with mu held.
func (i *invitation) end(state discovery.InviteState, now time.Time) {
	i.state, i.until = state, now.Add(showTime)
}

// over reports whether nothing can come of the invitation any more. The caller holds mu.
func (i *invitation) over() bool {
	return i.state != discovery.InviteOpen && i.state != discovery.InviteAsking
}

// open returns the invitation whose slot is announced; nil if there is none. The caller holds mu.
func (m *Membership) open() *invitation {
	for _, i := range m.invitations {
		if i.state == discovery.InviteOpen {
			return i
		}
	}
	return nil
}

func (m *Membership) invitation(id string) *invitation {
	for _, i := range m.invitations {
		if i.id == id {
			return i
		}
	}
	return nil
}

// Slot returns the two digits to announce, if an invitation is open.
func (m *Membership) Slot() (slot int, open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.open()
	if i == nil || !i.invite.Open(m.cfg.Now()) {
		return 0, false
	}
	return i.invite.Code().Slot(), true
}

// expire ends what is over by itself. It returns when to look again, and whether the slot or anything else has changed.
func (m *Membership) expire() (next time.Time, slot, changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.cfg.Now()
	soon := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for exporter, r := range m.runs {
		if r.over(now) {
			delete(m.runs, exporter)
		} else {
			soon(r.begun.Add(runTime))
		}
	}
	for exporter, c := range m.pending {
		select {
		case <-c.gone:
			delete(m.pending, exporter)
		default:
			if now.Sub(c.Since) >= runTime {
				delete(m.pending, exporter)
			}
		}
	}
	m.invitations = slices.DeleteFunc(m.invitations, func(i *invitation) bool {
		was := i.state
		m.age(i, now)
		slot = slot || was == discovery.InviteOpen && i.state != was
		gone := i.over() && !now.Before(i.until)
		changed = changed || i.state != was || gone
		if !gone {
			soon(i.until)
		}
		return gone
	})
	m.comparisons = slices.DeleteFunc(m.comparisons, func(c *comparison) bool {
		gone := c.over() && !now.Before(c.until)
		changed = changed || gone
		if !gone && c.over() {
			soon(c.until)
		}
		return gone
	})
	for code, r := range m.rescues {
		if now.Before(r.until) {
			soon(r.until)
		} else {
			delete(m.rescues, code)
		}
	}
	return next, slot, changed
}

// age ends an invitation whose time is over, or that bore too many tries. The caller holds mu.
func (m *Membership) age(i *invitation, now time.Time) {
	switch {
	case i.state == discovery.InviteOpen && !now.Before(i.invite.Until()):
		i.end(discovery.InviteExpired, now)
	case i.state == discovery.InviteOpen && !i.invite.Open(now) && !m.running(i, now):
		i.end(discovery.InviteBurned, now)
	case i.state == discovery.InviteAsking && !now.Before(i.until) && !i.busy:
		i.guest.refuse(pairing.ErrOver)
		i.end(discovery.InviteExpired, now)
	}
}

// running reports whether a try is under way, which may be the right one. The caller holds mu.
func (m *Membership) running(i *invitation, now time.Time) bool {
	for _, r := range m.runs {
		if r.of == i && !r.over(now) {
			return true
		}
	}
	return false
}

func (g *guest) refuse(err error) {
	g.err = err
	close(g.decided)
}

func channel(inviter, joiner discovery.DeviceID, exporter [32]byte) pairing.Channel {
	return pairing.Channel{Exporter: exporter, Inviter: inviter, Joiner: joiner}
}

// join takes the first message of somebody who has a code.
func (m *Membership) join(s Session, msg []byte) ([]byte, error) {
	now := m.cfg.Now()
	m.mu.Lock()
	inv, second := m.open(), m.runs[s.Exporter] != nil
	m.mu.Unlock()
	if second {
		return nil, pairing.ErrTurn
	}
	if inv == nil {
		return nil, pairing.ErrOver
	}
	r, out, err := inv.invite.Answer(channel(m.self(), s.Device, s.Exporter), s.From.String(), now, msg)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.runs[s.Exporter] = &run{run: r, of: inv, via: viaOf(msg), begun: now, gone: s.Gone}
	m.mu.Unlock()
	m.stir()
	return out, nil
}

// viaOf says whether the first message of a join was made with the letters of a picture or with the digits.
func viaOf(msg []byte) ledger.Via {
	var first struct {
		QR bool `cbor:"qr"`
	}
	if canon.UnmarshalOpen(msg, &first) == nil && first.QR {
		return ledger.ViaQR
	}
	return ledger.ViaCode
}

// joinConfirm takes the proof. Who gives it waits for a person from now on, or is let in at once if that was said before.
func (m *Membership) joinConfirm(s Session, msg []byte) ([]byte, error) {
	m.mu.Lock()
	r := m.runs[s.Exporter]
	bad := r == nil || r.taken
	if !bad {
		r.taken = true
	}
	m.mu.Unlock()
	if bad {
		return nil, pairing.ErrTurn
	}
	defer m.stir()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.runs, s.Exporter)
	}()
	out, err := r.run.Finish(m.cfg.Now(), msg)
	if err != nil {
		return nil, err
	}
	g := &guest{device: s.Device, key: s.Key, name: r.run.Name(), via: r.via, exporter: s.Exporter, decided: make(chan struct{})}
	if !m.ask(r.of, g) {
		return nil, pairing.ErrOver
	}
	return out, nil
}

// ask puts a guest before a person, or lets it in. false if the invitation has ended meanwhile.
func (m *Membership) ask(inv *invitation, g *guest) bool {
	now := m.cfg.Now()
	m.mu.Lock()
	ok := inv.state == discovery.InviteOpen
	if ok {
		inv.state, inv.guest, inv.until = discovery.InviteAsking, g, now.Add(decideTime)
	}
	m.mu.Unlock()
	if !ok {
		return false
	}
	m.cfg.Announce() // the slot is free
	m.cfg.Log.Info("a device wants to be let in", "peer", g.device.Short(), "via", g.via)
	if inv.yes {
		if err := m.approve(inv.id, workgroup.Admission{Role: ledger.Member}); err != nil {
			m.cfg.Log.Warn("not let in", "peer", g.device.Short(), "err", err)
			_ = m.decline(inv.id, pairing.ErrOver) // it is gone already, then
		}
	}
	return true
}

// approve lets the guest of an invitation in. With an error that a person can do something about, the guest goes on waiting.
func (m *Membership) approve(id string, as workgroup.Admission) error {
	m.mu.Lock()
	inv := m.invitation(id)
	if inv == nil || inv.state != discovery.InviteAsking || inv.busy {
		m.mu.Unlock()
		return discovery.ErrNoInvitation
	}
	inv.busy = true
	g := inv.guest
	m.mu.Unlock()
	as.Key, as.Via = g.key, g.via
	as.Name, as.PersonName = normal(cmp.Or(as.Name, g.name)), normal(as.PersonName)
	as.Role = cmp.Or(as.Role, ledger.Member)
	w, c, err := m.book().Admit(inv.workgroup, as)
	if errors.Is(err, workgroup.ErrMember) { // its connection broke before it had its welcome
		w, err = m.book().WelcomeFor(inv.workgroup, g.device)
	}
	m.mu.Lock()
	inv.busy = false
	if err == nil {
		g.welcome = w
		close(g.decided)
		inv.end(discovery.InviteDone, m.cfg.Now())
	}
	m.mu.Unlock()
	if err != nil {
		return err
	}
	m.cfg.Verified(g.device, g.via)
	m.follow(c, discovery.DeviceID{})
	m.stir()
	return nil
}

// decline withdraws an invitation; somebody who waits hears err.
func (m *Membership) decline(id string, err error) error {
	now := m.cfg.Now()
	m.mu.Lock()
	inv := m.invitation(id)
	if inv == nil || inv.busy {
		m.mu.Unlock()
		return discovery.ErrNoInvitation
	}
	switch inv.state {
	case discovery.InviteOpen:
		inv.invite.Close()
		inv.end(discovery.InviteEnded, now)
	case discovery.InviteAsking:
		inv.guest.refuse(err)
		inv.end(discovery.InviteEnded, now)
	default: // it is looked at no more
		inv.until = now
	}
	m.mu.Unlock()
	m.cfg.Announce()
	m.stir()
	return nil
}

// joinResult waits until a person has decided about the device at the other end. It may have lost the connection on which it proved
// the code: what proves it now is its key.
func (m *Membership) joinResult(ctx context.Context, s Session) (workgroup.Welcome, error) {
	m.mu.Lock()
	var inv *invitation
	for _, i := range slices.Backward(m.invitations) {
		if g := i.guest; g != nil && g.device == s.Device && (i.state == discovery.InviteAsking || i.state == discovery.InviteDone || g.exporter == s.Exporter) {
			inv = i
			break
		}
	}
	m.mu.Unlock()
	if inv == nil {
		return workgroup.Welcome{}, pairing.ErrOver
	}
	return m.await(ctx, s, inv)
}

func (m *Membership) await(ctx context.Context, s Session, inv *invitation) (workgroup.Welcome, error) {
	g := inv.guest
	select {
	case <-g.decided:
	case <-s.Gone:
		return workgroup.Welcome{}, fmt.Errorf("wait for an answer: %w", context.Canceled)
	case <-ctx.Done():
		return workgroup.Welcome{}, ctx.Err()
	}
	if g.err != nil {
		return workgroup.Welcome{}, g.err
	}
	if g.exporter == s.Exporter {
		return g.welcome, nil
	}
	return m.book().WelcomeFor(inv.workgroup, s.Device)
}
