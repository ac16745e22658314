package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

// specified fails unless PROTOCOL.md says line.
func specified(t *testing.T, line string) {
	t.Helper()
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(doc, []byte(line+"\n")) {
		t.Errorf("PROTOCOL.md does not say\n%s", line)
	}
}

func sixteen(b byte) []byte { return bytes.Repeat([]byte{b}, 16) }

func TestMessageVectors(t *testing.T) {
	for _, c := range []struct {
		name string
		msg  any
		back any
	}{
		{"Hello", &Hello{V: 1, Name: "Anna-PC", Workgroup: "WORKGROUP", Install: "00112233445566778899aabbccddeeff", Port: 47470, App: "0.1.0", DialBack: true}, &Hello{}},
		{"Event beat", &Event{N: 1, Kind: EventBeat}, &Event{}},
		{"Event dir", &Event{N: 300, Kind: EventDir, Share: sixteen(0xa1), Path: "Photos/2026"}, &Event{}},
		{"Watch", &Watch{Dirs: []WatchDir{{Share: sixteen(0xa1), Path: ""}}}, &Watch{}},
		{"PeerHint", &PeerHint{ID: bytes.Repeat([]byte{7}, 32), Addrs: []string{"192.168.1.7:47470", "[fd00::7]:47470"}, Age: 3}, &PeerHint{}},
		{"Hello with its clock", &Hello{V: 1, Name: "Bo", Workgroup: "HOME", Install: "00", Now: 1_700_000_000_000_000_001}, &Hello{}},
		{"PeerHint direct", &PeerHint{ID: bytes.Repeat([]byte{7}, 32), Addrs: []string{"192.168.1.7:47470"}, Direct: true}, &PeerHint{}},
		{"Checkup", &Checkup{Dial: DialTimeout, Heard: -1}, &Checkup{}},
		{"ShareItem", &ShareItem{ID: sixteen(0xa1), Kind: 1, Name: "Photos"}, &ShareItem{}},
		{"EntryItem file", &EntryItem{P: "über.jpg", K: 1, S: 1 << 32, T: 1_700_000_000_000_000_001, V: sixteen(0xb2)}, &EntryItem{}},
		{"EntryItem link", &EntryItem{P: "link", K: 3, R: "link"}, &EntryItem{}},
		{"PackItem", &PackItem{Path: "a/b.txt", Version: sixteen(0xb2)}, &PackItem{}},
		{"PackHead gone", &PackHead{I: 4, Size: -1}, &PackHead{}},
		{"Hello of nobody", &Hello{V: 1, Install: "00", Proofs: [][]byte{sixteen(1), sixteen(2)}}, &Hello{}},
		{"Hello to who was removed", &Hello{V: 1, Install: "00", Removed: []Notice{{bytes.Repeat([]byte{0xa1}, 32), []byte{1, 2, 3}}}}, &Hello{}},
		{"EntryIDs", &EntryIDs{IDs: sixteen(0xb2)}, &EntryIDs{}},
		{"LedgerEntry", &LedgerEntry{Entry: []byte{1, 2, 3}}, &LedgerEntry{}},
		{"PairMessage", &PairMessage{Msg: []byte{1, 2, 3}}, &PairMessage{}},
		{"Match", &Match{Same: true}, &Match{}},
		{"MeetItem beat", &MeetItem{Kind: MeetBeat}, &MeetItem{}},
		{"MeetItem no", &MeetItem{Kind: MeetNo, Why: KindDeclined}, &MeetItem{}},
		{"MeetItem welcome", &MeetItem{Kind: MeetWelcome, Workgroup: bytes.Repeat([]byte{0xa1}, 32), Keys: []byte{0xa0}, Count: 2}, &MeetItem{}},
		{"MeetItem entry", &MeetItem{Kind: MeetEntry, Entry: []byte{1, 2, 3}}, &MeetItem{}},
		{"error gone", &ErrorBody{Kind: KindGone}, &ErrorBody{}},
	} {
		b, err := canon.Marshal(c.msg)
		if err != nil {
			t.Fatal(err)
		}
		specified(t, fmt.Sprintf("| %s | %x |", c.name, b))
		if err := canon.UnmarshalOpen(b, c.back); err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if d := cmp.Diff(c.msg, c.back); d != "" {
			t.Errorf("%s came back changed: %s", c.name, d)
		}
	}
	var seq bytes.Buffer
	w := canon.NewWriter(&seq)
	for range 2 {
		if err := w.Write(Event{N: 1, Kind: EventBeat}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	specified(t, fmt.Sprintf("| sequence of two Event beat | %x |", seq.Bytes()))
}

func TestContentVectors(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 3<<20 + 5} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i % 251)
		}
		l, err := content.Build(t.Context(), bytes.NewReader(data), int64(size), 1)
		if err != nil {
			t.Fatal(err)
		}
		last := "–"
		if n := len(l.Pieces); n > 0 {
			last = hex.EncodeToString(l.Pieces[n-1][:])
		}
		specified(t, fmt.Sprintf("| %d | %s | %d | %s |", size, l.Root, len(l.Pieces), last))
	}
}

