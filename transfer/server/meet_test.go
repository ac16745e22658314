package server_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// proves shows a code on a connection, up to message 4.
func (h *household) proves(m *client.Meeting, s *link.Session, code pairing.Code) error {
	ctx, cancel := context.WithTimeout(h.t.Context(), calm.Most(10*time.Second))
	defer cancel()
	j, msg, err := pairing.NewJoin(pairing.Channel{Exporter: [32]byte(s.Exporter), Inviter: s.ID, Joiner: h.ident.ID()}, code, h.name, rand.Reader)
	if err != nil {
		return err
	}
	if msg, err = m.Join(ctx, msg); err != nil {
		return err
	}
	if msg, err = j.Confirm(msg); err != nil {
		return err
	}
	if msg, err = m.JoinConfirm(ctx, msg); err != nil {
		return err
	}
	return j.Finish(msg)
}

// looks exchanges the messages of a comparison and returns what h sees.
func (h *household) looks(m *client.Meeting, s *link.Session, p pairing.Purpose) (pairing.SAS, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), calm.Most(10*time.Second))
	defer cancel()
	side, msg, err := pairing.NewSASJoiner(pairing.Channel{Exporter: [32]byte(s.Exporter), Inviter: s.ID, Joiner: h.ident.ID()}, p, h.name, rand.Reader)
	if err != nil {
		return pairing.SAS{}, err
	}
	if msg, err = m.Begin(ctx, msg); err != nil {
		return pairing.SAS{}, err
	}
	if msg, err = side.Answer(msg); err != nil {
		return pairing.SAS{}, err
	}
	if msg, err = m.Reveal(ctx, msg); err != nil {
		return pairing.SAS{}, err
	}
	return side.Show(msg)
}

// wrong is another code with the same slot.
func wrong(c pairing.Code) pairing.Code {
	last := c.Digits[7]
	c.Digits, c.Secret = c.Digits[:7]+string('0'+(last-'0'+1)%10), ""
	return c
}

// TestJoinByCode: from eight digits, or the letters for a camera, to a member in step, over TLS from end to end.
func TestJoinByCode(t *testing.T) {
	for _, letters := range []bool{false, true} {
		anna, bo := atHome(t, "anna", func(h *household) { h.strange = true }), atHome(t, "bo")
		id := anna.found()
		code := anna.opens()
		if !letters {
			code.Secret = ""
		}
		m, s := bo.mustMeet(anna)
		if err := bo.proves(m, s, code); err != nil {
			t.Fatal(err)
		}
		if anna.invite.Tried() != 0 {
			t.Errorf("%d runs counted", anna.invite.Tried())
		}
		waiting := make(chan struct{}, 16)
		go func() { <-waiting; anna.answer <- true }()
		w, err := m.JoinResult(t.Context(), func() { waiting <- struct{}{} })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bo.book.Join(s.ID, w); err != nil {
			t.Fatal(err)
		}
		if err := bo.sync(anna, id); err != nil {
			t.Error(err)
		}
		if got := anna.book.Synced(bo.ident.ID()); !slices.Equal(got, []workgroup.ID{id}) {
			t.Errorf("anna serves bo %v", got)
		}
	}
}

// TestMeetingsThatFail: each refusal arrives as what it is.
func TestMeetingsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		anna, bo := homeInMemory(t, "anna"), homeInMemory(t, "bo")
		anna.found()
		code := anna.opens()
		for i := range 2 {
			m, s := bo.mustMeet(anna)
			if i > 0 {
				time.Sleep(pairing.RunEvery)
			}
			if err := bo.proves(m, s, wrong(code)); !errors.Is(err, pairing.ErrProof) {
				t.Errorf("a wrong code: %v", err)
			}
			if anna.invite.Tried() != i+1 {
				t.Errorf("%d runs counted", anna.invite.Tried())
			}
			if _, err := m.JoinResult(ctx, func() {}); !errors.Is(err, transfer.ErrAway) {
				t.Errorf("a meeting that is over goes on: %v", err)
			}
		}
		m, s := bo.mustMeet(anna)
		if err := bo.proves(m, s, code); !errors.Is(err, pairing.ErrOften) {
			t.Errorf("at once again: %v", err)
		}
		time.Sleep(pairing.RunEvery)
		m, s = bo.mustMeet(anna)
		if err := bo.proves(m, s, code); err != nil {
			t.Fatal(err)
		}
		anna.answer <- false
		if _, err := m.JoinResult(ctx, func() {}); !errors.Is(err, discovery.ErrDeclined) {
			t.Errorf("a person's no: %v", err)
		}
		cy := homeInMemory(t, "cy")
		m, s = cy.mustMeet(anna)
		if err := cy.proves(m, s, code); !errors.Is(err, pairing.ErrOver) {
			t.Errorf("a code that was used: %v", err)
		}
		m, _ = cy.mustMeet(anna)
		if _, err := m.JoinResult(ctx, func() {}); !errors.Is(err, pairing.ErrOver) {
			t.Errorf("an answer nobody waits for: %v", err)
		}
	})
}

