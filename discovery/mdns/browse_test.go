package mdns

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(Config{}, &self{}, newHealth(), &responder{})
		b.timer = time.NewTimer(time.Hour)
		defer b.timer.Stop()
		began := time.Now()
		b.restart(began.Add(jitter()))
		for _, want := range []time.Duration{0, 1, 3, 7, 15, 31, 63} {
			<-b.timer.C
			if got := time.Since(began) - want*time.Second; got < 20*time.Millisecond || got > 120*time.Millisecond {
				t.Errorf("round at %ds is off by %v", want, got)
			}
			b.round(t.Context())
		}
		for _, flags := range []Flags{0, OnBattery} {
			b.self.set(Record{Flags: flags})
			b.round(t.Context())
			rest := time.Until(b.due)
			if want := idle * time.Duration(1+flags/OnBattery); rest < want*9/10 || rest > want*11/10 {
				t.Errorf("flags %d: rest of %v", flags, rest)
			}
		}
	})
}

func TestRefreshNeverPutsARoundOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBrowser(Config{}, &self{}, newHealth(), &responder{})
		b.timer = time.NewTimer(time.Hour)
		defer b.timer.Stop()
		b.step = 9
		b.restart(time.Now().Add(100 * time.Millisecond))
		time.Sleep(50 * time.Millisecond)
		b.restart(time.Now().Add(100 * time.Millisecond))
		time.Sleep(50 * time.Millisecond)
		select {
		case <-b.timer.C:
		default:
			t.Error("asking again and again keeps the round from coming")
		}
		if b.step != 0 {
			t.Error("the burst did not begin anew")
		}
	})
}

func TestCurious(t *testing.T) {
	b := newBrowser(Config{}, &self{}, newHealth(), &responder{})
	now := time.Now()
	if !b.curious("a", now) || b.curious("a", now.Add(time.Second)) || !b.curious("a", now.Add(wonderAgain)) {
		t.Error("one instance is asked once in a while")
	}
	n := 0
	for i := range 1000 {
		if b.curious(fmt.Sprint(i), now.Add(wonderAgain)) {
			n++
		}
	}
	if n != maxWonder-1 {
		t.Errorf("%d instances asked", n)
	}
}

func TestFarewells(t *testing.T) {
	f := newFarewells()
	now := time.Now()
	f.note("a", now)
	if !f.since("a", now.Add(-time.Second)) || f.since("a", now.Add(time.Second)) || f.since("b", now.Add(-time.Second)) {
		t.Error("who left since when")
	}
	for i := range 2 * maxFarewells {
		f.note(fmt.Sprint(i), now)
	}
	if len(f.left) != maxFarewells {
		t.Errorf("%d remembered", len(f.left))
	}
	f.note("b", now.Add(time.Minute))
	if len(f.left) != 1 {
		t.Errorf("%d remembered after a minute", len(f.left))
	}
}

func TestQueriesRest(t *testing.T) {
	q := newQueries()
	now := time.Now()
	if !q.begin("x", now) || q.begin("x", now) || !q.begin("y", now) {
		t.Error("one query at a time for each link and family")
	}
	q.end("x", now, nil)
	if !q.begin("x", now) {
		t.Error("rests after success")
	}
	q.end("x", now, errFlood)
	if q.begin("x", now.Add(queryRest-time.Second)) || !q.begin("x", now.Add(queryRest)) {
		t.Error("rest after an error")
	}
}

func TestHealth(t *testing.T) {
	h := newHealth()
	h.set(announcing, nil)
	if len(h.changed) != 0 {
		t.Error("told that all is well, which it always was")
	}
	h.set(announcing, ErrNoNetwork)
	h.set(hearing, ErrNoNetwork)
	if got := h.String(); got != ErrNoNetwork.Error() || len(h.changed) != 1 {
		t.Errorf("%q", got)
	}
	h.set(announcing, errors.Join(errors.New("one"), errors.New("two")))
	h.set(hearing, nil)
	if got := h.String(); got != "one; two" {
		t.Errorf("%q", got)
	}
}
