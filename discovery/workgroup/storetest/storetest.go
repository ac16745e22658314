// Package storetest is what every store of workgroups must pass.
package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// Home is a workgroup with everything a store keeps, made from a number.
func Home(n byte) workgroup.Kept {
	day := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
	return workgroup.Kept{
		ID:       workgroup.ID{n, 1},
		Entries:  [][]byte{{n, 0xff}, {n, 1, 0}, {n}},
		Keys:     []keyring.Key{{Epoch: 1, Secret: keyring.Secret{n, 1}, Retired: time.Unix(1_770_000_000, 0)}, {Epoch: 2, Secret: keyring.Secret{n, 2}}},
		Recovery: &ledger.RecoveryCode{n, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 1, 2, 3, 4, 5, 6, 7, 8, 9, n},
		Remind:   day.Add(time.Hour),
		Joined:   day.Add(time.Duration(n) * time.Hour),
		Declined: []workgroup.ID{{n, 9}, {n, 8}},
	}
}

// Equal compares what was kept with what is there.
func Equal() cmp.Options {
	return cmp.Options{
		cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0),
		cmp.Comparer(func(a, b keyring.Secret) bool { return a == b }),
	}
}

// Run holds a store against the promises of workgroup.Store. open opens the same store anew each time, or returns the one it has
// if it lives in memory only; it is empty at the beginning.
func Run(t *testing.T, open func() workgroup.Store) {
	check := func(t *testing.T, want ...workgroup.Kept) {
		t.Helper()
		got, err := open().Workgroups()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, Equal()); d != "" {
			t.Error(d)
		}
	}
	put := func(t *testing.T, k workgroup.Kept) {
		t.Helper()
		if err := open().PutWorkgroup(k); err != nil {
			t.Fatal(err)
		}
	}
	one, two := Home(1), Home(2)
	t.Run("empty", func(t *testing.T) { check(t) })
	t.Run("the oldest first", func(t *testing.T) {
		put(t, two)
		put(t, one)
		check(t, one, two)
	})
	t.Run("entries are added", func(t *testing.T) {
		more := one
		more.Entries = nil
		for i := range 300 {
			more.Entries = append(more.Entries, fmt.Appendf(nil, "entry %d", i))
		}
		put(t, more)
		one.Entries = append(one.Entries, more.Entries...)
		check(t, one, two)
	})
	t.Run("the rest is replaced", func(t *testing.T) {
		one.Recovery, one.Keys, one.Declined, one.Remind, one.Left = nil, one.Keys[1:], nil, time.Time{}, true
		less := one
		less.Entries = nil
		put(t, less)
		check(t, one, two)
	})
	t.Run("what a caller does to a value is its own affair", func(t *testing.T) {
		got, err := open().Workgroups()
		if err != nil {
			t.Fatal(err)
		}
		got[1].Recovery[0], got[1].Keys[0].Epoch, got[1].Declined[0] = 77, 77, workgroup.ID{77}
		check(t, one, two)
	})
	t.Run("forget", func(t *testing.T) {
		for range 2 { // the second time there is none
			if err := open().DeleteWorkgroup(one.ID); err != nil {
				t.Fatal(err)
			}
			check(t, two)
		}
		one = Home(1)
		put(t, one) // and nothing of the old one comes back
		check(t, one, two)
	})
}
