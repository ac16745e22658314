package viewmodel

import (
	"context"
	"slices"
	"sync"

	"porchlight/discovery"
	"porchlight/discovery/pairing"
)

// Picture is one symbol with its name, for those who read or hear it.
type Picture struct{ Symbol, Name string }

// CompareCard is the question whether two screens show the same pictures.
type CompareCard struct {
	ID       string
	Title    string
	Text     string
	Pictures [4]Picture
	Digits   string // instead of pictures, for those who hear the screen
	Waiting  bool   // answered here; the other side was not yet
}

// Comparing shows pictures to compare, whoever began.
type Comparing struct {
	core *core

	mu     sync.Mutex // guards the fields below
	hidden map[string]bool
	begun  discovery.DeviceID // the device whose pictures are being fetched
}

// open reports whether a comparison still waits for an answer of somebody.
func open(x discovery.Comparison) bool {
	return x.State == discovery.CompareShown || x.State == discovery.CompareWaiting
}

// compared is what the device of a comparison is called: as it is known here, else what it says.
func (c *core) compared(x discovery.Comparison) string {
	now := c.now()
	if i := slices.IndexFunc(now.peers, func(p discovery.Peer) bool { return p.ID == x.Device && p.State != discovery.Candidate }); i >= 0 {
		return c.nameOf(x.Device, now.peers)
	}
	return x.Name
}

// Card returns the comparison to show, and false when there is none.
func (p *Comparing) Card() (CompareCard, bool) {
	for _, x := range p.core.now().compares {
		p.mu.Lock()
		hidden := p.hidden[x.ID]
		p.mu.Unlock()
		if !open(x) || hidden {
			continue
		}
		w, name := p.core.words, p.core.compared(x)
		card := CompareCard{ID: x.ID, Title: w.Text("compare.title"), Text: w.Text("compare.verify", "Name", name), Waiting: x.State == discovery.CompareWaiting}
		switch {
		case x.Join && x.Asked:
			card.Text = w.Text("compare.asks", "Name", name)
		case x.Join:
			card.Text = w.Text("compare.join", "Name", name)
		case x.Asked:
			card.Text = w.Text("compare.asked", "Name", name)
		}
		if card.Waiting {
			card.Text = w.Text("compare.waiting", "Name", name)
		}
		sas := pairing.SAS(x.SAS)
		card.Pictures = p.core.pictures(sas)
		d := sas.Digits()
		card.Digits = d[:3] + " " + d[3:]
		return card, true
	}
	return CompareCard{}, false
}

func (c *core) pictures(s pairing.SAS) (out [4]Picture) {
	for i, x := range s.Pictures() {
		out[i] = Picture{x.Symbol, x.English}
		if c.words.Lang() == "de" {
			out[i].Name = x.German
		}
	}
	return out
}

// Answer says whether the pictures are the same.
func (p *Comparing) Answer(id string, same bool) {
	p.core.ask(func(ctx context.Context, e Engine) error { return e.AnswerComparison(ctx, id, same) })
}

// Hide takes the card away while the other side takes its time.
func (p *Comparing) Hide(id string) {
	p.mu.Lock()
	p.hidden[id] = true
	p.mu.Unlock()
	p.core.changed()
}

// Verify begins a comparison so that both sides know each other's computer for sure.
func (p *Comparing) Verify(d discovery.DeviceID) { p.begin(d, pairing.ToVerify) }

// begin asks a device for its pictures; while that goes on, a second ask does nothing.
func (p *Comparing) begin(d discovery.DeviceID, why pairing.Purpose) {
	p.mu.Lock()
	busy := p.begun == d
	p.begun = d
	p.mu.Unlock()
	if busy {
		return
	}
	p.core.changed()
	p.core.ask(func(ctx context.Context, e Engine) error {
		_, err := e.Compare(ctx, d, why)
		p.mu.Lock()
		p.begun = discovery.DeviceID{}
		p.mu.Unlock()
		p.core.changed()
		return err
	})
}

// Busy is the device whose pictures are being fetched, zero if none.
func (p *Comparing) Busy() discovery.DeviceID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

// Unverify takes a verification back.
func (p *Comparing) Unverify(d discovery.DeviceID) {
	p.core.ask(func(ctx context.Context, e Engine) error { return e.Unverify(ctx, d) })
}
