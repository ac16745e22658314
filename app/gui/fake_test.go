//go:build !headless

package gui

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// house is an engine of one household, all in memory.
type house struct {
	mu      sync.Mutex // guards the fields below
	self    discovery.Self
	peers   []discovery.Peer
	shares  []share.Share
	jobs    []transfer.Job
	queue   transfer.Queue
	maps    []transfer.FileMap
	offers  map[discovery.DeviceID][]share.Offer
	entries map[share.Path][]share.Entry
	calls   []string
	private
	twin    bool // another computer has the identity of this one
	version uint64
	bump    chan struct{}
}

func device(n byte) (d discovery.DeviceID) {
	for i := range d {
		d[i] = n*37 + byte(i)*11
	}
	return d
}

func shareID(n byte) share.ID { return share.ID{n} }

func newHouse() *house {
	now := time.Now()
	peer := func(n byte, name, group string, s discovery.State, ago time.Duration) discovery.Peer {
		return discovery.Peer{ID: device(n), Name: name, FirstName: name, Workgroup: group, State: s, LastSeen: now.Add(-ago), FirstSeen: now.AddDate(0, -2, 0),
			Addresses: []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 1, 20 + n}), discovery.DefaultPort)}}
	}
	h := &house{bump: make(chan struct{}), version: 1, offers: map[discovery.DeviceID][]share.Offer{}, entries: map[share.Path][]share.Entry{}}
	h.self = discovery.Self{ID: device(1), Name: "Anna’s desktop", Workgroup: "Maple Street", Open: true, Network: discovery.Home, Port: discovery.DefaultPort, Version: "0.1.0",
		Addresses: []netip.AddrPort{netip.MustParseAddrPort("192.168.1.20:47470")}, Home: "/home/anna/.config/porchlight", Downloads: "/home/anna/Downloads/Porchlight"}
	h.self.Interfaces = []discovery.Interface{
		{Name: "enp3s0", Used: true, Network: discovery.Home, Addresses: []netip.Addr{netip.MustParseAddr("192.168.1.20")}},
		{Name: "wg0", Addresses: []netip.Addr{netip.MustParseAddr("10.9.0.2")}},
	}
	h.peers = []discovery.Peer{
		peer(2, "Bo’s mini-PC", "Maple Street", discovery.Online, 0),
		peer(3, "Clara’s laptop", "Maple Street", discovery.Online, 0),
		peer(4, "Study", "Maple Street", discovery.Suspect, 15*time.Second),
		peer(5, "Dad’s old computer under the stairs", "Maple Street", discovery.Offline, 26*time.Hour),
		peer(6, "Reception", "WORKGROUP", discovery.Online, 0),
		peer(7, "Meeting room", "WORKGROUP", discovery.Candidate, 0),
	}
	h.offers[device(2)] = []share.Offer{{ID: shareID(1), Kind: share.Folder, Name: "Photos"}, {ID: shareID(2), Kind: share.Folder, Name: "Films"},
		{ID: shareID(3), Kind: share.Drive, Name: "Holiday stick", Away: true}}
	h.shares = []share.Share{
		{ID: shareID(11), Kind: share.Folder, Name: "Music", Path: "/home/anna/Music", Added: now},
		{ID: shareID(12), Kind: share.Folder, Name: "Recipes of the whole family", Path: "/home/anna/Documents/Kitchen/Recipes of the whole family since 1974", Added: now},
	}
	h.jobs = believableJobs(now)
	h.entries[""] = believableEntries(now)
	return h
}

func believableEntries(now time.Time) []share.Entry {
	dir := func(name string, days int) share.Entry {
		return share.Entry{Path: share.Path(name), Kind: share.Dir, MTime: now.AddDate(0, 0, -days)}
	}
	file := func(name string, size int64, days int) share.Entry {
		return share.Entry{Path: share.Path(name), Kind: share.File, Size: size, MTime: now.AddDate(0, 0, -days)}
	}
	return []share.Entry{
		dir("2024 Norway", 832), dir("2025 Garden", 415), dir("2026 Holiday", 1),
		file("Bergen harbour at dusk.jpg", 8_412_330, 832), file("Captions.odt", 48_220, 11),
		file("Clara and the very long file name nobody shortened, first try, taken from the balcony.jpg", 6_120_044, 830),
		file("First steps.mp4", 1_482_113_024, 204), file("IMG_2041.jpg", 5_990_112, 0), file("IMG_2042.jpg", 7_204_800, 0),
		file("Print orders.ods", 21_504, 11), file("Scans 1998.zip", 402_653_184, 1421), file("Slideshow.mp3", 9_120_000, 40),
		{Path: "latest", Kind: share.Other, Reason: "link", MTime: now},
		file("README", 812, 3), file("写真 2019.jpg", 3_110_400, 2300),
	}
}

