package mdns

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"porchlight/discovery"
)

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func size(txt []string) int {
	n := 0
	for _, s := range txt {
		n += 1 + len(s)
	}
	return n
}

// tags are those of a device in one to four private workgroups, and in more.
var (
	fourTags  = strings.Repeat("_-aA", 10) + "_-8"
	eightTags = strings.Repeat("_-aA", 21) + "_w"
)

func TestTXT(t *testing.T) {
	for _, tt := range []struct {
		name   string
		record Record
		want   []string
	}{
		{"nothing", Record{}, []string{"v=1"}},
		{"all", Record{Name: "Anna PC", Workgroup: "WORKGROUP", IDPrefix: "NQC4YIA6B7NW5T", Flags: AcceptsManual | OnBattery, Addresses: addrs("192.168.1.2", "fd00::1")},
			[]string{"v=1", "f=3", "d=NQC4YIA6B7NW5T", "w=WORKGROUP", "n=Anna%20PC", "a=192.168.1.2,fd00::1"}},
		{"in a private workgroup only", Record{Tags: fourTags, Flags: AcceptsManual, Addresses: addrs("192.168.1.2")}, []string{"v=1", "f=1", "t=" + fourTags, "a=192.168.1.2"}},
		{"in both, and inviting", Record{Name: "Anna", Workgroup: "WORKGROUP", IDPrefix: "NQC4YIA6B7NW5T", Tags: eightTags, Slot: "07"},
			[]string{"v=1", "d=NQC4YIA6B7NW5T", "t=" + eightTags, "j=07", "w=WORKGROUP", "n=Anna"}},
		{"letters of all kinds", Record{Name: `Bü"\%=`, Workgroup: "写"}, []string{"v=1", "w=%E5%86%99", "n=B%C3%BC%22%5C%25="}},
		{"no address without its zone", Record{Addresses: addrs("fe80::1", "10.0.0.1", "224.0.0.1", "0.0.0.0", "169.254.1.1")}, []string{"v=1", "a=10.0.0.1,169.254.1.1"}},
		{"six addresses", Record{Addresses: addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7")},
			[]string{"v=1", "a=10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.record.TXT()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTXTIsNeverTooLong(t *testing.T) {
	wide := strings.Repeat("写", 21)                                  // 63 bytes, 189 escaped
	blank := strings.Repeat("é", 29) + " x" + strings.Repeat("é", 2) // would end in its blank where the room ends
	for _, name := range []string{wide, blank, strings.Repeat("a ", 31) + "a"} {
		r := Record{Name: name, Workgroup: wide, IDPrefix: "NQC4YIA6B7NW5T", Flags: 3, Tags: eightTags, Slot: "99"}
		for range maxAddresses {
			r.Addresses = append(r.Addresses, netip.MustParseAddr("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"))
		}
		txt := r.TXT()
		if n := size(txt); n > maxTXT {
			t.Errorf("%d bytes", n)
		}
		back, err := ParseTXT(txt)
		if err != nil || !strings.HasPrefix(name, back.Name) || back.Name == "" || back.Workgroup != wide || back.Tags != eightTags || back.Slot != "99" {
			t.Errorf("came back as %+v, %v", back, err)
		}
	}
}

func TestParseTXTRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		txt  []string
	}{
		{"nothing", nil},
		{"an empty string", []string{""}},
		{"no version", []string{"n=x"}},
		{"no number for a version", []string{"v=two"}},
		{"a version before the first", []string{"v=0"}},
		{"a version said twice", []string{"v=1", "V=1"}},
		{"too much", []string{"v=1", "x=" + strings.Repeat("a", 395)}},
		{"too many", append(make([]string, maxStrings), "v=1")},
		{"bytes that are no text", []string{"v=1", "n=\x80"}},
		{"a backslash", []string{"v=1", `n=\195`}},
		{"a cut escape", []string{"v=1", "n=%4"}},
		{"no escape", []string{"v=1", "n=%zz"}},
		{"a sign in an escape", []string{"v=1", "n=%+4"}},
		{"an empty name", []string{"v=1", "n="}},
		{"a name that reorders text", []string{"v=1", "n=a%E2%80%AE"}},
		{"a name with a line break", []string{"v=1", "w=a%0Ab"}},
		{"a name that is no UTF-8", []string{"v=1", "n=%FF"}},
		{"a name too long", []string{"v=1", "n=" + strings.Repeat("a", 65)}},
		{"flags", []string{"v=1", "f=100"}},
		{"no tags", []string{"v=1", "t="}},
		{"three tags", []string{"v=1", "t=" + strings.Repeat("a", 32)}},
		{"nine tags", []string{"v=1", "t=" + strings.Repeat("a", 96)}},
		{"tags with padding", []string{"v=1", "t=" + fourTags + "="}},
		{"tags written in another way", []string{"v=1", "t=" + fourTags[:42] + "9"}},
		{"a slot of three", []string{"v=1", "j=270"}},
		{"a slot that is no number", []string{"v=1", "j=2x"}},
		{"a device in lower case", []string{"v=1", "d=nqc4yia6b7nw5t"}},
		{"addresses", []string{"v=1", "a=10.0.0.1,here"}},
		{"an address with a zone", []string{"v=1", "a=fe80::1%eth0"}},
		{"seven addresses", []string{"v=1", "a=1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1"}},
	} {
		if r, err := ParseTXT(tt.txt); err == nil {
			t.Errorf("%s: taken as %+v", tt.name, r)
		}
	}
	if r, err := ParseTXT([]string{"V=1", "J=27", "later", "N=x"}); err != nil || r.Name != "x" || r.Slot != "27" {
		t.Errorf("unknown keys: %+v, %v", r, err)
	}
}

// TestParseTXTOfALaterVersion: who it is, is told as far as it is said as today; nothing odd gets through.
func TestParseTXTOfALaterVersion(t *testing.T) {
	for _, tt := range []struct {
		name string
		txt  []string
		want Record
	}{
		{"the version alone", []string{"v=2"}, Record{}},
		{"all as today", []string{"v=2", "n=bo", "w=HOME", "d=NQC4YIA6B7NW5T", "a=10.0.0.1"},
			Record{Name: "bo", Workgroup: "HOME", IDPrefix: "NQC4YIA6B7NW5T", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}},
		{"the rest otherwise", []string{"n=a%E2%80%AE", "f=many", "d=somebody", "a=here", "w=HOME", "v=65535"}, Record{Workgroup: "HOME"}},
	} {
		got, err := ParseTXT(tt.txt)
		tt.want.Newer = true
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	if r, err := ParseTXT([]string{"v=2", "n=\x80"}); err == nil {
		t.Errorf("bytes that are no text were taken: %+v", r)
	}
}

func TestCheck(t *testing.T) {
	label := NewLabel()
	for _, tt := range []struct {
		name   string
		record Record
		ok     bool
	}{
		{"a label is enough", Record{Instance: label}, true},
		{"no label", Record{}, false},
		{"label in upper case", Record{Instance: strings.ToUpper(label)}, false},
		{"label with a dot", Record{Instance: label[:15] + "."}, false},
		{"port", Record{Instance: label, Port: 65536}, false},
		{"privileged port", Record{Instance: label, Port: 1023}, false},
		{"name", Record{Instance: label, Name: "a\nb"}, false},
		{"device", Record{Instance: label, IDPrefix: "x"}, false},
		{"tags", Record{Instance: label, Tags: fourTags, Slot: "00"}, true},
		{"tags cut short", Record{Instance: label, Tags: fourTags[1:]}, false},
		{"slot", Record{Instance: label, Slot: "7"}, false},
	} {
		if err := tt.record.Check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNewLabel(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		l := NewLabel()
		if !isLabel(l) || seen[l] {
			t.Fatalf("label %q", l)
		}
		seen[l] = true
	}
}

func TestIDPrefix(t *testing.T) {
	id, err := discovery.ParseDeviceID("NQC4YIA-6B7NW5T-N45QTB7-G6AJHNC-XAIPSPI-HCFSO4S-IYJV3PR-YOVVOAG")
	if err != nil {
		t.Fatal(err)
	}
	if got := IDPrefix(id); got != "NQC4YIA6B7NW5T" {
		t.Error(got)
	}
}

func FuzzParseTXT(f *testing.F) {
	f.Add("v=1")
	f.Add("v=1\nn=Anna%20PC\nw=WORKGROUP\nd=NQC4YIA6B7NW5T\nf=3\na=192.168.1.2,fd00::1")
	f.Add("v=1\nn=%E2%80%AE\na=::ffff:1.2.3.4,::")
	f.Add("v=1\nf=1\nt=" + fourTags + "\nj=07\na=10.0.0.1")
	f.Add("v=1\nt=" + eightTags + "\nj=7")
	f.Add("v=1\nv=1\n=\n\\195")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseTXT(strings.Split(text, "\n"))
		if err != nil {
			return
		}
		for _, name := range []string{r.Name, r.Workgroup} {
			if name != "" && discovery.CheckName(name) != nil {
				t.Errorf("name %q", name)
			}
		}
		back, err := ParseTXT(r.TXT())
		r.Newer = false // what is written is of this version
		if diff := cmp.Diff(r, back, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}
