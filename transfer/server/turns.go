package server

import (
	"context"
	"math"
	"sync"
	"time"

	"porchlight/discovery"
)

// What the turns go by.
const (
	turnAhead = 4 << 20                // bytes that a device may have got more than another
	turnClaim = 16 << 20               // bytes that a device may have to catch up; what it missed beyond is forgotten
	turnPart  = 128 << 10              // bytes written between two looks, while bytes go to others as well
	turnGone  = 250 * time.Millisecond // a device to which nothing went for so long takes nothing from others
	turnTry   = 50 * time.Millisecond  // of sending, to tell a rate
	turnGain  = 1.1                    // times faster a device has to become when others wait for it
	turnFree  = time.Second            // for which nobody waits for a device that does not; doubles up to turnMost
	turnMost  = 16 * time.Second
	turnSure  = 4 // looks before that is believed: processors and lines have other things to do as well
)

// turns shares what this device can send among the devices that want it. Whoever got more than another lets that one catch up, at the next border
// between pieces: the bytes are counted (as start-time fair queueing does; Goyal, Vin, Cheng 1996), and not the connections, so that eight of them get no more than one.
// That takes nothing from anybody only if both want the same thing of this device: its line, its disk, its processor. A device with a slow line of its own would
// drag all others down. So it is tried: whoever does not become faster while others wait for it is not waited for again for some seconds.
// A single device never waits.
type turns struct {
	mu      sync.Mutex // guards the field below and all in it
	devices map[discovery.DeviceID]*sender
	sending int // answers with bytes that they may send now
}

// sender is a device that bytes go to.
type sender struct {
	answers int       // under way
	sending int       // of them with bytes that they may send now
	had     int64     // bytes, counted from those of the others when it came
	moved   time.Time // bytes went
	free    time.Time // nobody waits for it before
	rest    time.Duration
	waiting int           // who wait for it
	more    chan struct{} // closed when it moved, while somebody waits

	looked    time.Time
	run, held pacing // while bytes went to others as well, and while all of them waited for it
}

// pacing is how fast bytes go to a device.
type pacing struct {
	took  time.Duration // not yet in rate
	bytes int64         // likewise
	looks int
	rate  float64 // bytes per second, smoothed
}

// add counts, and reports whether there is a new rate.
func (p *pacing) add(d time.Duration, n int64) bool {
	p.took += d
	p.bytes += n
	if p.took < turnTry {
		return false
	}
	r := float64(p.bytes) / p.took.Seconds()
	p.looks++
	p.rate += (r - p.rate) / float64(min(p.looks, turnSure))
	p.took, p.bytes = 0, 0
	return true
}

// turn is one answer with bytes of files. For one goroutine.
type turn struct {
	all  *turns
	of   *sender
	paid int64 // bytes counted that did not go yet
}

// enter counts an answer; leave must follow.
func (a *turns) enter(who discovery.DeviceID) *turn {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	s := a.devices[who]
	if s == nil {
		s = &sender{moved: now, rest: turnFree}
		least := int64(math.MaxInt64)
		for id, o := range a.devices {
			switch {
			case now.Sub(o.moved) < turnGone:
				least = min(least, o.had)
			case o.answers == 0:
				delete(a.devices, id)
			}
		}
		if least < math.MaxInt64 {
			s.had = least
		}
		a.devices[who] = s
	}
	if s.answers == 0 {
		s.looked = now
	}
	s.answers++
	return &turn{all: a, of: s}
}

func (t *turn) leave() {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	t.of.look(time.Now(), t.all.sending-t.of.sending, 0)
	t.pay(-t.paid)
	t.of.answers--
	t.of.wake()
}

// take waits until the device may have more bytes, and counts n of them already. It returns an error only if ctx has ended.
func (t *turn) take(ctx context.Context, n int64) error {
	for ctx.Err() == nil {
		t.all.mu.Lock()
		now := time.Now()
		o := t.all.behind(t.of, now)
		if o == nil {
			t.pay(n)
			t.all.count(t.of, n)
			t.all.mu.Unlock()
			return nil
		}
		o.look(now, t.all.sending-o.sending, 0)
		o.waiting++
		if o.more == nil {
			o.more = make(chan struct{})
		}
		more := o.more
		t.all.mu.Unlock()
		t.await(ctx, o, more)
	}
	return ctx.Err()
}

// pay changes what is counted and did not go. The caller holds turns.mu.
func (t *turn) pay(n int64) {
	was := t.paid > 0
	t.paid += n
	if is := t.paid > 0; is && !was {
		t.of.sending++
		t.all.sending++
	} else if was && !is {
		t.of.sending--
		t.all.sending--
	}
}

// count counts n bytes that a device has or will have. The caller holds mu.
func (a *turns) count(s *sender, n int64) {
	s.had += n
	for _, o := range a.devices {
		o.had = max(o.had, s.had-turnClaim)
	}
}

// await waits until another device moves, or does not for too long.
func (t *turn) await(ctx context.Context, o *sender, more <-chan struct{}) {
	timer := time.NewTimer(turnTry)
	defer timer.Stop()
	select {
	case <-more:
	case <-timer.C:
	case <-ctx.Done():
	}
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	o.look(time.Now(), t.all.sending-o.sending, 0)
	o.waiting--
}

// behind returns the device that has to catch up before another gets more; nil if there is none. The caller holds mu.
func (a *turns) behind(s *sender, now time.Time) (last *sender) {
	for _, o := range a.devices {
		if o == s || o.answers == 0 || o.had+turnAhead > s.had || o.run.looks == 0 || now.Before(o.free) || now.Sub(o.moved) > turnGone {
			continue
		}
		if last == nil || o.had < last.had {
			last = o
		}
	}
	return last
}

// look counts n bytes that went while so many answers of others were being sent, and finds out what waiting for the device is good for. The caller holds mu.
func (s *sender) look(now time.Time, others int, n int64) {
	d := now.Sub(s.looked)
	s.looked = now
	if others > 0 {
		s.run.add(d, n)
		return
	}
	if s.waiting == 0 {
		return
	}
	if !s.held.add(d, n) || s.held.looks < turnSure {
		return
	}
	if s.held.rate >= turnGain*s.run.rate {
		s.rest = turnFree
		return
	}
	s.free = now.Add(s.rest)
	s.rest = min(2*s.rest, turnMost)
	s.held = pacing{looks: turnSure - 1, rate: s.held.rate}
	s.wake()
}

// wake has those look again who wait for a device. The caller holds mu.
func (s *sender) wake() {
	if s.more != nil {
		close(s.more)
		s.more = nil
	}
}

// moved notes that n bytes went, and reports whether bytes go to others as well.
func (t *turn) moved(n int) (shared bool) {
	t.all.mu.Lock()
	defer t.all.mu.Unlock()
	now := time.Now()
	t.of.look(now, t.all.sending-t.of.sending, int64(n))
	paid := min(t.paid, int64(n))
	t.pay(-paid)
	t.all.count(t.of, int64(n)-paid)
	t.of.moved = now
	t.of.wake()
	for _, o := range t.all.devices {
		if o != t.of && o.answers > 0 && now.Sub(o.moved) < turnGone {
			return true
		}
	}
	return false
}
