package engine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"porchlight/app/config"
	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// memberHome is a home that is in no open workgroup and never ran, with its book of private ones.
type memberHome struct {
	*workgroup.Book
	dir   string
	ident *identity.Identity
	close func() error
}

func newMemberHome(t *testing.T) memberHome {
	t.Helper()
	h := memberHome{dir: filepath.Join(t.TempDir(), "home")}
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.ident, err = identity.Load(h.dir, true); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), config.DatabasePath(h.dir), store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	h.close = db.Close
	h.Book = workgroup.New(workgroup.Config{Self: h.ident, Store: db.Workgroups()})
	return h
}

// lets a device in.
func (h memberHome) lets(t *testing.T, id workgroup.ID, in memberHome, name string) {
	t.Helper()
	w, _, err := h.Admit(id, workgroup.Admission{Key: ledger.KeyOf(in.ident.Public()), Name: name, Role: ledger.Member, Via: ledger.ViaCode})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Join(h.ident.ID(), w); err != nil {
		t.Fatal(err)
	}
}

// runs starts an engine in the home.
func (h memberHome) runs(t *testing.T, name string) *world {
	t.Helper()
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), Config{Home: h.dir, Version: "test", Loopback: true, Change: func(s *config.Settings) error {
		s.Name, s.Network, s.Downloads, s.FirstRunDone, s.Private = name, discovery.Home, filepath.Join(t.TempDir(), "downloads"), true, true
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return awake(t, e)
}

// TestAMemberNobodyHeardOf: cleo was let in while bo was off, and the one who did it is away. They are in no open workgroup. bo, which
// takes her for a stranger with a key, learns who she is, and they are neighbours. Somebody who was removed, and has a key, is none.
func TestAMemberNobodyHeardOf(t *testing.T) {
	annaIs, boIs, cleoIs, danIs := newMemberHome(t), newMemberHome(t), newMemberHome(t), newMemberHome(t)
	w, err := annaIs.Create(workgroup.Founding{Name: "Home", Device: "anna", PersonName: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	annaIs.lets(t, w.ID, danIs, "dan")
	annaIs.lets(t, w.ID, boIs, "bo")
	annaIs.lets(t, w.ID, cleoIs, "cleo")
	c, err := annaIs.Remove(w.ID, ledger.Removed, danIs.ident.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := cleoIs.Receive(w.ID, annaIs.ident.ID(), c.Push); err != nil { // bo has not heard of that either
		t.Fatal(err)
	}
	if err := annaIs.close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	bo, cleo, dan := boIs.runs(t, "bo's computer"), cleoIs.runs(t, "cleo's computer"), danIs.runs(t, "dan's computer")
	bo.until("it knows cleo", func() bool {
		p, ok := bo.lists(cleo.id)
		return ok && p.State == discovery.Online && p.Name == "cleo" && len(p.Groups) == 1
	})
	cleo.until("it knows bo", func() bool {
		p, ok := cleo.lists(bo.id)
		return ok && p.State == discovery.Online && p.Name == "bo" && len(p.Groups) == 1
	})
	t.Logf("after %v", time.Since(began))
	bo.until("it knows that dan is none", func() bool {
		p, ok := bo.lists(dan.id)
		return !ok && p.ID.IsZero() && len(bo.sight.Common(dan.id)) == 0
	})
	if _, ok := cleo.lists(dan.id); ok {
		t.Error("cleo lists somebody who was removed")
	}
	var removal *workgroup.Removal
	dan.until("he knows it, too", func() bool {
		groups, err := dan.Workgroups(t.Context())
		if err != nil || len(groups) != 1 {
			return false
		}
		removal = groups[0].Removal
		return removal != nil
	})
	// If bo, with whom he was in step, told him, the ledger says so. From somebody newer he has it by hearsay: bo stays a member for him.
	dan.until("nobody is there for him", func() bool {
		all, err := dan.Peers(t.Context())
		return err == nil && !slices.ContainsFunc(all, func(p discovery.Peer) bool {
			return p.State == discovery.Online || p.ID != bo.id || !removal.Hearsay
		})
	})
}