// TestSameConnection: the messages of a meeting come on one connection, in their order, once. What does not is 409, and nobody
// is asked about it.
func TestSameConnection(t *testing.T) {
	anna, bo := atHome(t, "anna"), atHome(t, "bo")
	anna.found()
	code := anna.opens()
	a, sa := bo.mustMeet(anna)
	b, _ := bo.mustMeet(anna)
	j, msg, err := pairing.NewJoin(pairing.Channel{Exporter: [32]byte(sa.Exporter), Inviter: sa.ID, Joiner: bo.ident.ID()}, code, "bo", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, transfer.ErrProtocol) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("message 3 first", second(a.JoinConfirm(ctx, msg)))
	refused("pictures shown first", second(a.Reveal(ctx, msg)))
	refused("same first", second(a.Confirm(ctx, true, func() {})))
	first := msg
	if msg, err = a.Join(ctx, msg); err != nil {
		t.Fatal(err)
	}
	if msg, err = j.Confirm(msg); err != nil {
		t.Fatal(err)
	}
	refused("message 1 twice", second(a.Join(ctx, first)))
	refused("pictures too", second(a.Begin(ctx, first)))
	refused("a recovery too", second(a.Recover(ctx, first)))
	refused("the result before the proof", second(a.JoinResult(ctx, func() {})))
	refused("the proof on another connection", second(b.JoinConfirm(ctx, msg)))
	if got := anna.heard(); !slices.Equal(got, []string{"join"}) {
		t.Errorf("anna was asked %v", got)
	}
	if _, err = a.JoinConfirm(ctx, msg); err != nil {
		t.Errorf("the right one after all that: %v", err)
	}
	refused("the proof twice", second(a.JoinConfirm(ctx, msg)))
}

func second[T any](_ T, err error) error { return err }

// TestRunIsUsed: whoever closes the connection after the first answer has used a run, and the inviter is told at once.
func TestRunIsUsed(t *testing.T) {
	anna, eve := atHome(t, "anna"), atHome(t, "eve")
	anna.found()
	code := anna.opens()
	m, s := eve.mustMeet(anna)
	_, msg, err := pairing.NewJoin(pairing.Channel{Exporter: [32]byte(s.Exporter), Inviter: s.ID, Joiner: eve.ident.ID()}, wrong(code), "eve", rand.Reader)
	if err == nil {
		_, err = m.Join(t.Context(), msg)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	eventually(t, "anna hears that the connection is gone", func() bool {
		anna.mu.Lock()
		defer anna.mu.Unlock()
		return anna.gone == 1
	})
	if anna.invite.Tried() != 1 {
		t.Errorf("%d runs counted", anna.invite.Tried())
	}
}

// TestPictures: both see the same, and go on as both say.
func TestPictures(t *testing.T) {
	for _, tt := range []struct {
		purpose    pairing.Purpose
		here, over bool // what the two say
		want       error
	}{
		{pairing.ToVerify, true, true, nil}, {pairing.ToVerify, false, true, discovery.ErrDifferent}, {pairing.ToVerify, true, false, discovery.ErrDifferent},
		{pairing.ToJoin, true, true, nil}, {pairing.ToJoin, true, false, discovery.ErrDeclined}, {pairing.ToJoin, false, true, discovery.ErrDifferent},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			anna, bo := atHome(t, "anna"), atHome(t, "bo")
			id := anna.found()
			m, s := bo.mustMeet(anna)
			show, err := bo.looks(m, s, tt.purpose)
			if err != nil {
				t.Fatal(err)
			}
			if show != anna.sees() || show == (pairing.SAS{}) {
				t.Errorf("%v here, %v there", show.Digits(), anna.sees().Digits())
			}
			anna.answer <- tt.over
			w, err := m.Confirm(t.Context(), tt.here, func() {})
			if !errors.Is(err, tt.want) || err == nil && (w != nil) != (tt.purpose == pairing.ToJoin) {
				t.Errorf("%+v, %v", w, err)
			}
			if w != nil {
				if _, err := bo.book.Join(s.ID, *w); err != nil || w.Workgroup != id {
					t.Error(err)
				}
			}
		})
	}
}

