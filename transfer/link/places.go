package link

import (
	"cmp"
	"context"
	"math"
	"net"
	"net/netip"
	"slices"
	"time"

	"porchlight/transfer/wire"
)

// Who gets a place when there are more who want one.
//
// Before a handshake nothing is known of somebody but an address. Places and handshakes go to the address that deserves them most: one
// from which a friend came lately before all others, and among those the one that used its burst least. Whoever connects again and again
// is behind whoever comes once.
//
// After it the device is known. Strangers, who are no friends (Listener.Friend), share wire.MaxStrangerConns; the rest is kept for
// friends. Among strangers the address that has most gives way: in a home without a private workgroup all are strangers to each other,
// and one of them must not take the places of the rest by inventing devices.

const (
	slow      = time.Second      // how long a stranger that is no longer silent keeps its place when others want it: no honest one needs so long
	quiet     = 3 * time.Second  // how long nothing must have come or gone on a connection for it to give way to a new one of the same device
	homeFor   = 24 * time.Hour   // how long an address counts as one of a friend
	queueLook = time.Second / 50 // between two looks at who waits for a handshake
)

// merit is how much an address deserves what others want too. The caller holds mu.
func (l *Listener) merit(a netip.Addr, now time.Time) float64 {
	if at, ok := l.homes[a]; ok && now.Sub(at) < homeFor {
		return math.Inf(1)
	}
	if s := l.addrs[a]; s != nil {
		return s.limit.TokensAt(now)
	}
	return 0
}

// room makes room for one more stranger. When there is none, whoever has been silent the longest gives way: a neighbour speaks at once,
// and must get in while others open connections and say nothing. If nobody is silent, it is whoever deserves its place less than st, or
// else whoever is slow. The caller holds mu.
func (l *Listener) room(st *stranger) bool {
	if len(l.pending) < wire.MaxPending {
		return true
	}
	i := slices.IndexFunc(l.pending, func(s *stranger) bool { return !s.spoke.Load() })
	if i < 0 {
		i = l.least(st)
	}
	if i < 0 && st.since.Sub(l.pending[0].since) > slow {
		i = 0
	}
	if i < 0 {
		return false
	}
	old := l.pending[i]
	l.forget(old)
	close(old.out)
	old.Close()
	return true
}

// least finds who deserves its place least, and clearly less than st; −1 if nobody does. The caller holds mu.
func (l *Listener) least(st *stranger) int {
	least, low := -1, l.merit(st.addr, st.since)-1
	for i, s := range l.pending {
		if m := l.merit(s.addr, st.since); m < low {
			least, low = i, m
		}
	}
	return least
}

// forget takes a stranger off the lists. The caller holds mu.
func (l *Listener) forget(st *stranger) {
	l.unqueue(st)
	i := slices.Index(l.pending, st)
	if i < 0 {
		return // it gave way before
	}
	l.pending = slices.Delete(l.pending, i, i+1)
	if s := l.addrs[st.addr]; s != nil {
		s.pending--
	}
}

// unqueue has a stranger wait no more. The caller holds mu.
func (l *Listener) unqueue(st *stranger) {
	if i := slices.Index(l.queue, st); i >= 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
}

// await waits until the handshake of a stranger may go on: what comes now costs something.
func (l *Listener) await(ctx context.Context, st *stranger) error {
	l.mu.Lock()
	select {
	case <-st.out: // since it spoke
		l.mu.Unlock()
		return net.ErrClosed
	default:
	}
	l.queue = append(l.queue, st)
	l.serve()
	l.mu.Unlock()
	select {
	case <-st.turn:
		return nil
	case <-st.out:
		return net.ErrClosed
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		l.unqueue(st)
		return context.DeadlineExceeded
	}
}

