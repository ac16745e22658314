package membership

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
)

// comparison is two people looking at pictures. Its fields are guarded by Membership.mu, but for those of the side that began.
type comparison struct {
	discovery.Comparison
	exporter [32]byte
	key      ledger.Key
	gone     <-chan struct{}
	until    time.Time           // when it is over: it is listed so long
	said     bool                // the person here has said something
	same     bool                // and what
	answered chan struct{}       // closed when it was said, or the comparison is over
	begun    *pairing.SASInviter // on the side that was dialled, until it shows
}

func (c *comparison) over() bool {
	return c.State != discovery.CompareShown && c.State != discovery.CompareWaiting
}

// compare begins a comparison with a device, and returns its ID when the pictures can be shown.
func (m *Membership) compare(ctx context.Context, device discovery.DeviceID, purpose pairing.Purpose) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, meetTime)
	defer cancel()
	meet, s, err := m.cfg.Network.Meet(ctx, device, netip.AddrPort{})
	if err != nil {
		return "", err
	}
	show, err := m.picture(ctx, meet, s, purpose)
	var c *comparison
	if err == nil {
		c, err = m.newComparison(s, purpose)
	}
	if err != nil {
		meet.Close() //nolint:errcheck // the first error says more
		return "", err
	}
	c.SAS, c.Name = show, m.cfg.Called(device)
	m.list(c)
	if !m.spawn(func(ctx context.Context) { m.lookTogether(ctx, c, meet) }) {
		meet.Close() //nolint:errcheck // the error says it
		return "", fmt.Errorf("%w: this device is stopping", transfer.ErrAway)
	}
	return c.ID, nil
}

// picture exchanges the messages after which both sides show the same, if nobody stands in between.
func (m *Membership) picture(ctx context.Context, meet Meeting, s Session, purpose pairing.Purpose) (show pairing.SAS, err error) {
	side, msg, err := pairing.NewSASJoiner(channel(s.Device, m.self(), s.Exporter), purpose, m.name(), m.cfg.Rand)
	if err != nil {
		return show, err
	}
	if msg, err = meet.Begin(ctx, msg); err != nil {
		return show, err
	}
	if err := m.gate.Begin(s.Device, m.cfg.Now()); err != nil { // one that was refused is no try
		return show, err
	}
	if msg, err = side.Answer(msg); err != nil {
		return show, err
	}
	if msg, err = meet.Reveal(ctx, msg); err != nil {
		return show, err
	}
	return side.Show(msg)
}

func (m *Membership) newComparison(s Session, purpose pairing.Purpose) (*comparison, error) {
	id, err := m.token()
	if err != nil {
		return nil, err
	}
	c := &comparison{exporter: s.Exporter, key: s.Key, gone: s.Gone, answered: make(chan struct{})}
	c.ID, c.Device, c.Join, c.State, c.Since = id, s.Device, purpose == pairing.ToJoin, discovery.CompareShown, m.cfg.Now()
	return c, nil
}

// list has a comparison seen.
func (m *Membership) list(c *comparison) {
	m.mu.Lock()
	m.comparisons = append(m.comparisons, c)
	m.comparisons = m.comparisons[max(0, len(m.comparisons)-maxShown):]
	m.mu.Unlock()
	m.stir()
}

// settle ends a comparison, once. A device that shows other pictures is not met for a while.
func (m *Membership) settle(c *comparison, state discovery.CompareState, trouble error) {
	now := m.cfg.Now()
	m.mu.Lock()
	first := !c.over()
	if first {
		c.State, c.until = state, now.Add(showTime)
		if trouble != nil {
			c.Trouble = trouble.Error()
		}
		if !c.said {
			c.said = true
			close(c.answered)
		}
	}
	m.mu.Unlock()
	if !first {
		return
	}
	if state == discovery.CompareDifferent {
		m.gate.Block(c.Device, now)
		m.cfg.Log.Warn("pictures were different", "peer", c.Device.Short())
	}
	m.stir()
}

// lookTogether waits for both people, on the side that began.
func (m *Membership) lookTogether(ctx context.Context, c *comparison, meet Meeting) {
	defer meet.Close() //nolint:errcheck // it is over
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	select {
	case <-c.answered:
	case <-c.gone:
		m.settle(c, discovery.CompareOver, errors.New("the connection ended"))
		return
	case <-ctx.Done():
		m.settle(c, discovery.CompareOver, ctx.Err())
		return
	}
	m.mu.Lock()
	same := c.same
	m.mu.Unlock()
	welcome, err := meet.Confirm(ctx, same, func() {})
	switch {
	case !same || errors.Is(err, discovery.ErrDifferent) || errors.Is(err, pairing.ErrBlocked):
		m.settle(c, discovery.CompareDifferent, nil)
	case err != nil:
		m.settle(c, discovery.CompareOver, err)
	case c.Join && welcome == nil:
		m.settle(c, discovery.CompareOver, pairing.ErrMessage)
	case c.Join:
		if _, err := m.enter(c.Device, netip.AddrPort{}, *welcome, ledger.ViaPictures); err != nil {
			m.settle(c, discovery.CompareOver, err)
			return
		}
		m.settle(c, discovery.CompareSame, nil)
	default:
		m.cfg.Verified(c.Device, ledger.ViaPictures)
		m.settle(c, discovery.CompareSame, nil)
	}
}

