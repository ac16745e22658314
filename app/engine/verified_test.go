package engine

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"porchlight/app/store"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
)

// TestVerified: it lasts, opens what is for a device wherever it is, and ends when it is taken back, forgotten, or the other one is another.
func TestVerified(t *testing.T) {
	anna, bo := start(t, "anna", ""), start(t, "bo", "")
	meet(anna, bo)
	anna.put("Films/note.txt", []byte("hello"))
	if _, err := anna.AddShare(t.Context(), filepath.Join(anna.dir, "Films"), "", only(bo)...); err != nil {
		t.Fatal(err)
	}
	for _, how := range []ledger.Via{0, ledger.ViaRecovery, ledger.ViaFounder} {
		if anna.proven(bo.id, how); anna.sight.Verified(bo.id) {
			t.Errorf("verified by %d", how)
		}
	}
	anna.proven(discovery.DeviceID{}, ledger.ViaCode)
	anna.proven(anna.id, ledger.ViaCode)
	anna.proven(bo.id, ledger.ViaCode)
	anna.proven(bo.id, ledger.ViaPictures)
	isVerified := func(want bool) {
		t.Helper()
		who := anna.subject(bo.id)
		if who.Verified != want || anna.sight.Verified(anna.id) || anna.sight.Verified(discovery.DeviceID{}) {
			t.Errorf("%+v, want %v", who, want)
		}
	}
	isVerified(true)
	anna.stop()
	anna = start(t, "anna", anna.home)
	isVerified(true)
	if all, err := anna.db.Verified().Verified(); err != nil || len(all) != 1 || all[0].How != store.ByPictures || time.Since(all[0].Since).Abs() > time.Hour {
		t.Errorf("kept as %+v, %v", all, err)
	}
	meet(anna, bo)
	if err := anna.Unverify(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	isVerified(false)
	if err := errors.Join(anna.Unverify(t.Context(), bo.id), anna.Unverify(t.Context(), discovery.DeviceID{9})); err != nil {
		t.Error("taken back twice:", err)
	}
	anna.proven(bo.id, ledger.ViaQR)
	if _, err := anna.NewIdentity(t.Context()); err != nil {
		t.Fatal(err)
	}
	isVerified(true) // bo's key is the same
	if err := anna.ForgetPeer(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	isVerified(false)
	anna.proven(bo.id, ledger.ViaCode)
	was := bo.id
	now, err := bo.NewIdentity(t.Context())
	if err != nil || now == was {
		t.Fatal(now, err)
	}
	if anna.subject(now).Verified || !anna.subject(was).Verified {
		t.Error("who is another one now is verified, or the one before is not")
	}
	anna.stop()
	if anna = start(t, "anna", anna.home); anna.subject(now).Verified || !anna.subject(was).Verified {
		t.Error("another answer after a restart")
	}
}
