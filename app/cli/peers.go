package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
)

// waitPeers is how long peers --wait waits at most.
const waitPeers = 30 * time.Second

type selfRow struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Workgroup  string            `json:"workgroup"`
	Open       bool              `json:"open"`
	Private    []string          `json:"private"`
	Network    discovery.Network `json:"network"`
	Port       int               `json:"port"`
	Addresses  []netip.AddrPort  `json:"addresses"`
	Version    string            `json:"version"`
	Home       string            `json:"home"`
	Downloads  string            `json:"downloads"`
	Peers      int               `json:"peers"`
	Online     int               `json:"online"`
	Shares     int               `json:"shares"`
	ActiveJobs int               `json:"active_jobs"`
	Held       bool              `json:"queue_held"`
	Since      *time.Time        `json:"since,omitempty"`
	Goroutines int               `json:"goroutines"`
	Heap       int64             `json:"heap"`
	Troubles   []troubleRow      `json:"health"`
}

type troubleRow struct {
	Service string `json:"service"`
	Trouble string `json:"trouble"`
}

func status(ctx context.Context, c *call, e control.Engine) error {
	self, err := e.Self(ctx)
	if err != nil {
		return err
	}
	all, errPeers := e.Peers(ctx)
	shares, errShares := e.Shares(ctx)
	pulls, errJobs := e.Jobs(ctx)
	held, errQueue := isHeld(ctx, e)
	groups, errGroups := e.Workgroups(ctx)
	if err := errors.Join(errPeers, errShares, errJobs, errQueue, errGroups); err != nil {
		return err
	}
	row := selfRow{ID: self.ID.String(), Name: self.Name, Workgroup: self.Workgroup, Open: self.Open, Private: []string{}, Network: self.Network, Port: self.Port, Addresses: nonNil(self.Addresses),
		Version: self.Version, Home: self.Home, Downloads: self.Downloads, Peers: len(all), Online: online(all), Shares: len(shares), Held: held,
		Since: when(self.Since), Goroutines: self.Goroutines, Heap: self.Heap, Troubles: []troubleRow{}}
	for _, g := range groups {
		if isIn(g) {
			row.Private = append(row.Private, g.Name)
		}
	}
	for _, j := range pulls {
		if !j.State.Ended() {
			row.ActiveJobs++
		}
	}
	for _, h := range self.Health {
		row.Troubles = append(row.Troubles, troubleRow(h))
	}
	if c.json {
		return c.object(row)
	}
	w := c.words
	addresses := w.Text("cli.status.no-address")
	if self.Port != 0 {
		addresses = joinAddresses(self.Addresses, 4)
	}
	rows := [][]string{
		{w.Text("cli.status.name"), show(self.Name)}, {w.Text("cli.status.workgroup"), w.groups(row)}, {w.Text("cli.status.id"), row.ID},
		{w.Text("cli.status.network"), w.network(self.Network)}, {w.Text("cli.status.addresses"), addresses},
		{w.Text("cli.status.neighbours"), w.Text("cli.status.online", "Online", row.Online, "Known", row.Peers)},
		{w.Text("cli.status.shares"), w.count(row.Shares)}, {w.Text("cli.status.jobs"), w.count(row.ActiveJobs)},
		{w.Text("cli.status.downloads"), show(self.Downloads)}, {w.Text("cli.status.home"), show(self.Home)}, {w.Text("cli.status.version"), self.Version},
	}
	if newer := w.newer(all); newer != "" {
		rows = append(rows, []string{w.Text("cli.status.newer"), newer})
	}
	for _, h := range self.Health {
		rows = append(rows, []string{w.Text("cli.status.trouble"), w.health(h)})
	}
	return table(c.Stdout, rows)
}

// groups names the workgroups this computer is in.
func (w words) groups(row selfRow) string {
	var names []string
	if row.Open {
		names = append(names, show(row.Workgroup))
	}
	for _, name := range row.Private {
		names = append(names, w.Text("cli.status.private", "Name", show(name)))
	}
	if len(names) == 0 {
		return w.Text("cli.status.no-workgroup")
	}
	return strings.Join(names, ", ")
}

type peerRow struct {
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	FirstName string           `json:"first_name,omitempty"`
	Workgroup string           `json:"workgroup"`
	State     discovery.State  `json:"state"`
	Addresses []netip.AddrPort `json:"addresses"`
	Manual    bool             `json:"manual"`
	DialBack  bool             `json:"dial_back"`
	Newer     bool             `json:"newer"`
	Blocked   bool             `json:"blocked"`
	Groups    []commonRow      `json:"groups"`
	Verified  bool             `json:"verified"`
	Inviting  bool             `json:"inviting"`
	Version   string           `json:"version,omitempty"`
	FirstSeen *time.Time       `json:"first_seen,omitempty"`
	LastSeen  *time.Time       `json:"last_seen,omitempty"`
}

