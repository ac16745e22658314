package engine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"porchlight/app/doctor"
	"porchlight/discovery"
)

// codes asks the doctor and returns what is not good.
func (w *world) codes() (out []doctor.Code) {
	w.t.Helper()
	found, err := w.Diagnose(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range found {
		if f.Level != doctor.Good {
			out = append(out, f.Code)
		}
	}
	return out
}

func TestDiagnose(t *testing.T) {
	a, b := start(t, "anna", ""), start(t, "bert", "")
	meet(a, b)
	found, err := a.Diagnose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(found, func(f doctor.Finding) bool {
		return f.Code == doctor.ReachGood && strings.Contains(f.Params["Name"], "bert")
	}) {
		t.Errorf("the neighbour did not say that it reaches us: %+v", found)
	}
	if doctor.Bad(found) {
		t.Errorf("all is well, and the doctor says %+v", found)
	}
	b.stop()
	a.until("it is missed", func() bool { return slices.Contains(a.codes(), doctor.NotRunning) })
	if err := a.SetNetwork(t.Context(), discovery.Public); err != nil {
		t.Fatal(err)
	}
	a.until("the network is public", func() bool { return slices.Contains(a.codes(), doctor.NetworkPublic) })
}

func TestACopyOfAHomeIsNoticedAtBothEnds(t *testing.T) {
	a := start(t, "anna", "")
	a.stop()
	copied := t.TempDir()
	if err := os.CopyFS(filepath.Join(copied, "home"), os.DirFS(a.home)); err != nil {
		t.Fatal(err)
	}
	a, b := start(t, "anna", a.home), start(t, "copy", filepath.Join(copied, "home"))
	if a.id != b.id {
		t.Fatal("no copy")
	}
	for _, w := range []*world{a, b} {
		w.until("the copy is noticed", func() bool { return slices.Contains(w.codes(), doctor.TwinSelf) })
		s, err := w.Self(t.Context())
		if err != nil || !slices.ContainsFunc(s.Health, func(h discovery.Health) bool { return h.Service == "twin" }) {
			t.Errorf("%+v, %v", s.Health, err)
		}
	}
}
