//go:build linux && lab

package labtest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"porchlight/app/config"
	"porchlight/app/store"
	"porchlight/discovery/identity"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/mdns"
	"porchlight/discovery/workgroup"
)

const (
	privateStarts = 6
	maxTapped     = 256 * mib // of frames kept
)

// tap keeps every frame that passes the switches of a LAN, whoever it is for.
type tap struct {
	fd   int
	done chan struct{}

	mu     sync.Mutex // guards the fields below
	frames [][]byte
	bytes  int
}

// tapInto listens until the test ends.
func tapInto(t testing.TB, l *LAN) *tap {
	t.Helper()
	all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8 // in the order of the network
	p := &tap{done: make(chan struct{})}
	sw := &Host{t: t, lan: l, Name: "switch", ns: l.sw}
	if err := sw.Inside(func() (err error) {
		if p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16*mib) //nolint:errcheck // with less, frames of a burst are lost
		return unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	go func() {
		defer close(p.done)
		buf := make([]byte, 128*kib)
		for {
			select {
			case <-end:
				return
			default:
			}
			if n, _, err := unix.Recvfrom(p.fd, buf, 0); err == nil {
				p.keep(bytes.Clone(buf[:n]))
			}
		}
	}()
	t.Cleanup(func() { close(end); <-p.done; unix.Close(p.fd) })
	return p
}

func (p *tap) keep(frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes += len(frame); p.bytes <= maxTapped {
		p.frames = append(p.frames, frame)
	}
}

func (p *tap) all() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.frames)
}

// says reports whether something is in a frame, in capital or small letters.
func (p *tap) says(what []byte) bool {
	what = bytes.ToLower(what)
	return slices.ContainsFunc(p.all(), func(f []byte) bool { return bytes.Contains(bytes.ToLower(f), what) })
}

// said is one announcement of a device, as read from the wire.
type said struct {
	from, label, tags string
	txt               []string
}

// announcements reads the records of this service out of the frames.
func (p *tap) announcements() (out []said) {
	for _, f := range p.all() {
		from, payload, ok := udp(f)
		var m dns.Msg
		if !ok || m.Unpack(payload) != nil || !m.Response {
			continue
		}
		for _, rr := range append(m.Answer, m.Extra...) {
			txt, is := rr.(*dns.TXT)
			label, ours := strings.CutSuffix(rr.Header().Name, "."+ourService)
			if !is || !ours {
				continue
			}
			s := said{from: from, label: label, txt: txt.Txt}
			for _, line := range txt.Txt {
				if tags, ok := strings.CutPrefix(line, "t="); ok {
					s.tags = tags
				}
			}
			out = append(out, s)
		}
	}
	return out
}

// udp returns the sender's hardware address and the payload of a frame of multicast DNS.
func udp(f []byte) (from string, payload []byte, ok bool) {
	if len(f) < 14 {
		return "", nil, false
	}
	from = net.HardwareAddr(f[6:12]).String()
	head := 0
	switch kind := int(f[12])<<8 | int(f[13]); {
	case kind == unix.ETH_P_IP && len(f) > 34 && f[23] == unix.IPPROTO_UDP:
		head = 14 + int(f[14]&15)*4
	case kind == unix.ETH_P_IPV6 && len(f) > 62 && f[20] == unix.IPPROTO_UDP:
		head = 14 + 40
	default:
		return "", nil, false
	}
	if len(f) < head+8 {
		return "", nil, false
	}
	port := func(at int) int { return int(f[at])<<8 | int(f[at+1]) }
	return from, f[head+8:], port(head) == 5353 || port(head+2) == 5353
}

// secrets is what nobody may read who is not a member.
type secrets map[string][]byte

