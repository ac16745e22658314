package workgroup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
)

// Summary is what two ledgers are compared by.
type Summary struct {
	Heads []ledger.Hash   // at most ledger.MaxParents
	Count int             // of entries
	IDs   []ledger.Prefix // of all entries, parents first, in an answer to a summary that differs; otherwise none
}

// MaxSummary is the greatest length of an encoded Summary, in bytes.
const MaxSummary = ledger.MaxEntries*8 + ledger.MaxParents*32 + 64

type wireSummary struct {
	Heads []byte `cbor:"heads"`
	Count int    `cbor:"count"`
	IDs   []byte `cbor:"ids,omitempty"`
}

// Encode writes a summary for the wire: heads and IDs one after the other, in one byte string each.
func (s Summary) Encode() ([]byte, error) {
	w := wireSummary{Count: s.Count}
	for _, h := range s.Heads {
		w.Heads = append(w.Heads, h[:]...)
	}
	for _, p := range s.IDs {
		w.IDs = append(w.IDs, p[:]...)
	}
	return canon.Marshal(w)
}

// ParseSummary reads what a neighbour sent; ErrEntry if it is none.
func ParseSummary(b []byte) (Summary, error) {
	var w wireSummary
	if len(b) > MaxSummary {
		return Summary{}, fmt.Errorf("%w: a summary of %d bytes", ErrEntry, len(b))
	}
	if err := canon.UnmarshalOpen(b, &w); err != nil {
		return Summary{}, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	const hash, prefix = len(ledger.Hash{}), len(ledger.Prefix{})
	if len(w.Heads)%hash != 0 || len(w.Heads) > ledger.MaxParents*hash || len(w.IDs)%prefix != 0 || len(w.IDs) > ledger.MaxEntries*prefix ||
		w.Count < 1 || w.Count > ledger.MaxEntries {
		return Summary{}, fmt.Errorf("%w: not a summary", ErrEntry)
	}
	s := Summary{Count: w.Count}
	for h := range slices.Chunk(w.Heads, hash) {
		s.Heads = append(s.Heads, ledger.Hash(h))
	}
	for p := range slices.Chunk(w.IDs, prefix) {
		s.IDs = append(s.IDs, ledger.Prefix(p))
	}
	return s, nil
}

func (s Summary) same(t Summary) bool { return s.Count == t.Count && slices.Equal(s.Heads, t.Heads) }

func summary(g *group) Summary { return Summary{Heads: g.graph.Heads(), Count: g.graph.Len()} }

// open returns a workgroup that this device has not left.
func (b *Book) open(id ID) (*group, error) {
	g, err := b.find(id)
	if err == nil && g.kept.Left {
		return nil, ErrUnknown
	}
	return g, err
}

// Have returns what the client of a connection sends to compare.
func (b *Book) Have(id ID) (Summary, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.open(id)
	if err != nil {
		return Summary{}, err
	}
	return summary(g), nil
}

// Compare answers peer, which proved a key of the workgroup, and notes whether it is in step. ErrRemoved if the ledger knows that
// it does not belong any more.
func (b *Book) Compare(id ID, peer discovery.DeviceID, theirs Summary) (Summary, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.open(id)
	if err != nil {
		return Summary{}, err
	}
	if _, gone := g.graph.Removal(peer); gone {
		return Summary{}, ErrRemoved
	}
	s := summary(g)
	if !s.same(theirs) {
		s.IDs = g.graph.Prefixes()
		return s, nil
	}
	b.step(g, peer)
	return s, nil
}

// step notes that the ledger of peer is equal to this device's.
func (b *Book) step(g *group, peer discovery.DeviceID) bool {
	if !b.common(g, peer) {
		return false
	}
	g.synced[peer] = true
	return true
}

// Step is what the client of a connection does after an answer: nothing, if the ledgers are equal, or give, take, and compare
// again.
type Step struct {
	Equal  bool
	Synced bool            // equal, and both devices are active: both may be served
	Give   [][]byte        // for Receive over there, parents first
	Want   []ledger.Prefix // for Fetch over there
}

// Plan takes the answer to a Summary.
func (b *Book) Plan(id ID, peer discovery.DeviceID, answer Summary) (Step, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.open(id)
	if err != nil {
		return Step{}, err
	}
	if summary(g).same(answer) {
		return Step{Equal: true, Synced: b.step(g, peer)}, nil
	}
	want, give := g.graph.Diff(answer.IDs)
	return Step{Want: want[:min(len(want), MaxBatch)], Give: batch(give)}, nil
}

// batch returns as many entries as one message takes.
func batch(list []*ledger.Entry) (out [][]byte) {
	size := 0
	for _, e := range list {
		if size += len(e.Raw()); size > MaxBatchBytes || len(out) == MaxBatch {
			break
		}
		out = append(out, e.Raw())
	}
	return out
}

// Receive takes entries from peer, which proved a key of the workgroup, member or not: each speaks for itself. missing is what it
// should send next. With ErrEntry it broke the rules, and its connection is to be closed; what came before that counts, and the
// Change with it.
func (b *Book) Receive(id ID, peer discovery.DeviceID, raw [][]byte) (c Change, missing []ledger.Prefix, err error) {
	if len(raw) > MaxBatch {
		return Change{}, nil, fmt.Errorf("%w: %d entries at once", ErrEntry, len(raw))
	}
	var list []*ledger.Entry
	var bad error
	for _, r := range raw { // signatures first, without the lock
		e, err := ledger.Parse(r)
		if err != nil {
			bad = fmt.Errorf("%w: %w", ErrEntry, err)
			break
		}
		list = append(list, e)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.open(id)
	if err != nil {
		return Change{}, nil, err
	}
	c, missing, err = b.receive(g, peer, list)
	if err == nil {
		err = bad
	}
	return c, missing, err
}

func (b *Book) receive(g *group, peer discovery.DeviceID, list []*ledger.Entry) (c Change, missing []ledger.Prefix, bad error) {
	inbox := g.inboxes[peer]
	if inbox == nil {
		inbox = &ledger.Inbox{}
		g.inboxes[peer] = inbox
	}
	c, err := b.edit(g, func(p *pen) error {
		for _, e := range list {
			kept, lack, err := inbox.Add(g.graph, e, b.cfg.Now())
			p.kept = append(p.kept, kept...)
			for _, h := range lack {
				if len(missing) < MaxBatch && !slices.Contains(missing, h.Prefix()) {
					missing = append(missing, h.Prefix())
				}
			}
			if err == nil || later(g.graph, err) {
				continue
			}
			if bad = err; !errors.Is(err, ledger.ErrFull) && !errors.Is(err, ledger.ErrPending) {
				bad = fmt.Errorf("%w: %w", ErrEntry, err)
			}
			break
		}
		if len(p.kept) == 0 {
			return errNothing
		}
		return nil
	})
	if inbox.Waiting() == 0 {
		delete(g.inboxes, peer)
	}
	if errors.Is(err, errNothing) {
		return Change{}, missing, bad
	}
	if err != nil {
		return Change{}, nil, err
	}
	return c, missing, bad
}

// errNothing says that there is nothing to store.
var errNothing = errors.New("nothing new")

// Fetch returns entries that peer asked for, parents first, as many as one message takes. It has to be an active member.
func (b *Book) Fetch(id ID, peer discovery.DeviceID, want []ledger.Prefix) ([][]byte, error) {
	if len(want) > MaxBatch {
		return nil, fmt.Errorf("%w: %d IDs at once", ErrEntry, len(want))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.open(id)
	if err != nil {
		return nil, err
	}
	if !g.graph.State().Is(peer, ledger.Member) {
		return nil, ErrNotMember
	}
	asked := make(map[ledger.Prefix]bool, len(want))
	for _, p := range want {
		asked[p] = true
	}
	var list []*ledger.Entry
	for e := range g.graph.Entries() {
		if asked[e.ID().Prefix()] {
			list = append(list, e)
		}
	}
	return batch(list), nil
}

// Keys returns the ring for peer, which has to be in step.
func (b *Book) Keys(id ID, peer discovery.DeviceID) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.open(id)
	switch {
	case err != nil:
		return nil, err
	case !b.common(g, peer):
		return nil, ErrNotMember
	case !g.synced[peer]:
		return nil, ErrSync
	}
	return keyring.Encode(g.ring.Keys(b.cfg.Now()), true)
}

// LearnKeys takes the ring of peer, which has to be in step. Keys that the ledger does not name are left out.
func (b *Book) LearnKeys(id ID, peer discovery.DeviceID, ring []byte) (Change, error) {
	keys, err := keyring.Decode(ring)
	if err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g, err := b.open(id)
	switch {
	case err != nil:
		return Change{}, err
	case !g.synced[peer]:
		return Change{}, ErrSync
	}
	c, err := b.edit(g, func(*pen) error {
		if b.learn(g, keys) == 0 {
			return errNothing
		}
		return nil
	})
	if errors.Is(err, errNothing) {
		return Change{}, nil
	}
	return c, err
}

// Disconnected says that there is no connection with the device any more: it has to compare again before it is served.
func (b *Book) Disconnected(device discovery.DeviceID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range b.groups {
		delete(g.synced, device)
		delete(g.inboxes, device)
	}
}

// Remote is the server of a connection, as its client sees it: each call is one request for a workgroup.
type Remote interface {
	// Compare is Book.Compare over there.
	Compare(context.Context, ID, Summary) (Summary, error)
	// Give is Book.Receive over there; it returns what is missing there.
	Give(context.Context, ID, [][]byte) ([]ledger.Prefix, error)
	// Take is Book.Fetch over there.
	Take(context.Context, ID, []ledger.Prefix) ([][]byte, error)
}

// Sync makes both ledgers equal, and notes it; then is called with each change on the way. The caller gives ctx a deadline of 10
// s, after which the other device is not served. ErrNotMember says that the ledgers are equal and one of the devices is not in them;
// ErrSync, that the ledgers do not become equal, as when the other program is a newer one.
func (b *Book) Sync(ctx context.Context, id ID, peer discovery.DeviceID, r Remote, then func(Change)) error {
	var last [2]Summary
	for range maxRounds {
		have, err := b.Have(id)
		if err != nil {
			return err
		}
		answer, err := r.Compare(ctx, id, have)
		if err != nil {
			return fmt.Errorf("compare ledgers: %w", err)
		}
		step, err := b.Plan(id, peer, answer)
		switch {
		case err != nil:
			return err
		case step.Equal && step.Synced:
			return nil
		case step.Equal:
			return ErrNotMember
		case last[0].same(have) && last[1].same(answer):
			return ErrSync // a whole round, and nothing has moved
		}
		last = [2]Summary{have, answer}
		if err := b.exchange(ctx, id, peer, r, step, then); err != nil {
			return err
		}
	}
	return ErrSync
}

func (b *Book) exchange(ctx context.Context, id ID, peer discovery.DeviceID, r Remote, s Step, then func(Change)) error {
	if len(s.Give) > 0 {
		if _, err := r.Give(ctx, id, s.Give); err != nil {
			return fmt.Errorf("give ledger entries: %w", err)
		}
	}
	if len(s.Want) == 0 {
		return nil
	}
	raw, err := r.Take(ctx, id, s.Want)
	if err != nil {
		return fmt.Errorf("take ledger entries: %w", err)
	}
	c, _, err := b.Receive(id, peer, raw)
	if c.Any() {
		then(c)
	}
	return err
}

// HandIn gives entries to peer, and then what that says is missing there: Change.Push after Contest, and what Told returned.
func (b *Book) HandIn(ctx context.Context, id ID, peer discovery.DeviceID, r Remote, entries [][]byte) error {
	for range maxRounds {
		missing, err := r.Give(ctx, id, entries)
		if err != nil {
			return fmt.Errorf("give ledger entries: %w", err)
		}
		if len(missing) == 0 {
			return nil
		}
		if entries, err = b.Fetch(id, peer, missing[:min(len(missing), MaxBatch)]); err != nil {
			return err
		}
		if len(entries) == 0 {
			return ErrSync
		}
	}
	return ErrSync
}
