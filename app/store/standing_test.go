package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/transfer"
	"porchlight/transfer/swarm"
)

// TestStandingIsKept: over a restart, in full; it does not count for longer than it is worth anything.
func TestStandingIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "porchlight.db")
	d, err := Open(t.Context(), path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	if all, err := d.Standings().Standing(); err != nil || all != nil {
		t.Fatalf("of a new home: %v, %v", all, err)
	}
	s := swarm.NewStanding()
	bad, late, old := discovery.DeviceID{1}, discovery.DeviceID{2}, discovery.DeviceID{3}
	s.Served(old, 5, 7, now.Add(-91*24*time.Hour))
	for i := range 3 {
		s.Bad(bad, now.Add(time.Duration(i)*time.Second))
		s.TimedOut(late, now.Add(time.Duration(10*i)*time.Second))
	}
	s.Served(bad, 1<<20, 3e6, now.Add(30*time.Second))
	later := now.Add(31 * time.Second)
	if err := d.Standings().PutStanding(s.Records(later)); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(t.Context(), path, Config{}); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	all, err := d.Standings().Standing()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	again := swarm.NewStanding(all...)
	byID := func(all []transfer.Conduct) map[discovery.DeviceID]transfer.Conduct {
		m := map[discovery.DeviceID]transfer.Conduct{}
		for _, r := range all {
			m[r.Device] = r
		}
		return m
	}
	if diff := cmp.Diff(byID(s.Records(later)), byID(again.Records(later))); diff != "" {
		t.Error(diff)
	}
	if again.MayHelp(bad, later) || !again.MayHelp(bad, later.Add(24*time.Hour)) || again.Rest(late, later).IsZero() {
		t.Error("what follows from it is forgotten")
	}
	for _, at := range []time.Duration{91 * 24 * time.Hour, -48 * time.Hour} { // a clock that was wrong binds nobody
		for _, c := range all {
			if swarm.Current(c, later.Add(at)) {
				t.Errorf("%v later it still counts: %+v", at, c)
			}
		}
	}
}

// TestDamagedStandingIsForgotten: every byte that is not what it was, and every byte too few.
func TestDamagedStandingIsForgotten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "porchlight.db")
	d, err := Open(t.Context(), path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	now := time.Now()
	s := swarm.NewStanding()
	for i := range 3 {
		s.Bad(discovery.DeviceID{byte(i)}, now)
	}
	if err := d.Standings().PutStanding(s.Records(now)); err != nil {
		t.Fatal(err)
	}
	file := path + standingSuffix
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		spoilt := append([]byte(nil), whole...)
		spoilt[i] ^= 1
		for _, data := range [][]byte{spoilt, whole[:i]} {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if all, err := d.Standings().Standing(); len(all) != 0 || !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d of %d: %d records, %v", i, len(whole), len(all), err)
			}
		}
	}
	if err := d.Standings().PutStanding(s.Records(now)); err != nil {
		t.Fatal(err)
	}
	if all, err := d.Standings().Standing(); err != nil || len(all) != 3 {
		t.Errorf("after the damage: %d records, %v", len(all), err)
	}
}

// TestStandingIsBounded: of more devices than are remembered those heard of last stay, and the file is read again.
func TestStandingIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "porchlight.db")
	d, err := Open(t.Context(), path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	now := time.Now()
	all := make([]transfer.Conduct, transfer.MaxConduct+10)
	for i := range all {
		all[i] = transfer.Conduct{Device: discovery.DeviceID{byte(i), byte(i >> 8)}, Bytes: 1 << 62, Rate: 1e12, BadCount: 1 << 40, Seen: now, HelpTill: now, RestTill: now}
		for k := range all[i].Bad {
			all[i].Bad[k], all[i].Late[k] = now, now
		}
	}
	if err := d.Standings().PutStanding(all); err != nil {
		t.Fatal(err)
	}
	got, err := d.Standings().Standing()
	if err != nil || len(got) != transfer.MaxConduct {
		t.Errorf("%d records, %v", len(got), err)
	}
}
