package workgroup

import (
	"fmt"
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
)

// Announce returns the tags of an announcement with the given label, empty if this device is in no workgroup.
func (b *Book) Announce(label string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var tags []keyring.Tag
	for _, g := range b.groups {
		if k, ok := g.ring.InUse(); ok && b.in(g) {
			tags = append(tags, k.Secret.Tag(label))
		}
	}
	return keyring.Announce(tags, b.cfg.Rand)
}

// Recognise returns the workgroups of this device that an announcement, by its label and its tags, is of. It is a hint to dial,
// which anybody can copy, and no more.
func (b *Book) Recognise(label, tags string) ([]ID, error) {
	list, err := keyring.ParseTags(tags)
	if err != nil {
		return nil, err
	}
	return b.where(func(g *group) bool { return b.in(g) && g.ring.Marks(label, list, b.cfg.Now()) }), nil
}

// Prove returns the proofs that the client of a connection sends first, with its exporter value: one for the key in use of each
// workgroup, and for as many older keys as there is room, for those that slept.
func (b *Book) Prove(exp [32]byte) ([]keyring.Proof, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var first, then, older []keyring.Proof
	for _, g := range b.groups {
		for _, k := range slices.Backward(g.ring.Keys(b.cfg.Now())) {
			p := k.Secret.Proof(exp, keyring.Client)
			switch {
			case !k.Retired.IsZero():
				older = append(older, p)
			case b.in(g):
				first = append(first, p)
			default:
				then = append(then, p)
			}
		}
	}
	all := slices.Concat(first, then, older)
	return keyring.Fill(all[:min(len(all), keyring.MaxProofs)], b.cfg.Rand)
}

// Reply is what the server of a connection makes of the client's proofs.
type Reply struct {
	Common  []ID            // proven on both sides: the routes of these workgroups are open, as far as the ledger allows
	Removed []Notice        // proven by a device that was removed: it gets this, and may hand in entries
	Left    []Notice        // of workgroups that this device left, and of which the client is a member: it may have been away
	Proofs  []keyring.Proof // for the client
}

// Answer takes the proofs of client.
func (b *Book) Answer(exp [32]byte, client discovery.DeviceID, proofs []keyring.Proof) (Reply, error) {
	if len(proofs) > keyring.MaxProofs {
		return Reply{}, fmt.Errorf("%w: %d proofs", ErrEntry, len(proofs))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var r Reply
	var own []keyring.Proof
	for _, g := range b.groups {
		if g.kept.Left {
			if e, gone := g.graph.Removal(b.id); gone && g.graph.State().Is(client, ledger.Member) {
				r.Left = append(r.Left, Notice{g.kept.ID, e.Raw()})
			}
			continue
		}
		key, ok := g.ring.Proves(exp, keyring.Client, proofs, b.cfg.Now())
		if !ok {
			continue
		}
		if e, gone := g.graph.Removal(client); gone {
			r.Removed = append(r.Removed, Notice{g.kept.ID, e.Raw()})
			continue
		}
		r.Common = append(r.Common, g.kept.ID)
		own = append(own, key.Secret.Proof(exp, keyring.Server))
	}
	var err error
	r.Proofs, err = keyring.Fill(own, b.cfg.Rand)
	return r, err
}

// Check returns the workgroups that the server of a connection proved in its answer.
func (b *Book) Check(exp [32]byte, proofs []keyring.Proof) ([]ID, error) {
	if len(proofs) > keyring.MaxProofs {
		return nil, fmt.Errorf("%w: %d proofs", ErrEntry, len(proofs))
	}
	return b.where(func(g *group) bool {
		_, ok := g.ring.Proves(exp, keyring.Server, proofs, b.cfg.Now())
		return ok && !g.kept.Left
	}), nil
}
