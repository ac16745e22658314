package engine

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"porchlight/app/store"
	"porchlight/discovery"
)

// TestVerified: it lasts, opens what is for a device wherever it is, and ends when it is taken back, forgotten, or the other one is another.
func TestVerified(t *testing.T) {
	anna, bo := start(t, "anna", ""), start(t, "bo", "")
	meet(anna, bo)
	anna.put("Films/note.txt", []byte("hello"))
	if _, err := anna.AddShare(t.Context(), filepath.Join(anna.dir, "Films"), "", only(bo)...); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"", "by hearsay"} {
		if anna.verify(bo.id, how); anna.verified.has(bo.id) {
			t.Errorf("verified by %q", how)
		}
	}
	anna.verify(discovery.DeviceID{}, "code")
	anna.verify(anna.id, "code")
	anna.verify(bo.id, "code")
	anna.verify(bo.id, "pictures")
	isVerified := func(want bool) {
		t.Helper()
		who := anna.subject(bo.id)
		if who.Verified != want || anna.verified.has(anna.id) || anna.verified.has(discovery.DeviceID{}) {
			t.Errorf("%+v, want %v", who, want)
		}
	}
	isVerified(true)
	anna.stop()
	anna = start(t, "anna", anna.home)
	isVerified(true)
	if x := anna.verified.of[bo.id]; x.How != store.ByPictures || time.Since(x.Since).Abs() > time.Hour {
		t.Errorf("kept as %+v", x)
	}
	meet(anna, bo)
	if err := anna.Unverify(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	isVerified(false)
	if err := errors.Join(anna.Unverify(t.Context(), bo.id), anna.Unverify(t.Context(), discovery.DeviceID{9})); err != nil {
		t.Error("taken back twice:", err)
	}
	anna.verify(bo.id, "qr")
	if _, err := anna.NewIdentity(t.Context()); err != nil {
		t.Fatal(err)
	}
	isVerified(true) // bo's key is the same
	if err := anna.ForgetPeer(t.Context(), bo.id); err != nil {
		t.Fatal(err)
	}
	isVerified(false)
	anna.verify(bo.id, "code")
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