func believableJobs(now time.Time) []transfer.Job {
	from := "Bo’s mini-PC"
	r := transfer.Request{Source: device(2), Share: shareID(1), ShareName: "Photos", Into: "/home/anna/Downloads/Porchlight"}
	return []transfer.Job{
		{ID: 7, Request: r, From: from, Title: "2026 Holiday", State: transfer.Running, Bytes: 1_302_000_000, Total: 2_100_000_000, Listed: true, Files: 312, Done: 194, Rate: 18_400_000, Created: now},
		{ID: 8, Request: r, From: from, Title: "First steps.mp4", State: transfer.Waiting, Total: 1_482_113_024, Files: 1, Created: now},
		{ID: 6, Request: r, From: "Clara’s laptop", Title: "Lecture notes", State: transfer.Away, Trouble: transfer.SourceAway, Bytes: 62_000_000, Total: 100_000_000, Listed: true, Files: 40, Done: 22, Created: now},
		{ID: 5, Request: r, From: "Study", Title: "backup-2026-11-20.iso", State: transfer.Failed, Trouble: transfer.FileTooLarge, Detail: "backup-2026-11-20.iso", Bytes: 0, Total: 9_400_000_000, Listed: true, Files: 1, Created: now},
		{ID: 4, Request: r, From: from, Title: "2024 Norway", State: transfer.Paused, Bytes: 400_000_000, Total: 800_000_000, Listed: true, Files: 214, Done: 101, Created: now},
		{ID: 3, Request: r, From: from, Title: "2025 Garden", State: transfer.Done, Bytes: 510_000_000, Total: 510_000_000, Listed: true, Files: 96, Done: 95, Skipped: 12, Adapted: 1, Failed: 1, Ended: now.Add(-2 * time.Hour),
			Problems: []transfer.Problem{{Path: "2025 Garden/what: a name?.txt", As: "what_ a name_.txt"}, {Path: "2025 Garden/broken.raw", Trouble: transfer.SourceBroken}}},
	}
}

func (h *house) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, fmt.Sprintf(format, args...))
}

func (h *house) called(s string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.calls, s)
}

// change alters the state as the engine would.
func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.version++
	close(h.bump)
	h.bump = make(chan struct{})
}

func (h *house) Self(context.Context) (discovery.Self, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.self, nil
}

func (h *house) Diagnose(context.Context) ([]doctor.Finding, error) {
	h.note("diagnose")
	if h.isTwin() {
		return []doctor.Finding{
			{Code: doctor.TwinSelf, Level: doctor.Trouble, Fix: []string{"/usr/bin/porchlight --home /home/anna/.config/porchlight identity new --yes"}},
			{Code: doctor.Newer, Level: doctor.Hint, Params: map[string]string{"Name": "Meeting room"}},
			{Code: doctor.Service, Level: doctor.Trouble, Params: map[string]string{"Service": "store-jobs", "Why": "/home/anna/.config/porchlight/porchlight.db.damaged-20260501-120000.000"}},
		}, nil
	}
	return []doctor.Finding{
		{Code: doctor.BlockedHere, Level: doctor.Trouble, Params: map[string]string{"Name": "Bo’s mini-PC", "Port": "47470"},
			Fix: []string{"sudo nft insert rule inet filter input ip saddr 192.168.1.0/24 tcp dport 47470 accept", "sudo nft insert rule inet filter input ip saddr 192.168.1.0/24 udp dport 5353 accept"}, Brief: true},
		{Code: doctor.Away, Level: doctor.Hint, Params: map[string]string{"Name": "Dad’s old computer under the stairs", "Address": "192.168.1.25:47470"}},
		{Code: doctor.AddressGood, Level: doctor.Good, Params: map[string]string{"Addresses": "192.168.1.20"}},
	}, nil
}

func (h *house) SetName(_ context.Context, s string) error {
	h.change(func() { h.self.Name = s })
	return nil
}

func (h *house) SetWorkgroup(_ context.Context, s string) error {
	h.change(func() { h.self.Workgroup = s })
	return nil
}

func (h *house) SetNetwork(_ context.Context, n discovery.Network) error {
	h.change(func() { h.self.Network, h.self.Ask = n, false })
	return nil
}

func (h *house) NewIdentity(context.Context) (discovery.DeviceID, error) {
	h.note("new identity")
	h.change(func() { h.twin = false })
	return device(77), nil
}

func (h *house) isTwin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.twin
}

func (h *house) SetInterface(_ context.Context, name string, use bool) error {
	h.note("interface %s %v", name, use)
	h.change(func() {
		h.self.Interfaces = slices.Clone(h.self.Interfaces)
		for i := range h.self.Interfaces {
			if x := &h.self.Interfaces[i]; x.Name == name {
				x.Used, x.Chosen = use, true
			}
		}
	})
	return nil
}

func (h *house) Attend(ctx context.Context, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}

