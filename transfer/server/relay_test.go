package server_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
)

// relay is a computer in the middle: the joiner takes it for the inviter, the inviter for the joiner. It has a connection with each,
// proven with a key of its own, and hands every message on, both ways. One that leads talks to each side in messages of its own.
type relay struct {
	*household
	to    *household
	leads bool

	mu   sync.Mutex // guards the fields below
	far  map[*link.Session]*client.Meeting
	own  map[*link.Session]*middle
	said []string // what the far side answered to what
}

// middle is the two comparisons of a relay that leads.
type middle struct {
	joiner  *pairing.SASJoiner  // towards the inviter
	first   []byte              // its message
	inviter *pairing.SASInviter // towards the joiner
	commit  []byte              // what the inviter said
}

func newRelay(t *testing.T, to *household, leads bool) *relay {
	r := &relay{to: to, leads: leads, far: map[*link.Session]*client.Meeting{}, own: map[*link.Session]*middle{}}
	r.household = atHome(t, "relay", func(h *household) { h.meetings, h.pictures = r, r })
	return r
}

// meeting is the conversation on the far side that belongs to one on the near side.
func (r *relay) meeting(s *link.Session) (*client.Meeting, *middle, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.far[s]; m != nil {
		return m, r.own[s], nil
	}
	m, far, err := r.household.meet(context.WithoutCancel(r.t.Context()), r.to)
	if err != nil {
		return nil, nil, err
	}
	mid := &middle{}
	ch := pairing.Channel{Exporter: [32]byte(far.Exporter), Inviter: far.ID, Joiner: r.ident.ID()}
	mid.joiner, mid.first, err = pairing.NewSASJoiner(ch, pairing.ToJoin, "bo", rand.Reader)
	r.far[s], r.own[s] = m, mid
	return m, mid, err
}

// pass hands a message on and brings the answer back.
func (r *relay) pass(s *link.Session, what string, msg []byte, how func(*client.Meeting, context.Context, []byte) ([]byte, error)) ([]byte, error) {
	m, _, err := r.meeting(s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), calm.Most(5*time.Second))
	defer cancel()
	out, err := how(m, ctx, msg)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.said = append(r.said, what)
	}
	return out, err
}

func (r *relay) passed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.said)
}

func (r *relay) Join(s *link.Session, msg []byte) ([]byte, error) {
	return r.pass(s, "join", msg, (*client.Meeting).Join)
}

func (r *relay) JoinConfirm(s *link.Session, msg []byte) ([]byte, error) {
	return r.pass(s, "confirm", msg, (*client.Meeting).JoinConfirm)
}

func (r *relay) JoinResult(ctx context.Context, s *link.Session) (workgroup.Welcome, error) {
	m, _, err := r.meeting(s)
	if err != nil {
		return workgroup.Welcome{}, err
	}
	return m.JoinResult(ctx, func() {})
}

func (r *relay) Begin(s *link.Session, msg []byte) (out []byte, err error) {
	_, mid, err := r.meeting(s)
	if err != nil || !r.leads {
		return r.pass(s, "begin", msg, (*client.Meeting).Begin)
	}
	if mid.commit, err = r.pass(s, "begin", mid.first, (*client.Meeting).Begin); err != nil {
		return nil, err
	}
	mid.inviter, out, err = pairing.NewSASInviter(r.channel(s), rand.Reader, msg)
	return out, err
}

func (r *relay) Reveal(s *link.Session, msg []byte) ([]byte, error) {
	_, mid, err := r.meeting(s)
	if err != nil || !r.leads {
		return r.pass(s, "reveal", msg, (*client.Meeting).Reveal)
	}
	answer, err := mid.joiner.Answer(mid.commit)
	if err == nil {
		answer, err = r.pass(s, "reveal", answer, (*client.Meeting).Reveal)
	}
	if err == nil {
		_, err = mid.joiner.Show(answer)
	}
	if err != nil {
		return nil, err
	}
	out, _, err := mid.inviter.Reveal(msg)
	return out, err
}

func (r *relay) Confirm(ctx context.Context, s *link.Session, same bool) (*workgroup.Welcome, error) {
	m, _, err := r.meeting(s)
	if err != nil {
		return nil, err
	}
	return m.Confirm(ctx, same, func() {})
}

