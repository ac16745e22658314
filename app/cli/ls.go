package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// askOffers is how long ls waits for the offers of each device, and askAtOnce how many it asks at a time.
const (
	askOffers = 5 * time.Second
	askAtOnce = 8
)

type offerRow struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Away bool   `json:"away"`
}

type deviceRow struct {
	Name      string          `json:"name"`
	Kind      string          `json:"kind"`
	ID        string          `json:"id"`
	Workgroup string          `json:"workgroup"`
	State     discovery.State `json:"state"`
	Shares    []offerRow      `json:"shares"`
}

type entryRow struct {
	Name    string     `json:"name"`
	Kind    string     `json:"kind"`
	Size    int64      `json:"size"`
	MTime   *time.Time `json:"mtime"`
	Path    share.Path `json:"path"`
	Version string     `json:"version,omitempty"`
	Cloud   bool       `json:"cloud,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

func ls(ctx context.Context, c *call, e control.Engine) error {
	r, err := newResolver(ctx, e)
	if err != nil {
		return err
	}
	if len(c.args) == 0 {
		return lsDevices(ctx, c, e, r.peers)
	}
	at, err := r.place(ctx, c.args[0])
	if err != nil {
		return err
	}
	if !at.inShare {
		return lsOffers(c, at)
	}
	out := &listing{words: c.words, json: c.json, w: bufio.NewWriterSize(c.Stdout, 64<<10)}
	out.array.w = out.w
	err = e.List(ctx, at.peer.ID, at.offer.ID, at.path, share.ByName, out.put)
	if errors.Is(err, transfer.ErrGone) && at.path != "" && !out.array.begun {
		err = lsFile(ctx, e, at, out, err)
	}
	if err != nil {
		err = about(at.peer.Name, err)
	}
	return errors.Join(err, out.end())
}

// lsFile shows the one file a path names, out of its folder; otherwise it returns the error of the listing.
func lsFile(ctx context.Context, e control.Engine, at place, out *listing, gone error) error {
	found := errors.New("found")
	err := e.List(ctx, at.peer.ID, at.offer.ID, at.path.Dir(), share.ByName, func(entries []share.Entry) error {
		for i, n := range entries {
			if n.Path.Base() == at.path.Base() && n.Kind != share.Dir {
				return errors.Join(found, out.put(entries[i:i+1]))
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, found):
		return nil
	case err == nil:
		return gone
	}
	return err
}

// listing prints entries as they come.
type listing struct {
	words words
	json  bool
	w     *bufio.Writer
	array array
}

func (l *listing) put(entries []share.Entry) error {
	for _, e := range entries {
		var err error
		if l.json {
			err = l.array.put(rowOfEntry(e))
		} else {
			err = l.line(e)
		}
		if err != nil {
			return err
		}
	}
	return l.w.Flush() // the first rows are on the screen while the rest is on its way
}

func (l *listing) line(e share.Entry) error {
	l.array.begun = true
	bytes, day, name := l.words.size(e.Size), "-", show(e.Name())
	if !e.MTime.IsZero() {
		day = e.MTime.Local().Format("2006-01-02 15:04")
	}
	switch e.Kind {
	case share.Dir:
		bytes, name = "-", name+"/"
	case share.Other:
		bytes, name = "-", name+" "+l.words.Text("cli.ls.closed", "Why", l.words.value("cli.reason.", e.Reason))
	case share.File:
		if e.Cloud {
			name += " " + l.words.Text("cli.ls.cloud")
		}
	}
	_, err := fmt.Fprintf(l.w, "%8s  %16s  %s\n", bytes, day, name)
	return err
}

func (l *listing) end() error {
	if l.json {
		if err := l.array.end(); err != nil {
			return err
		}
	}
	return l.w.Flush()
}

func rowOfEntry(e share.Entry) entryRow {
	r := entryRow{Name: e.Name(), Size: e.Size, MTime: when(e.MTime), Path: e.Path, Cloud: e.Cloud, Reason: e.Reason}
	switch e.Kind {
	case share.Dir:
		r.Kind = "folder"
	case share.File:
		r.Kind = "file"
	default:
		r.Kind = "other"
	}
	if e.Version != (share.Version{}) {
		r.Version = e.Version.String()
	}
	return r
}

func rowOfOffer(o share.Offer) offerRow {
	return offerRow{Name: o.Name, Kind: kindOfShare(o.Kind), ID: o.ID.String(), Away: o.Away}
}

func lsOffers(c *call, at place) error {
	if c.json {
		return list(c, at.offers, rowOfOffer)
	}
	if len(at.offers) == 0 {
		return c.say("cli.ls.shares-nothing", "Device", show(at.peer.Name))
	}
	return table(c.Stdout, c.words.offers(at.peer.Name, at.offers))
}

// offers writes each share as the argument that names it.
func (w words) offers(device string, offers []share.Offer) (rows [][]string) {
	for _, o := range offers {
		state := ""
		if o.Away {
			state = w.Text("cli.ls.away")
		}
		rows = append(rows, []string{show(device) + ":" + show(o.Name), w.Text("cli.kind." + kindOfShare(o.Kind)), state})
	}
	return rows
}

// lsDevices asks every device that is there, several at a time. One that does not answer is shown as such.
func lsDevices(ctx context.Context, c *call, e control.Engine, all []discovery.Peer) error {
	sortPeers(all)
	var there []discovery.Peer
	names := map[string]int{}
	for _, p := range all {
		if p.State == discovery.Online || p.State == discovery.Suspect {
			there = append(there, p)
			names[p.Name]++
		}
	}
	offers, errs := askAll(ctx, e, there)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if c.json {
		a := array{w: c.Stdout}
		for i, p := range there {
			row := deviceRow{Name: p.Name, Kind: "device", ID: p.ID.String(), Workgroup: p.Workgroup, State: p.State, Shares: []offerRow{}}
			for _, o := range offers[i] {
				row.Shares = append(row.Shares, rowOfOffer(o))
			}
			if err := a.put(row); err != nil {
				return err
			}
		}
		return a.end()
	}
	if len(there) == 0 {
		return c.say("cli.ls.nobody")
	}
	var rows [][]string
	for i, p := range there {
		device := p.Name
		if names[device] > 1 {
			device = p.ID.String()[:15] // the name alone would be refused as ambiguous
		}
		switch {
		case errs[i] != nil:
			rows = append(rows, []string{show(device), c.words.Text("cli.ls.no-answer")})
		case len(offers[i]) == 0:
			rows = append(rows, []string{show(device), c.words.Text("cli.ls.nothing")})
		}
		rows = append(rows, c.words.offers(device, offers[i])...)
	}
	return table(c.Stdout, rows)
}

func askAll(ctx context.Context, e control.Engine, there []discovery.Peer) ([][]share.Offer, []error) {
	offers, errs := make([][]share.Offer, len(there)), make([]error, len(there))
	turns := make(chan struct{}, askAtOnce)
	var wg sync.WaitGroup
	for i, p := range there {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			short, cancel := context.WithTimeout(ctx, askOffers)
			defer cancel()
			offers[i], errs[i] = e.Offers(short, p.ID)
		})
	}
	wg.Wait()
	return offers, errs
}