// serve lets as many handshakes go on as may now, and looks again soon if some wait. The caller holds mu.
func (l *Listener) serve() {
	now := time.Now()
	for len(l.queue) > 0 && l.all.AllowN(now, 1) {
		st := slices.MaxFunc(l.queue, func(a, b *stranger) int { return cmp.Compare(l.merit(a.addr, now), l.merit(b.addr, now)) })
		l.unqueue(st)
		close(st.turn)
	}
	if len(l.queue) == 0 || l.armed {
		return
	}
	l.armed = true
	time.AfterFunc(queueLook, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.armed = false
		l.serve()
	})
}

// enter counts a proven connection against the limits. If one has to give way for it, that is returned, for the caller to close: of a
// device that has as many as it may, the one that was quiet the longest, since a device that lost its network, or has another address
// now, never closes the ones from before, and what it uses is never quiet for so long. onClose is called when c is closed, if it entered.
func (l *Listener) enter(c *Conn, onClose func()) (ok bool, old *Conn) {
	s, now := c.Session, time.Now()
	addr := s.Remote.Addr()
	c.friend, c.from = s.Friend(), addr
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.devices[s.ID]
	if len(mine) >= wire.MaxDeviceConns {
		if old = longestQuiet(mine); now.Sub(old.last()) < quiet {
			l.refused++
			return false, nil
		}
	}
	ok = l.conns < wire.MaxConns && !l.badDev.refused(s.ID, now)
	if ok && !c.friend {
		full := l.strange[addr] >= wire.MaxAddrConns && addr.IsValid() && !addr.IsLoopback()
		if ok = !full; ok && old == nil && l.others >= wire.MaxStrangerConns {
			old = l.crowding(addr)
			ok = old != nil
		}
	}
	if !ok {
		l.refused++
		return false, nil
	}
	c.onClose = onClose
	c.move()
	l.devices[s.ID] = append(mine, c)
	l.conns++
	if c.friend {
		l.welcome(addr, now)
	} else {
		l.strange[addr]++
		l.others++
	}
	return true, old
}

// welcome notes that a friend came from an address. The caller holds mu.
func (l *Listener) welcome(addr netip.Addr, now time.Time) {
	if _, known := l.homes[addr]; !known && len(l.homes) >= wire.MaxCounted {
		oldest := addr
		for a, at := range l.homes {
			if oldest == addr || at.Before(l.homes[oldest]) {
				oldest = a
			}
		}
		delete(l.homes, oldest)
	}
	if l.Friend != nil {
		l.homes[addr] = now
	}
}

// crowding returns the connection that gives way to a stranger from addr: of the address that has most of them, if that are clearly more,
// the one that was quiet the longest. The caller holds mu.
func (l *Listener) crowding(addr netip.Addr) *Conn {
	most, n := addr, l.strange[addr]+1
	for a, m := range l.strange {
		if m > n {
			most, n = a, m
		}
	}
	if most == addr {
		return nil
	}
	var all []*Conn
	for _, conns := range l.devices {
		for _, c := range conns {
			if !c.friend && c.from == most {
				all = append(all, c)
			}
		}
	}
	return longestQuiet(all)
}

// longestQuiet returns one of several connections; there is at least one.
func longestQuiet(all []*Conn) *Conn {
	return slices.MinFunc(all, func(a, b *Conn) int { return a.last().Compare(b.last()) })
}

// last is when something came or went on a connection.
func (c *Conn) last() time.Time { return c.began.Add(time.Duration(c.moved.Load())) }

// move notes that something came or went.
func (c *Conn) move() { c.moved.Store(int64(time.Since(c.began))) }

func (l *Listener) exit(c *Conn) {
	id, addr := c.Session.ID, c.from
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns--
	if mine := slices.DeleteFunc(l.devices[id], func(o *Conn) bool { return o == c }); len(mine) == 0 {
		delete(l.devices, id)
	} else {
		l.devices[id] = mine
	}
	if c.friend {
		return
	}
	l.others--
	if l.strange[addr]--; l.strange[addr] <= 0 {
		delete(l.strange, addr)
	}
}
