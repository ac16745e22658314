package download

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// TestRecallBelievesOnlyWhatFits: of what was written down for going on without a source, anything that is not signed by it, about this file, for this device, or
// that does not hash up to the root, is as if it were not there.
func TestRecallBelievesOnlyWhatFits(t *testing.T) {
	dest, err := safefs.OpenDest(filepath.Join(t.TempDir(), "into"))
	if err != nil {
		t.Fatal(err)
	}
	defer dest.Close()
	part, err := dest.Part(safefs.PartID{1})
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	size := int64(17<<20 + 3)
	l, err := content.Build(t.Context(), bytes.NewReader(random("film", int(size))), size, 1)
	if err != nil {
		t.Fatal(err)
	}
	owner, me := keyOf(1), keyOf(9).id()
	type parcel struct {
		by     key
		m      wire.Manifest
		k      wire.Ticket
		it     item
		layer  []content.Hash
		change func(*remembered)
	}
	for _, tt := range []struct {
		name  string
		spoil func(*parcel)
		want  bool
	}{
		{"as written", func(*parcel) {}, true},
		{"signed by another", func(p *parcel) { p.by = keyOf(3) }, false},
		{"about another path", func(p *parcel) { p.m.Path = "other" }, false},
		{"about another share", func(p *parcel) { p.m.Share[0]++ }, false},
		{"about another size", func(p *parcel) { p.m.Size++ }, false},
		{"about another time", func(p *parcel) { p.m.MTime = p.m.MTime.Add(1) }, false},
		{"about another content", func(p *parcel) { p.m.Root[0]++; p.k.Root[0]++ }, false},
		{"a ticket for another", func(p *parcel) { p.k.Holder[0]++ }, false},
		{"a ticket that is over", func(p *parcel) { p.k.Until = time.Now().Add(-time.Minute) }, true},
		{"a ticket that nobody takes any more", func(p *parcel) { p.k.Until = time.Now().Add(-wire.TicketAway - time.Second) }, false},
		{"a ticket as old of a workgroup", func(p *parcel) {
			p.k.Until, p.k.Group = time.Now().Add(-wire.TicketAway-time.Second), [32]byte{1}
			p.m.Policy, p.m.Group = wire.PolicyMembers, p.k.Group
		}, true},
		{"a ticket of another workgroup", func(p *parcel) { p.k.Group[0]++ }, false},
		{"a source whose clock is days behind", func(p *parcel) {
			p.k.Until = time.Now().Add(-72 * time.Hour)
			p.change = func(r *remembered) { r.Ahead = int64(-72 * time.Hour) }
		}, true},
		{"a spoilt layer", func(p *parcel) { p.layer[3][0]++ }, false},
		{"a short layer", func(p *parcel) { p.layer = p.layer[1:] }, false},
		{"another version", func(p *parcel) { p.it.version[0]++ }, false},
		{"an item with bytes behind it", func(p *parcel) { p.change = func(r *remembered) { r.Item = append(r.Item, 0) } }, false},
		{"no item", func(p *parcel) { p.change = func(r *remembered) { r.Item = nil } }, false},
		{"a helper that is none", func(p *parcel) { p.change = func(r *remembered) { r.Helpers = [][]byte{{1}} } }, true},
	} {
		it := item{src: "film", name: "film", size: size, mtime: fakeTime, version: share.Version{5}}
		p := &parcel{by: owner, m: wire.Manifest{Path: "film", Size: size, MTime: fakeTime, Root: l.Root}, it: it,
			k: wire.Ticket{Root: l.Root, Holder: me, Until: time.Now().Add(time.Hour)}, layer: append([]content.Hash(nil), l.Pieces...), change: func(*remembered) {}}
		tt.spoil(p)
		var r remembered
		var merr, kerr error
		r.Manifest, merr = wire.SignManifest(p.m, p.by)
		r.Ticket, kerr = wire.SignTicket(p.k, p.by)
		if merr != nil || kerr != nil {
			t.Fatal(merr, kerr)
		}
		r.Item = p.it.encode(nil)
		p.change(&r)
		body, err := canon.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b := &partial{id: 7, src: it.src, size: size, version: it.version, swarm: body}
		var data []byte
		for _, h := range p.layer {
			data = append(data, h[:]...)
		}
		if err := part.Put(b.layerName(), data, fakeTime); err != nil {
			t.Fatal(err)
		}
		pull := &pull{log: slog.New(slog.DiscardHandler), part: part, self: me, job: transfer.Job{Request: transfer.Request{Source: owner.id()}}}
		m, back := pull.recallMemo(b)
		if (m != nil) != tt.want || (back != nil) != tt.want {
			t.Errorf("%s: believed %v", tt.name, m != nil)
		}
		if m != nil && (!m.layer.Equal(l) || back.name != "film" || len(m.helpers) != 0) {
			t.Errorf("%s: %+v", tt.name, back)
		}
	}
}