// answerComparison is what a person says.
func (m *Membership) answerComparison(id string, same bool) error {
	m.mu.Lock()
	var c *comparison
	for _, x := range m.comparisons {
		if x.ID == id {
			c = x
		}
	}
	if c == nil || c.said && !c.over() {
		m.mu.Unlock()
		return pairing.ErrTurn
	}
	if c.over() {
		state := c.State
		m.mu.Unlock()
		if state == discovery.CompareDifferent {
			return discovery.ErrDifferent
		}
		return pairing.ErrTurn
	}
	c.said, c.same = true, same
	if same {
		c.State = discovery.CompareWaiting
	}
	close(c.answered)
	m.mu.Unlock()
	if same {
		m.stir()
	} else {
		m.settle(c, discovery.CompareDifferent, nil)
	}
	return nil
}

// begun takes the first message of somebody who wants to compare pictures.
func (m *Membership) begun(s Session, msg []byte) ([]byte, error) {
	side, out, err := pairing.NewSASInviter(channel(m.self(), s.Device, s.Exporter), m.cfg.Rand, msg)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	inv := m.open()
	second := m.comparison(s.Exporter) != nil
	m.mu.Unlock()
	if second {
		return nil, pairing.ErrTurn
	}
	if side.Purpose == pairing.ToJoin && inv == nil {
		return nil, pairing.ErrOver
	}
	if err := m.gate.Begin(s.Device, m.cfg.Now()); err != nil { // before anything is said that could be compared
		return nil, err
	}
	c, err := m.newComparison(s, side.Purpose)
	if err != nil {
		return nil, err
	}
	c.Name, c.Asked, c.begun = normal(side.Name), true, side
	m.mu.Lock()
	m.pending[s.Exporter] = c
	m.mu.Unlock()
	return out, nil
}

// comparison returns what was begun on a connection. The caller holds mu.
func (m *Membership) comparison(exporter [32]byte) *comparison {
	if c := m.pending[exporter]; c != nil {
		return c
	}
	for _, c := range m.comparisons {
		if c.exporter == exporter && c.Asked {
			return c
		}
	}
	return nil
}

// reveal shows the pictures on the side that was dialled.
func (m *Membership) reveal(s Session, msg []byte) ([]byte, error) {
	m.mu.Lock()
	c := m.pending[s.Exporter]
	delete(m.pending, s.Exporter)
	m.mu.Unlock()
	if c == nil {
		return nil, pairing.ErrTurn
	}
	out, show, err := c.begun.Reveal(msg)
	if err != nil {
		return nil, err
	}
	c.SAS = show
	m.list(c)
	m.spawn(func(ctx context.Context) { m.watch(ctx, c) })
	return out, nil
}

// watch ends a comparison with its connection.
func (m *Membership) watch(ctx context.Context, c *comparison) {
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	select {
	case <-c.gone:
		m.settle(c, discovery.CompareOver, errors.New("the connection ended"))
	case <-ctx.Done():
		m.settle(c, discovery.CompareOver, ctx.Err())
	}
}

// confirm is told what the person at the other side said, and waits for the one here.
func (m *Membership) confirm(ctx context.Context, s Session, same bool) (*workgroup.Welcome, error) {
	m.mu.Lock()
	c := m.comparison(s.Exporter)
	bad := c == nil || m.pending[s.Exporter] != nil
	m.mu.Unlock()
	if bad {
		return nil, pairing.ErrTurn
	}
	if !same {
		m.settle(c, discovery.CompareDifferent, nil)
		return nil, discovery.ErrDifferent
	}
	select {
	case <-c.answered:
	case <-s.Gone:
		return nil, context.Canceled
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m.mu.Lock()
	state, ours := c.State, c.same
	m.mu.Unlock()
	switch {
	case state == discovery.CompareDifferent || !ours:
		return nil, discovery.ErrDifferent
	case state != discovery.CompareWaiting:
		return nil, pairing.ErrOver
	}
	if !c.Join {
		m.cfg.Verified(c.Device, ledger.ViaPictures)
		m.settle(c, discovery.CompareSame, nil)
		return nil, nil
	}
	return m.letIn(ctx, s, c)
}

// letIn makes the one who showed the same pictures the guest of the open invitation.
func (m *Membership) letIn(ctx context.Context, s Session, c *comparison) (*workgroup.Welcome, error) {
	m.mu.Lock()
	inv := m.open()
	m.mu.Unlock()
	if inv == nil {
		m.settle(c, discovery.CompareOver, pairing.ErrOver)
		return nil, pairing.ErrOver
	}
	m.settle(c, discovery.CompareSame, nil)
	g := &guest{device: c.Device, key: c.key, name: c.Name, via: ledger.ViaPictures, exporter: s.Exporter, decided: make(chan struct{})}
	if !m.ask(inv, g) {
		return nil, pairing.ErrOver
	}
	inv.invite.Close() // its code lets nobody in any more
	m.stir()
	w, err := m.await(ctx, s, inv)
	if err != nil {
		return nil, err
	}
	return &w, nil
}