// TestRecoverByCode: who has the sheet gets the ledger; whoever has not gets the 404 of everything else, not sooner.
func TestRecoverByCode(t *testing.T) {
	anna, bo := atHome(t, "anna", func(h *household) { h.strange = true }), atHome(t, "bo")
	id := anna.found()
	code, err := anna.book.RecoveryCode(id)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ledger.NewRecoveryCode(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	prove := func(c ledger.RecoveryCode, s *link.Session) []byte {
		k, err := c.Key()
		if err != nil {
			t.Fatal(err)
		}
		return k.Prove([32]byte(s.Exporter))
	}
	m, s := bo.mustMeet(anna)
	began := time.Now()
	if _, err := m.Recover(t.Context(), prove(other, s)); !errors.Is(err, transfer.ErrGone) || time.Since(began) < wire.RefusalTime {
		t.Errorf("another code: %v after %v", err, time.Since(began))
	}
	_, elsewhere := bo.mustMeet(anna)
	m, _ = bo.mustMeet(anna)
	if _, err := m.Recover(t.Context(), prove(code, elsewhere)); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("a proof of another connection: %v", err)
	}
	m, s = bo.mustMeet(anna)
	w, err := m.Recover(t.Context(), prove(code, s))
	if err != nil {
		t.Fatal(err)
	}
	moments, err := bo.book.Moments(code, w)
	if err != nil || len(moments) == 0 {
		t.Fatal(moments, err)
	}
	if _, err := bo.book.Recover(code, w, workgroup.Choice{Heads: moments[0].Heads, Name: "bo", PersonName: "Bo"}); err != nil {
		t.Error(err)
	}
}

// TestMove: an offer to move over comes from who proved the old workgroup, and from nobody else.
func TestMove(t *testing.T) {
	anna, bo, eve := atHome(t, "anna"), atHome(t, "bo"), atHome(t, "eve")
	old := anna.found(bo)
	if err := bo.sync(anna, old); err != nil {
		t.Fatal(err)
	}
	neu, err := anna.book.StartOver(old, workgroup.Founding{Name: "Home", Device: "anna", PersonName: "Anna"}, bo.ident.ID())
	if err != nil {
		t.Fatal(err)
	}
	w, err := anna.book.WelcomeFor(neu.ID, bo.ident.ID())
	if err != nil {
		t.Fatal(err)
	}
	c, _ := eve.ask(bo)
	if err := c.Offer(t.Context(), w); !errors.Is(err, transfer.ErrGone) {
		t.Errorf("from a stranger: %v", err)
	}
	c, _ = anna.ask(bo)
	if err := c.Offer(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if got := bo.book.Offers(); len(got) != 1 || got[0].ID != neu.ID || got[0].Old != old {
		t.Errorf("%+v", got)
	}
	if err := c.Offer(t.Context(), w); !errors.Is(err, transfer.ErrBusy) {
		t.Errorf("at once again: %v", err)
	}
}

// TestBrokenWait: a device whose connection broke while a person decided asks again on a new one. The household of this test
// knows guests by their connection, and so says that it is over; what counts is that it is asked.
func TestBrokenWait(t *testing.T) {
	anna, bo := atHome(t, "anna"), atHome(t, "bo")
	anna.found()
	code := anna.opens()
	m, s := bo.mustMeet(anna)
	if err := bo.proves(m, s, code); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := m.JoinResult(ctx, cancel); err == nil {
		t.Error("an answer that nobody gave")
	}
	eventually(t, "anna's wait ends with the connection", func() bool { return slices.Contains(anna.heard(), "ended") })
	m, _ = bo.mustMeet(anna)
	if _, err := m.JoinResult(t.Context(), func() {}); !errors.Is(err, pairing.ErrOver) {
		t.Errorf("%v", err)
	}
	if got := anna.heard(); !slices.Equal(got, []string{"join", "confirm", "result", "ended", "result"}) {
		t.Errorf("anna was asked %v", got)
	}
}

// TestPatientMeeting: people may take minutes over pictures, and minutes over an answer; the connection lasts, with a beat each 5 s,
// and not for ever.
func TestPatientMeeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anna, bo := homeInMemory(t, "anna"), homeInMemory(t, "bo")
		anna.found()
		m, s := bo.mustMeet(anna)
		if _, err := bo.looks(m, s, pairing.ToJoin); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Minute) // bo's person looks
		beats := 0
		go func() { time.Sleep(9 * time.Minute); anna.answer <- true }()
		if _, err := m.Confirm(t.Context(), true, func() { beats++ }); err != nil {
			t.Fatal(err)
		}
		if want := int(9 * time.Minute / wire.Beat); beats < want {
			t.Errorf("%d beats in 9 minutes", beats)
		}
		m, s = bo.mustMeet(anna)
		if err := bo.proves(m, s, anna.opens()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := m.JoinResult(t.Context(), func() {}); !errors.Is(err, pairing.ErrOver) || time.Since(began) > wire.DecisionTime+time.Second {
			t.Errorf("nobody ever answers: %v after %v", err, time.Since(began))
		}
		m, s = bo.mustMeet(anna)
		if _, err := bo.looks(m, s, pairing.ToVerify); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		<-s.Gone()
		if took := time.Since(began); took < wire.DecisionTime || took > wire.DecisionTime+time.Minute {
			t.Errorf("pictures nobody looks at: closed after %v", took)
		}
	})
}

