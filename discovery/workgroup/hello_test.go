package workgroup

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"porchlight/discovery"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
)

// TestWelcome: what is no welcome is not joined, and nothing of it is stored.
func TestWelcome(t *testing.T) {
	anna, bo, cy := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy")
	id := found(t, anna, bo)
	good, _, err := anna.Admit(id, Admission{Key: cy.pub(), Name: "cy", Role: ledger.Member, Via: ledger.ViaCode})
	no(t, err)
	other := keyring.Key{Epoch: 1, Secret: keyring.Secret{1}}
	bent := func(f func(*Welcome)) Welcome {
		w := Welcome{good.Workgroup, bytes.Clone(good.Keys), slices.Clone(good.Entries)}
		f(&w)
		return w
	}
	for name, tt := range map[string]struct {
		by   *device
		w    Welcome
		want error
	}{
		"not by a member":      {newDevice(t, "eve"), good, ledger.ErrWelcome},
		"not by an admin":      {bo, good, ledger.ErrWelcome},
		"by itself":            {cy, good, ledger.ErrWelcome},
		"of another workgroup": {anna, bent(func(w *Welcome) { w.Workgroup = ID{1} }), ledger.ErrWorkgroup},
		"without the end":      {anna, bent(func(w *Welcome) { w.Entries = w.Entries[:len(w.Entries)-1] }), ledger.ErrWelcome},
		"without a middle":     {anna, bent(func(w *Welcome) { w.Entries = slices.Delete(w.Entries, 1, 2) }), ledger.ErrParent},
		"empty":                {anna, Welcome{Workgroup: id}, ledger.ErrForm},
		"no ring":              {anna, bent(func(w *Welcome) { w.Keys = []byte("x") }), keyring.ErrRing},
		"keys of nothing":      {anna, bent(func(w *Welcome) { w.Keys = must(keyring.Encode([]keyring.Key{other}, true))(t) }), ErrKey},
		"too many entries":     {anna, bent(func(w *Welcome) { w.Entries = slices.Repeat(w.Entries[:1], ledger.MaxEntries+1) }), ledger.ErrForm},
	} {
		c, err := cy.Join(tt.by.ID(), tt.w)
		if !errors.Is(err, tt.want) || c.Any() || len(cy.Workgroups())+len(must(cy.store.Workgroups())(t)) != 0 {
			t.Errorf("%s: %v, %+v", name, err, c)
		}
	}
	c := must(cy.Join(anna.ID(), good))(t)
	if !slices.Equal(c.Joined, []discovery.DeviceID{anna.ID(), bo.ID()}) || !c.Self || !c.Announce || c.Ask || c.Push != nil {
		t.Errorf("%+v", c)
	}
	// Somebody who knows of a removal is not talked into coming back by an older welcome.
	push(t, anna, must(anna.Remove(id, ledger.Removed, cy.ID()))(t), cy)
	wants(t, second(cy.Join(anna.ID(), good)), ledger.ErrWelcome)
	if standing(t, cy, id) != Out {
		t.Error("back by an old welcome")
	}
}

// TestHello: proofs are for one connection and one side, show nobody what it does not know, and older keys are known.
func TestHello(t *testing.T) {
	anna, bo, cy, eve := newDevice(t, "anna"), newDevice(t, "bo"), newDevice(t, "cy"), newDevice(t, "eve")
	id := found(t, anna, bo, cy)
	found(t, eve)
	exp := exporter(bo, anna)
	proofs := must(bo.Prove(exp))(t)
	r := must(anna.Answer(exp, bo.ID(), proofs))(t)
	if len(proofs) != keyring.MaxProofs || len(r.Proofs) != keyring.MaxProofs || !slices.Equal(r.Common, []ID{id}) {
		t.Errorf("%d and %d proofs, %v", len(proofs), len(r.Proofs), r.Common)
	}
	if got := must(bo.Check(exp, r.Proofs))(t); !slices.Equal(got, []ID{id}) {
		t.Error(got)
	}
	for name, ids := range map[string][]ID{
		"another connection": must(anna.Answer(exporter(cy, anna), bo.ID(), proofs))(t).Common,
		"sent back":          must(bo.Check(exp, proofs))(t),
		"a stranger":         must(eve.Answer(exp, bo.ID(), proofs))(t).Common,
		"to a stranger":      must(eve.Check(exp, r.Proofs))(t),
		"of a stranger":      must(anna.Answer(exp, eve.ID(), must(eve.Prove(exp))(t)))(t).Common,
	} {
		if len(ids) != 0 {
			t.Errorf("%s: %v", name, ids)
		}
	}
	if _, err := anna.Answer(exp, bo.ID(), append(proofs, keyring.Proof{})); !errors.Is(err, ErrEntry) {
		t.Error(err)
	}
	if _, err := anna.Check(exp, append(proofs, keyring.Proof{})); !errors.Is(err, ErrEntry) {
		t.Error(err)
	}
	// A device that knows the key, and that the ledger has never heard of, sees hashes and nothing else.
	if s := must(anna.Compare(id, eve.ID(), Summary{Count: 1}))(t); len(s.IDs) != s.Count {
		t.Errorf("%+v", s)
	}
	if got, err := anna.Compare(id, eve.ID(), must(anna.Have(id))(t)); err != nil || got.IDs != nil || len(anna.Synced(eve.ID())) != 0 {
		t.Error("a stranger is in step", err)
	}
	wants(t, second(anna.LearnKeys(id, bo.ID(), must(keyring.Encode(nil, true))(t))), ErrSync)
	meet(t, bo, anna, id)
	wants(t, second(anna.LearnKeys(id, bo.ID(), []byte("x"))), ErrEntry)
	forged := must(keyring.Encode([]keyring.Key{{Epoch: 9, Secret: keyring.Secret{9}}}, true))(t)
	if c := must(anna.LearnKeys(id, bo.ID(), forged))(t); c.Any() || anna.epoch(id) != 1 {
		t.Errorf("a key that nobody announced was taken: %+v", c)
	}
}