func TestDeviceIDVectors(t *testing.T) {
	specified(t, "| 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f | NQC4YIA-6B7NW5T-N45QTB7-G6AJHNC-XAIPSPI-HCFSO4S-IYJV3PR-YOVVOAG |")
}

func TestErrorsTravel(t *testing.T) {
	alone := map[int]error{} // what a status without a body means: the first of its kinds
	for _, r := range rules() {
		if alone[r.status] == nil {
			alone[r.status] = r.err
		}
		b, err := canon.Marshal(ErrorBody{Kind: r.kind})
		if err != nil {
			t.Fatal(err)
		}
		if got := ErrorOf(r.status, b); !errors.Is(got, r.err) {
			t.Errorf("%s became %v", r.kind, got)
		}
		if kind, _ := KindOf(fmt.Errorf("said: %w", r.err)); kind != r.kind && r.kind != KindBad {
			t.Errorf("%v is said as %s", r.err, kind)
		}
		if got := ErrorOf(r.status, nil); !errors.Is(got, alone[r.status]) {
			t.Errorf("status %d alone became %v", r.status, got)
		}
		specified(t, specLine(t, r))
	}
	if !errors.Is(ErrorOf(299, []byte("<html>")), transfer.ErrProtocol) {
		t.Error("an unknown answer is taken for something")
	}
	if k, _ := KindOf(fmt.Errorf("open /home/anna/secret: %w", os.ErrPermission)); k != KindBroken {
		t.Errorf("an unknown error is %q", k)
	}
}

// specLine finds the whole line of the table that begins with kind and status.
func specLine(t *testing.T, r rule) string {
	return specLineOf(t, fmt.Sprintf("| `%s` | %d |", r.kind, r.status))
}

// specLineOf finds the whole line that begins so.
func specLineOf(t *testing.T, begin string) string {
	t.Helper()
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(doc)) {
		if strings.HasPrefix(line, begin) {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return begin
}

func TestHelloCheck(t *testing.T) {
	good := Hello{V: 1, Name: "a", Workgroup: "b"}
	for _, h := range []Hello{good, {V: 1}, {V: 1, Name: "a"}} { // who is in no open workgroup need not say a name
		if err := h.Check(); err != nil {
			t.Fatal(err)
		}
	}
	for name, spoil := range map[string]func(*Hello){
		"version":              func(h *Hello) { h.V = 2 },
		"long name":            func(h *Hello) { h.Name = strings.Repeat("n", discovery.MaxName+1) },
		"bidi name":            func(h *Hello) { h.Name = "a\u202eb" },
		"long group":           func(h *Hello) { h.Workgroup = strings.Repeat("g", discovery.MaxName+1) },
		"many caps":            func(h *Hello) { h.Caps = make([]string, MaxCaps+1) },
		"long cap":             func(h *Hello) { h.Caps = []string{strings.Repeat("c", 33)} },
		"short proof":          func(h *Hello) { h.Proofs = [][]byte{{1}} },
		"install":              func(h *Hello) { h.Install = strings.Repeat("0", 65) },
		"many proofs":          func(h *Hello) { h.Proofs = make([][]byte, MaxProofs+1) },
		"removed from nothing": func(h *Hello) { h.Removed = []Notice{{Workgroup: []byte{1}, Entry: []byte{1}}} },
		"removed by nothing":   func(h *Hello) { h.Removed = []Notice{{Workgroup: make([]byte, 32)}} },
		"a long removal":       func(h *Hello) { h.Removed = []Notice{{make([]byte, 32), make([]byte, ledger.MaxEntry+1)}} },
		"many removals":        func(h *Hello) { h.Removed = make([]Notice, workgroup.MaxWorkgroups+1) },
	} {
		h := good
		spoil(&h)
		if h.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEntryItemIsChecked(t *testing.T) {
	for name, i := range map[string]EntryItem{
		"no kind":        {P: "a"},
		"unknown kind":   {P: "a", K: 4},
		"dots":           {P: "../a", K: 1, V: sixteen(1)},
		"absolute":       {P: "/etc/passwd", K: 1, V: sixteen(1)},
		"negative size":  {P: "a", K: 1, S: -1, V: sixteen(1)},
		"no version":     {P: "a", K: 1},
		"private":        {P: ".porchlight-part/x", K: 1, V: sixteen(1)},
		"nameless other": {K: 3},
	} {
		if e, err := i.Entry("dir"); err == nil {
			t.Errorf("%s: accepted as %+v", name, e)
		}
	}
	e, err := EntryItem{P: "a/b", K: 1, S: 5, V: sixteen(1)}.Entry("dir")
	if err != nil || e.Path != "dir/a/b" {
		t.Errorf("%v, %v", e.Path, err)
	}
	round := func(name string, size int64, dir bool) bool {
		in := share.Entry{Path: share.Path(name), Kind: share.File, Size: max(size, 0)}
		if dir {
			in.Kind = share.Dir
		}
		if _, err := share.ParsePath(name); err != nil || name == "" {
			return true
		}
		out, err := ItemOf(in, name).Entry("")
		return err == nil && out.Path == in.Path && out.Size == in.Size && out.Kind == in.Kind
	}
	if err := quick.Check(round, nil); err != nil {
		t.Error(err)
	}
}