// makeMembers makes the homes of devices that are in one private workgroup and in no open one, before they first run.
func makeMembers(t testing.TB, name string, devices []*Device) secrets {
	t.Helper()
	s := secrets{"the name of the workgroup": []byte(name), "a word of it": []byte(strings.Fields(name)[0]), "a person": []byte("Somebody Special"), "a name in the ledger": []byte("called ")}
	var founder *workgroup.Book
	var first *identity.Identity
	var id workgroup.ID
	for i, d := range devices {
		book, ident, end := d.makeMember(t)
		defer end()
		key := ledger.KeyOf(ident.Public())
		if i == 0 {
			w, err := book.Create(workgroup.Founding{Name: name, Device: "called " + d.Name, PersonName: "Somebody Special"})
			if err != nil {
				t.Fatal(err)
			}
			founder, first, id = book, ident, w.ID
		} else {
			welcome, _, err := founder.Admit(id, workgroup.Admission{Key: key, Name: "called " + d.Name, Role: ledger.Member, Via: ledger.ViaCode})
			if err == nil {
				_, err = book.Join(first.ID(), welcome)
			}
			if err != nil {
				t.Fatal(err)
			}
			keys, err := keyring.Decode(welcome.Keys)
			if err != nil || len(keys) != 1 {
				t.Fatal(len(keys), err)
			}
			s["the discovery key"] = keys[0].Secret[:8]
		}
		d.id = ident.ID().String()
		raw, short := ident.ID(), ident.ID().Short()
		s["the name of "+d.Name], s["the ID of "+d.Name] = []byte(d.Name), raw[:8]
		s["the ID of "+d.Name+" as it is shown"], s["what is announced of the ID of "+d.Name] = []byte(short), []byte(mdns.IDPrefix(raw)[:8])
		s["the ID of "+d.Name+" in hexadecimal"], s["the key of "+d.Name] = []byte(raw.Hex()[:14]), ident.Public()[:8]
	}
	s["the ID of the workgroup"], s["that in hexadecimal"] = id[:8], fmt.Appendf(nil, "%x", id[:7])
	return s
}