func (h *house) SetDownloads(_ context.Context, dir string) error {
	h.change(func() { h.self.Downloads = dir })
	return nil
}

func (h *house) FinishFirstRun(context.Context) error {
	h.change(func() { h.self.FirstRun = false })
	return nil
}

func (h *house) Peers(context.Context) ([]discovery.Peer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.peers), nil
}

func (h *house) AddPeer(_ context.Context, s string) error { h.note("add %s", s); return nil }

func (h *house) ForgetPeer(_ context.Context, id discovery.DeviceID) error {
	h.note("forget %s", id.Short())
	return nil
}

func (h *house) Refresh(context.Context) error { h.note("refresh"); return nil }

func (h *house) Shares(context.Context) ([]share.Share, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.shares), nil
}

func (h *house) AllowShare(_ context.Context, id share.ID, to []share.Grant) error {
	h.change(func() {
		for i := range h.shares {
			if h.shares[i].ID == id {
				h.shares[i].Audience, h.shares[i].Lost = to, false
			}
		}
	})
	return nil
}

func (h *house) Block(_ context.Context, id discovery.DeviceID) error {
	h.block(id, true)
	return nil
}

func (h *house) Unblock(_ context.Context, id discovery.DeviceID) error {
	h.block(id, false)
	return nil
}

func (h *house) block(id discovery.DeviceID, is bool) {
	h.change(func() {
		for i := range h.peers {
			if h.peers[i].ID == id {
				h.peers[i].Blocked = is
			}
		}
	})
}

func (h *house) AddShare(_ context.Context, path, _ string, _ ...share.Grant) (share.Share, error) {
	s := share.Share{ID: shareID(99), Kind: share.Folder, Name: filepath.Base(path), Path: path}
	h.change(func() { h.shares = append(h.shares, s) })
	return s, nil
}

func (h *house) RenameShare(_ context.Context, id share.ID, name string) error {
	h.note("rename %s %s", id, name)
	return nil
}

func (h *house) RemoveShare(_ context.Context, id share.ID) error {
	h.change(func() { h.shares = slices.DeleteFunc(h.shares, func(s share.Share) bool { return s.ID == id }) })
	return nil
}

func (h *house) Offers(_ context.Context, d discovery.DeviceID) ([]share.Offer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.offers[d], nil
}

func (h *house) List(_ context.Context, _ discovery.DeviceID, _ share.ID, p share.Path, s share.Sort, yield func([]share.Entry) error) error {
	h.note("list %s %s", p, s)
	h.mu.Lock()
	entries := h.entries[p]
	h.mu.Unlock()
	return yield(entries)
}

func (h *house) Watch(ctx context.Context, _ discovery.DeviceID, _ share.ID, _ share.Path, _ func()) error {
	<-ctx.Done()
	return ctx.Err()
}

func (h *house) Pull(_ context.Context, r transfer.Request) (transfer.JobID, error) {
	h.note("pull %v into %s", r.Paths, r.Into)
	return 9, nil
}

func (h *house) Jobs(context.Context) ([]transfer.Job, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.jobs), nil
}

func (h *house) job(what string, id transfer.JobID) error { h.note("%s %d", what, id); return nil }

func (h *house) PauseJob(_ context.Context, id transfer.JobID) error  { return h.job("pause", id) }
func (h *house) ResumeJob(_ context.Context, id transfer.JobID) error { return h.job("resume", id) }
func (h *house) CancelJob(_ context.Context, id transfer.JobID) error { return h.job("cancel", id) }
func (h *house) RetryJob(_ context.Context, id transfer.JobID) error  { return h.job("retry", id) }
func (h *house) ForgetJob(_ context.Context, id transfer.JobID) error { return h.job("forget", id) }

func (h *house) Queue(context.Context) (transfer.Queue, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.queue, nil
}

func (h *house) HoldQueue(_ context.Context, held bool) error {
	h.note("hold %v", held)
	h.change(func() { h.queue.Held = held })
	return nil
}

func (h *house) MoveJob(_ context.Context, id transfer.JobID, to transfer.Move) error {
	return h.job("move "+string(to), id)
}

func (h *house) SetLimits(_ context.Context, l transfer.Limits) error {
	h.note("limits %d %d %d %d", l.Up, l.Down, l.From, l.Until)
	h.change(func() { h.queue.Limits, h.queue.Now = l, l.At(time.Now()) })
	return nil
}

func (h *house) Pieces(context.Context, transfer.JobID) ([]transfer.FileMap, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.maps), nil
}

func (h *house) Wait(ctx context.Context, since uint64) (uint64, error) {
	for {
		h.mu.Lock()
		v, bump := h.version, h.bump
		h.mu.Unlock()
		if v > since {
			return v, nil
		}
		select {
		case <-ctx.Done():
			return since, ctx.Err()
		case <-bump:
		}
	}
}
