package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"porchlight/app/checkup"
	"porchlight/app/doctor"
	"porchlight/app/mesh"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/download"
	"porchlight/transfer/wire"
)

// Peers returns the devices known and announced, by name, candidates last.
func (e *Engine) Peers(context.Context) ([]discovery.Peer, error) {
	return e.sight.Complete(e.learned.Mark(e.roster.Snapshot())), nil
}

// Diagnose finds out why somebody is not seen. It asks the neighbours and dials those that are not there, which takes some
// seconds; it changes nothing.
func (e *Engine) Diagnose(ctx context.Context) ([]doctor.Finding, error) {
	c := checkup.Case{AskFirst: e.cfg.AskFirst, Loopback: e.cfg.Loopback, Port: e.current().Port, Twin: e.learned.HasTwin()}
	if n := e.network(); n != nil {
		c.Addresses, c.Neighbourhood = n.mdns.Addresses(), n.checkup
	}
	return c.Diagnose(ctx, e)
}

// AddPeer connects to a device by address, "host" or "host:port", and remembers it. It returns transfer.ErrAway when
// nobody answers there.
func (e *Engine) AddPeer(ctx context.Context, hostport string) error {
	m, err := e.mesh()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	addrs, err := resolve(ctx, hostport)
	if err != nil {
		return fmt.Errorf("%w: %w", transfer.ErrAway, err)
	}
	return m.Add(ctx, addrs)
}