// makeMember makes a home that is in no open workgroup, with its book of private ones. end closes it.
func (d *Device) makeMember(t testing.TB) (book *workgroup.Book, ident *identity.Identity, end func()) {
	t.Helper()
	if err := os.MkdirAll(d.home, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Update(t.Context(), d.home, func(s *config.Settings) error { s.Private = true; return nil }); err != nil {
		t.Fatal(err)
	}
	ident, err := identity.Load(d.home, true)
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), config.DatabasePath(d.home), store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return workgroup.New(workgroup.Config{Self: ident, Store: db.Workgroups()}), ident, func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNobodyReadsOfAPrivateWorkgroup: two members of a private workgroup, in no open one, meet within a second, rename themselves, and
// go to the network and come back, next to a computer in the open workgroup that has never heard of them. Whoever reads all that
// passes the switch learns nothing of them.
func TestNobodyReadsOfAPrivateWorkgroup(t *testing.T) {
	lan := NewLAN(t, DualStack, "annalena", "bartholo", "evelynne")
	var devices []*Device
	for _, h := range lan.Hosts {
		devices = append(devices, NewDevice(t, h))
	}
	members, eve := devices[:2], devices[2]
	wire := tapInto(t, lan)
	hidden := makeMembers(t, "Conspiracy of the Lamps", members)
	eve.MustServe(t)
	eve.learn(t)
	var took []time.Duration
	for i := range privateStarts {
		took = append(took, serveAll(t, members))
		if i < privateStarts-1 {
			for _, d := range members {
				d.Quit(t)
			}
		}
	}
	figure(t, "ready to each other online: median %v, worst %v of %d starts", ms(median(took)), ms(slices.Max(took)), len(took))
	atMost(t, "median from ready to each other online", median(took), seenBar)

	for i, d := range members {
		other := members[1-i]
		name := fmt.Sprint("Wilhelmina ", i)
		hidden["the new name of "+d.Name] = []byte("Wilhelmina")
		if err := d.engine(t).SetName(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		var peers []struct{ ID, Name, State string }
		if err := other.ask(&peers, "peers"); err != nil || len(peers) != 1 || peers[0].ID != d.id || peers[0].Name != "called "+d.Name {
			t.Errorf("%s knows %+v, %v", other.Name, peers, err)
		}
	}
	members[1].Unplug()
	untilAll(t, members[:1], cableBar+10*time.Second, "the other is gone", func(d *Device) (bool, error) { return d.Gone(members[1]) })
	members[1].Plug()
	back := untilAll(t, members[:1], returnBar+30*time.Second, "the other is back", func(d *Device) (bool, error) { return d.Online(members[1]) })
	figure(t, "back after %v", ms(back))
	atMost(t, "back on the network", back, returnBar)
	eventually(t, 10*time.Second, "the one in the open workgroup is announced", func() bool { return wire.says([]byte("evelynne")) })

	frames := wire.all()
	if wire.bytes > maxTapped {
		t.Errorf("only %d of %d bytes were kept", maxTapped, wire.bytes)
	}
	for what, secret := range hidden {
		if len(secret) < 7 {
			t.Errorf("%s is too short to look for: %q", what, secret)
		}
		if wire.says(secret) {
			t.Errorf("everybody reads %s", what)
		}
	}
	figure(t, "%d frames, %d KiB, %d secrets not in them", len(frames), wire.bytes/kib, len(hidden))
	checkLabels(t, wire.announcements(), members)

	var peers []struct{ ID string }
	if err := eve.ask(&peers, "peers"); err != nil || len(peers) != 0 {
		t.Errorf("a stranger knows %+v, %v", peers, err)
	}
}

// checkLabels looks at what the members announced: labels and tags and nothing else, other labels after each start and each change of
// the network, the same tags as long as the label is, and none of them under two.
func checkLabels(t *testing.T, all []said, members []*Device) {
	t.Helper()
	tagsOf, labels, sizes := map[string]string{}, map[string][]string{}, map[int]bool{}
	for _, s := range all {
		if s.tags == "" {
			continue // the one in the open workgroup
		}
		size := 0
		for _, line := range s.txt {
			if !strings.HasPrefix(line, "a=") { // addresses come and go with the cable
				size += len(line)
			}
			if key, _, _ := strings.Cut(line, "="); !slices.Contains([]string{"v", "f", "t", "a"}, key) {
				t.Errorf("announced: %q", line)
			}
		}
		sizes[size] = true
		if before, ok := tagsOf[s.label]; ok && before != s.tags {
			t.Errorf("%s has other tags than before", s.label)
		}
		had := labels[s.from]
		if tagsOf[s.label] = s.tags; !slices.Contains(had, s.label) {
			labels[s.from] = append(had, s.label)
		} else if had[len(had)-1] != s.label {
			t.Errorf("%s says a label again that it had before", s.from)
		}
	}
	if len(sizes) != 1 {
		t.Errorf("announcements of %d sizes", len(sizes))
	}
	if len(labels) != len(members) {
		t.Fatalf("%d computers announce a private workgroup: %v", len(labels), labels)
	}
	most := 0
	for from, l := range labels {
		if most = max(most, len(l)); len(l) < privateStarts {
			t.Errorf("%s had the labels %v in %d starts", from, l, privateStarts)
		}
	}
	if most <= privateStarts {
		t.Error("a change of the network brought no new label")
	}
	seen := map[string]string{}
	for label, tags := range tagsOf {
		b, err := base64.RawURLEncoding.DecodeString(tags)
		if err != nil || len(b) != 32 {
			t.Fatal(errors.Join(err, fmt.Errorf("tags %q", tags)))
		}
		for ; len(b) > 0; b = b[8:] {
			if other, ok := seen[string(b[:8])]; ok {
				t.Errorf("%s and %s have a tag in common", label, other)
			}
			seen[string(b[:8])] = label
		}
	}
	figure(t, "%d labels, %d tags, no two alike", len(tagsOf), len(seen))
}