// TestIdleMeeting: a run that does not go on is closed within a minute.
func TestIdleMeeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anna, bo := homeInMemory(t, "anna"), homeInMemory(t, "bo")
		anna.found()
		m, s := bo.mustMeet(anna)
		_, msg, err := pairing.NewJoin(pairing.Channel{Exporter: [32]byte(s.Exporter), Inviter: s.ID, Joiner: bo.ident.ID()}, anna.opens(), "bo", rand.Reader)
		if err == nil {
			_, err = m.Join(t.Context(), msg)
		}
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		<-s.Gone()
		if took := time.Since(began); took > wire.MeetingTime+time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

// TestCrowdOfMeetings: strangers who begin meetings and do not go on keep nobody out for long.
func TestCrowdOfMeetings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bo := homeInMemory(t, "bo")
		msg := []byte{0xa0}
		crowd := homeInMemory(t, "crowd", func(h *household) { h.meetings = anyMeetings{h} })
		var first *link.Session
		for i := range wire.MaxMeetings {
			m, s := homeInMemory(t, fmt.Sprint("eve", i)).mustMeet(crowd)
			if i == 0 {
				first = s
			}
			if _, err := m.Join(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
		}
		m, _ := bo.mustMeet(crowd)
		if _, err := m.Join(t.Context(), msg); !errors.Is(err, transfer.ErrBusy) {
			t.Errorf("one too many: %v", err)
		}
		time.Sleep(wire.MeetingGrace)
		m, s := bo.mustMeet(crowd)
		if _, err := m.Join(t.Context(), msg); err != nil {
			t.Errorf("after the grace: %v", err)
		}
		<-first.Gone() // the oldest gave way
		select {
		case <-s.Gone():
			t.Error("the newest gave way")
		default:
		}
	})
}

// anyMeetings answers any first message.
type anyMeetings struct{ *household }

func (anyMeetings) Join(*link.Session, []byte) ([]byte, error) { return []byte{0xa0}, nil }

// TestFloodOfMeetings: one device that begins meeting after meeting is soon told to wait, and the person sees few of them.
func TestFloodOfMeetings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		anna, eve, bo := homeInMemory(t, "anna"), homeInMemory(t, "eve"), homeInMemory(t, "bo")
		anna.found()
		code := anna.opens()
		busy := 0
		for range 60 {
			m, s, err := eve.meet(t.Context(), anna)
			if err != nil { // not even a connection
				busy++
				time.Sleep(wire.RefusalTime)
				continue
			}
			if err = eve.proves(m, s, wrong(code)); errors.Is(err, transfer.ErrBusy) {
				busy++
			}
			m.Close()
		}
		if asked := len(anna.heard()); asked > wire.MeetBurst+int(60*wire.RefusalTime/wire.MeetEvery)*2+4 || busy < 30 {
			t.Errorf("%d times asked, %d times busy", asked, busy)
		} else {
			t.Logf("of 60 meetings %d were refused; the rest made %d calls", busy, asked)
		}
		if anna.invite.Tried() > pairing.MaxRuns {
			t.Errorf("%d runs", anna.invite.Tried())
		}
		time.Sleep(wire.MeetingGrace)
		m, s := bo.mustMeet(anna)
		if err := bo.proves(m, s, anna.opens()); err != nil {
			t.Errorf("an honest joiner with the next code: %v", err)
		}
	})
}