// resolve turns what a person typed into addresses.
func resolve(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	host, port := hostport, strconv.Itoa(discovery.DefaultPort)
	if ip, err := netip.ParseAddr(hostport); err == nil { // an IPv6 address has colons of its own
		host = ip.String()
	} else if h, p, err := net.SplitHostPort(hostport); err == nil {
		host, port = h, p
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, fmt.Errorf("%q is no port", port)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, ip := range ips[:min(len(ips), 8)] {
		out = append(out, netip.AddrPortFrom(ip.Unmap(), uint16(number)))
	}
	return out, nil
}

// ForgetPeer forgets a device, and that it was verified; if it is there it is met again as a stranger. presence.ErrUnknown if it is not known.
func (e *Engine) ForgetPeer(ctx context.Context, id discovery.DeviceID) error {
	if err := e.roster.Forget(id); err != nil {
		return err
	}
	return e.Unverify(ctx, id)
}

// Refresh asks the network who is there, and tries everybody who is not.
func (e *Engine) Refresh(context.Context) error {
	n := e.network()
	if n == nil {
		return transfer.ErrAway
	}
	n.mdns.Refresh()
	n.mesh.RetryAll()
	return nil
}

// Shares returns what this device offers.
func (e *Engine) Shares(context.Context) ([]share.Share, error) {
	return e.left(e.catalogue.Present()), nil
}

// AddShare offers a folder; an empty name means the folder's own. If to is empty it is for anyone nearby while this device is in the open
// workgroup, for everyone in its private workgroup if it is in one and in nothing else, and otherwise for nobody until that is said. It returns
// safefs.ErrNotShareable with the reason for places that are never shared.
func (e *Engine) AddShare(_ context.Context, path, name string, to ...share.Grant) (share.Share, error) {
	return e.catalogue.Add(path, name, to...)
}

// RenameShare changes the name neighbours see.
func (e *Engine) RenameShare(_ context.Context, id share.ID, name string) error {
	return e.catalogue.Rename(id, name)
}

// RemoveShare stops offering a folder. The folder stays as it is.
func (e *Engine) RemoveShare(_ context.Context, id share.ID) error { return e.catalogue.Remove(id) }

// sharesChanged tells the neighbours, and the screens here.
func (e *Engine) sharesChanged() {
	if n := e.network(); n != nil {
		n.server.Tell(wire.Event{Kind: wire.EventShares})
	}
	e.changes.bump()
}

// dirChanged tells those who look at a folder of this computer.
func (e *Engine) dirChanged(dir string) {
	if n := e.network(); n != nil {
		n.server.DirChanged(dir)
	}
}

// mesh returns the mesh of the network this device is on; transfer.ErrAway if it is on none.
func (e *Engine) mesh() (*mesh.Mesh, error) {
	n := e.network()
	if n == nil {
		return nil, transfer.ErrAway
	}
	return n.mesh, nil
}

// neighbour returns the connections to a device: presence.ErrUnknown if it was never met, transfer.ErrAway if it is not there.
func (e *Engine) neighbour(id discovery.DeviceID) (*mesh.Neighbour, error) {
	if _, err := e.roster.Get(id); err != nil {
		return nil, err
	}
	m, err := e.mesh()
	if err != nil {
		return nil, err
	}
	n := m.Start(id)
	if n == nil || !n.Up() {
		return nil, transfer.ErrAway
	}
	return n, nil
}

// Offers asks a device what it offers to this one.
func (e *Engine) Offers(ctx context.Context, id discovery.DeviceID) ([]share.Offer, error) {
	n, err := e.neighbour(id)
	if err != nil {
		return nil, err
	}
	return n.Client.Shares(ctx)
}

// Batches of a listing: the first is small, so that a screen fills at once.
const (
	firstBatch = 64
	nextBatch  = 2000
)

// List reads one folder of a device, sorted there, in batches as they arrive.
func (e *Engine) List(ctx context.Context, id discovery.DeviceID, s share.ID, p share.Path, order share.Sort, yield func([]share.Entry) error) error {
	n, err := e.neighbour(id)
	if err != nil {
		return err
	}
	batch, size := make([]share.Entry, 0, firstBatch), firstBatch
	err = n.Client.List(ctx, s, p, order, func(entry share.Entry) error {
		if batch = append(batch, entry); len(batch) < size {
			return nil
		}
		full := batch
		batch, size = make([]share.Entry, 0, nextBatch), nextBatch
		return yield(full)
	})
	if err != nil {
		return err
	}
	if len(batch) == 0 {
		return nil
	}
	return yield(batch)
}

// Watch calls changed after each change of one folder of a device, until ctx ends. It outlives the device's absence.
func (e *Engine) Watch(ctx context.Context, id discovery.DeviceID, s share.ID, p share.Path, changed func()) error {
	n, err := e.neighbour(id)
	if err != nil {
		return err
	}
	return n.Watch(ctx, s, p, changed)
}

// Raw asks a device for any route and returns the answer as it is.
func (e *Engine) Raw(ctx context.Context, id discovery.DeviceID, path string) (status int, contentType string, body []byte, err error) {
	n, err := e.neighbour(id)
	if err != nil {
		return 0, "", nil, err
	}
	return n.Client.Raw(ctx, path)
}

// Pull queues a pull. An empty Request.Into means the folder for downloads.
func (e *Engine) Pull(_ context.Context, r transfer.Request) (transfer.JobID, error) {
	p, err := e.roster.Get(r.Source)
	if err != nil {
		return 0, err
	}
	if r.Into == "" {
		e.mu.Lock()
		r.Into = e.settings.Downloads
		e.mu.Unlock()
	}
	if !filepath.IsAbs(r.Into) {
		return 0, fmt.Errorf("%q is not a whole path", r.Into)
	}
	return e.pulls.Pull(r, p.Name)
}

// Jobs returns the pulls, the newest first.
func (e *Engine) Jobs(context.Context) ([]transfer.Job, error) {
	jobs := e.pulls.Jobs()
	slices.SortFunc(jobs, func(a, b transfer.Job) int { return int(b.ID - a.ID) })
	e.nameSources(jobs)
	return jobs, nil
}

// PauseJob stops a pull until ResumeJob. transfer.ErrNoJob if there is none of that number, here and below.
func (e *Engine) PauseJob(_ context.Context, id transfer.JobID) error { return e.pulls.Pause(id) }

// ResumeJob lets a paused pull go on.
func (e *Engine) ResumeJob(_ context.Context, id transfer.JobID) error { return e.pulls.Resume(id) }

// CancelJob ends a pull. What is complete stays; what is not is removed.
func (e *Engine) CancelJob(_ context.Context, id transfer.JobID) error { return e.pulls.Cancel(id) }

// RetryJob tries again what failed.
func (e *Engine) RetryJob(_ context.Context, id transfer.JobID) error { return e.pulls.Retry(id) }

// ForgetJob takes an ended pull off the list.
func (e *Engine) ForgetJob(_ context.Context, id transfer.JobID) error { return e.pulls.Forget(id) }

// sources finds the devices that pulls read from.
type sources struct{ e *Engine }

func (s sources) Source(id discovery.DeviceID) (download.Source, error) {
	n, err := s.e.neighbour(id)
	if err != nil {
		return nil, transfer.ErrAway
	}
	return n.Client, nil
}

// Up returns a channel that is closed when the device is there, whatever network this one is on by then.
func (s sources) Up(id discovery.DeviceID) <-chan struct{} {
	if m, err := s.e.mesh(); err == nil {
		m.Start(id) // it may be one of many that nobody looked after
	}
	_, up := s.e.there.Of(id)
	return up
}

// selfID is this device.
func (e *Engine) selfID() discovery.DeviceID { return e.me().ID() }

// Helper returns a device that may have what another one owns.
func (s sources) Helper(id discovery.DeviceID) (download.Helper, error) {
	n, err := s.e.neighbour(id)
	if err != nil {
		return nil, transfer.ErrAway
	}
	return n.Client, nil
}

// HelperUp returns a channel that is closed when a device is there which this one has met; nil for others, whose names may be made up.
func (s sources) HelperUp(id discovery.DeviceID) <-chan struct{} {
	if _, err := s.e.roster.Get(id); err != nil {
		return nil
	}
	_, up := s.e.there.Of(id)
	return up
}

// Online names the neighbours that know of contents which more than one device has.
func (s sources) Online() (out []discovery.DeviceID) {
	for _, p := range s.e.roster.Snapshot() {
		if p.State == discovery.Online && slices.Contains(p.Caps, wire.CapSwarm) {
			out = append(out, p.ID)
		}
	}
	return out
}

var (
	_ download.Swarmer = (*client.Client)(nil)
	_ download.Helper  = (*client.Client)(nil)
)
