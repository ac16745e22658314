package checkup

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"porchlight/app/doctor"
	"porchlight/app/mesh"
	"porchlight/discovery"
)

const (
	// knockTime bounds a TCP connection that is made to learn how it ends. Linux and macOS give an address up for which
	// nobody on the wire answers after 3 s; before that it looks like a firewall.
	knockTime = 4 * time.Second
	// atOnce is how soon a firewall says no. What takes longer was the search for the computer.
	atOnce = time.Second
)

// reach dials a device at its addresses, all at once, and says how that ended: the best answer of all.
func (h *Neighbourhood) reach(ctx context.Context, want *discovery.DeviceID, addrs []netip.AddrPort) doctor.Reach {
	addrs = addrs[:min(len(addrs), maxKnock)]
	if len(addrs) == 0 {
		return doctor.Unknown
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ends := make(chan doctor.Reach, len(addrs))
	for _, a := range addrs {
		go func() {
			r := h.knock(ctx, want, a)
			if r == doctor.TimedOut && a.Addr().IsLinkLocalUnicast() {
				r = quiet
			}
			ends <- r
		}()
	}
	best := doctor.Unknown
	order := []doctor.Reach{doctor.Works, doctor.OtherVersion, doctor.Refused, doctor.Rejected, doctor.TimedOut, doctor.Unreachable, quiet, doctor.Failed, doctor.Unknown}
	for range addrs {
		if r := <-ends; slices.Index(order, r) < slices.Index(order, best) {
			if best = r; best == doctor.Works {
				cancel() // the others are joined all the same
			}
		}
	}
	if best == quiet {
		return doctor.TimedOut
	}
	return best
}

// quiet is TimedOut at a link-local address, where Linux never says that nobody is there: any other answer is a better one.
const quiet doctor.Reach = "quiet"

// knock dials one address.
func (h *Neighbourhood) knock(ctx context.Context, want *discovery.DeviceID, a netip.AddrPort) doctor.Reach {
	var raw net.Conn
	for range 2 {
		began := time.Now()
		d := net.Dialer{Timeout: knockTime, KeepAlive: -1}
		var err error
		if raw, err = d.DialContext(ctx, "tcp", a.String()); err == nil {
			break
		}
		// A search that another dial began may end at once, too; the next one is our own.
		if r := reachOf(err, time.Since(began)); r != doctor.Rejected {
			return r
		}
	}
	if raw == nil {
		return doctor.Rejected
	}
	proof := *h.cfg.Dialer
	proof.Net = func(context.Context, netip.AddrPort) (net.Conn, error) { return raw, nil }
	g, err := proof.Dial(ctx, want, a)
	if err == nil {
		g.Conn.Close()
		h.cfg.Learned.Meet(g.Conn.Session.ID, g.Answer)
		return doctor.Works
	}
	raw.Close()
	if mesh.OtherVersion(err) {
		return doctor.OtherVersion
	}
	return doctor.Failed
}

// reachOf reads how a TCP connection could not be made. That there is nobody is learned slowly, by asking the wire; a
// firewall that says so does it at once.
func reachOf(err error, took time.Duration) doctor.Reach {
	var slow net.Error
	switch {
	case mesh.Refused(err):
		return doctor.Refused
	case mesh.Unreachable(err) && took < atOnce:
		return doctor.Rejected
	case mesh.Unreachable(err), mesh.NoRoute(err):
		return doctor.Unreachable
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return doctor.TimedOut
	}
	return doctor.Failed
}