// commonRow is a private workgroup that a neighbour and this computer are in.
type commonRow struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func common(p discovery.Peer, groups []workgroup.Workgroup) []commonRow {
	out := []commonRow{}
	for _, id := range p.Groups {
		out = append(out, commonRow{workgroup.ID(id).String(), nameOfGroup(groups, id)})
	}
	return out
}

func peers(ctx context.Context, c *call, e control.Engine) error {
	want := 0
	if text, given := c.flags["--wait"]; given {
		n, ok := number(text)
		if !ok {
			return usage("cli.usage.number", "Option", "--wait", "Value", show(text))
		}
		want = n
	}
	all, err := await(ctx, e, want)
	if err != nil {
		return err
	}
	sortPeers(all)
	groups, err := e.Workgroups(ctx)
	if err != nil {
		return err
	}
	if err := printPeers(c, all, groups); err != nil {
		return err
	}
	if n := online(all); n < want {
		return failed(exitFailed, nil, "cli.error.few-peers", "Online", n, "Wanted", want, "Seconds", int(waitPeers/time.Second))
	}
	return nil
}

// await returns the peers once enough are online, or after the longest wait.
func await(ctx context.Context, e control.Engine, want int) ([]discovery.Peer, error) {
	short, cancel := context.WithTimeout(ctx, waitPeers)
	defer cancel()
	for since := uint64(0); ; {
		all, err := e.Peers(ctx)
		if err != nil || online(all) >= want || short.Err() != nil {
			return all, err
		}
		if since, err = e.Wait(short, since); err != nil && short.Err() == nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func printPeers(c *call, all []discovery.Peer, groups []workgroup.Workgroup) error {
	if c.json {
		return list(c, all, func(p discovery.Peer) peerRow {
			id := ""
			if !p.ID.IsZero() {
				id = p.ID.String()
			}
			return peerRow{ID: id, Name: p.Name, FirstName: p.FirstName, Workgroup: p.Workgroup, State: p.State, Addresses: nonNil(p.Addresses),
				Manual: p.Manual, DialBack: p.DialBack, Newer: p.Newer, Blocked: p.Blocked,
				Groups: common(p, groups), Verified: p.Verified, Inviting: p.Inviting, Version: p.Version, FirstSeen: when(p.FirstSeen), LastSeen: when(p.LastSeen)}
		})
	}
	if len(all) == 0 {
		return c.say("cli.peers.none")
	}
	rows := [][]string{c.words.columns("name", "workgroup", "state", "id", "address")}
	for _, p := range all {
		id := ""
		if !p.ID.IsZero() {
			id = p.ID.String()[:15]
		}
		state := c.words.value("cli.peer.", string(p.State))
		if p.Newer && p.State != discovery.Online {
			state = c.words.Text("cli.peer.newer")
		}
		if p.Blocked {
			state = c.words.Text("cli.peer.blocked")
		}
		name, in := show(p.Name), []string{}
		if p.Verified {
			name += " " + c.words.Text("cli.peer.verified")
		}
		for _, g := range common(p, groups) {
			in = append(in, show(g.Name))
		}
		if p.Workgroup != "" {
			in = append(in, show(p.Workgroup))
		}
		if p.Inviting {
			state += ", " + c.words.Text("cli.peer.inviting")
		}
		rows = append(rows, []string{name, strings.Join(in, ", "), state, id, joinAddresses(p.Addresses, 1)})
	}
	if err := table(c.Stdout, rows); err != nil {
		return err
	}
	if newer := c.words.newer(all); newer != "" {
		_, err := fmt.Fprintln(c.Stdout, "\n"+newer)
		return err
	}
	return nil
}

// sortPeers puts who is there first, then by workgroup and name.
func sortPeers(all []discovery.Peer) {
	rank := []discovery.State{discovery.Online, discovery.Suspect, discovery.Offline, discovery.Candidate}
	slices.SortStableFunc(all, func(a, b discovery.Peer) int {
		return cmp.Or(cmp.Compare(slices.Index(rank, a.State), slices.Index(rank, b.State)),
			cmp.Compare(strings.ToLower(a.Workgroup), strings.ToLower(b.Workgroup)), cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)))
	})
}

func online(all []discovery.Peer) (n int) {
	for _, p := range all {
		if p.State == discovery.Online {
			n++
		}
	}
	return n
}

func peersAdd(ctx context.Context, c *call, e control.Engine) error {
	if err := e.AddPeer(ctx, c.args[0]); err != nil {
		if errors.Is(err, transfer.ErrAway) {
			return failed(exitAway, err, "cli.error.address", "Address", show(c.args[0]))
		}
		return err
	}
	return c.done("cli.peers.added", "Address", show(c.args[0]))
}

// joinAddresses prints the best few of the addresses.
func joinAddresses(all []netip.AddrPort, most int) string {
	var s []string
	for _, a := range all[:min(most, len(all))] {
		s = append(s, show(a.String()))
	}
	return strings.Join(s, " ")
}

// nonNil makes an empty JSON array of nothing.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