// TestRelay: who stands in between and hands everything on gets nobody in. With a code the proof fails and the inviter sees a run
// used; with pictures either the exchange fails, or the two people see different ones.
func TestRelay(t *testing.T) {
	t.Run("nobody in between", func(t *testing.T) { // the same steps succeed: what fails below does so for the relay's sake
		anna, bo := atHome(t, "anna"), atHome(t, "bo")
		anna.found()
		m, s := bo.mustMeet(anna)
		if err := bo.proves(m, s, anna.opens()); err != nil || anna.invite.Tried() != 0 {
			t.Errorf("%v, %d runs", err, anna.invite.Tried())
		}
	})
	t.Run("code", func(t *testing.T) {
		anna, bo := atHome(t, "anna"), atHome(t, "bo")
		anna.found()
		code := anna.opens()
		r := newRelay(t, anna, false)
		m, s := bo.mustMeet(r.household)
		if err := bo.proves(m, s, code); !errors.Is(err, pairing.ErrProof) {
			t.Errorf("with the right code: %v", err)
		}
		if got := r.passed(); !slices.Equal(got, []string{"join"}) {
			t.Errorf("anna answered %v through the relay", got)
		}
		if got := anna.heard(); !slices.Equal(got, []string{"join", "confirm"}) || anna.invite.Tried() != 1 {
			t.Errorf("anna was asked %v and counts %d runs", got, anna.invite.Tried())
		}
		if _, err := m.JoinResult(t.Context(), func() {}); err == nil {
			t.Error("let in")
		}
	})
	t.Run("pictures", func(t *testing.T) {
		anna, bo := atHome(t, "anna"), atHome(t, "bo")
		anna.found()
		r := newRelay(t, anna, false)
		m, s := bo.mustMeet(r.household)
		if show, err := bo.looks(m, s, pairing.ToJoin); err == nil {
			t.Errorf("bo sees %v", show.Digits())
		}
		if got := r.passed(); !slices.Equal(got, []string{"begin", "reveal"}) {
			t.Errorf("anna answered %v through the relay", got)
		}
	})
	t.Run("pictures of its own", func(t *testing.T) {
		anna, bo := atHome(t, "anna"), atHome(t, "bo")
		anna.found()
		r := newRelay(t, anna, true)
		m, s := bo.mustMeet(r.household)
		show, err := bo.looks(m, s, pairing.ToJoin)
		if err != nil {
			t.Fatal(err)
		}
		if there := anna.sees(); show == there || there == (pairing.SAS{}) {
			t.Errorf("both see %v", show.Digits())
		}
		anna.answer <- true // anna's person does not look; bo's does
		if _, err := m.Confirm(t.Context(), false, func() {}); !errors.Is(err, discovery.ErrDifferent) {
			t.Errorf("%v", err)
		}
		if w, _ := anna.book.Workgroup(anna.group); len(w.Members) != 1 {
			t.Errorf("%d members", len(w.Members))
		}
	})
	t.Run("away", func(t *testing.T) { // a relay that lets go after the first answer has used a run as well
		anna, bo := atHome(t, "anna"), atHome(t, "bo")
		anna.found()
		code := anna.opens()
		r := newRelay(t, anna, false)
		m, s := bo.mustMeet(r.household)
		_, msg, err := pairing.NewJoin(pairing.Channel{Exporter: [32]byte(s.Exporter), Inviter: s.ID, Joiner: bo.ident.ID()}, code, "bo", rand.Reader)
		if err == nil {
			_, err = m.Join(t.Context(), msg)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		for _, far := range r.far {
			far.Close()
		}
		r.mu.Unlock()
		if anna.invite.Tried() != 1 {
			t.Errorf("%d runs", anna.invite.Tried())
		}
		eventually(t, "anna hears that it is gone", func() bool { anna.mu.Lock(); defer anna.mu.Unlock(); return anna.gone == 1 })
		if _, err := m.JoinConfirm(t.Context(), msg); !errors.Is(err, transfer.ErrAway) && !errors.Is(err, transfer.ErrBroken) {
			t.Errorf("%v", err)
		}
	})
}
