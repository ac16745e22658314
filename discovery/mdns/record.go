package mdns

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"porchlight/discovery"
)

// Flags are what a device says of itself in one number.
type Flags uint8

// The flags.
const (
	AcceptsManual Flags = 1 << iota // it may be added by address
	OnBattery                       // it would rather not be asked often
)

const (
	maxTXT       = 400 // bytes, with the length byte of each string
	maxStrings   = 32
	maxAddresses = 6
	tagLen       = 8 // bytes of one tag
	labelLen     = 16
	prefixLen    = 14
	maxBefore    = 8 // labels that are remembered as those of this device
	letters      = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// ErrTXT says that a TXT record is none of ours, or broken.
var ErrTXT = errors.New("not a record of this service")

// Record is what one device announces. Empty fields are not announced.
type Record struct {
	Instance  string // 16 letters, see NewLabel; not part of the TXT
	Tags      string // of private workgroups, made for this Instance: 4 or 8 of them, see package keyring
	Slot      string // two digits of an open invitation's code; all of it that may be known
	Port      int    // TCP, from 1024; not part of the TXT. 0: nothing listens, so nothing is announced
	Name      string // of the device
	Workgroup string // the open one
	IDPrefix  string // see IDPrefix
	Flags     Flags
	Newer     bool         // it is of a later version than this; only what can be read of it is here
	Addresses []netip.Addr // without link-local IPv6, which means nothing without a zone. Filled in per interface, whatever is given.
}

// NewLabel returns a random instance label. It says nothing of the device that uses it.
func NewLabel() string {
	var b [10]byte
	rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// IDPrefix returns the first 14 letters of the shown ID, without dashes: enough to find a known device again,
// too little to be believed.
func IDPrefix(id discovery.DeviceID) string {
	return strings.ReplaceAll(id.String(), "-", "")[:prefixLen]
}

// Check reports whether r may be announced.
func (r Record) Check() error {
	switch {
	case !isLabel(r.Instance):
		return fmt.Errorf("instance %q: %w", r.Instance, ErrTXT)
	case r.Port != 0 && !isPort(r.Port):
		return fmt.Errorf("port %d: %w", r.Port, ErrTXT)
	case r.IDPrefix != "" && !isPrefix(r.IDPrefix):
		return fmt.Errorf("id prefix %q: %w", r.IDPrefix, ErrTXT)
	case r.Tags != "" && !isTags(r.Tags), r.Slot != "" && !isSlot(r.Slot):
		return fmt.Errorf("tags %q, slot %q: %w", r.Tags, r.Slot, ErrTXT)
	}
	for _, name := range []string{r.Name, r.Workgroup} {
		if name != "" && discovery.CheckName(name) != nil {
			return fmt.Errorf("name %q: %w", name, discovery.ErrName)
		}
	}
	return nil
}

// TXT returns the strings of the TXT record: at most 400 bytes. Where that is too little the name is cut
// and addresses are left out; the first is told again inside TLS, the others stand in A and AAAA.
func (r Record) TXT() []string {
	out := []string{"v=1"}
	left := maxTXT - len("v=1") - 1
	add := func(key, value string) {
		if value != "" && left >= len(key)+len(value)+2 {
			out = append(out, key+"="+value)
			left -= len(key) + len(value) + 2
		}
	}
	if r.Flags != 0 {
		add("f", strconv.FormatUint(uint64(r.Flags), 16))
	}
	add("d", r.IDPrefix)
	add("t", r.Tags)
	add("j", r.Slot)
	add("w", escape(r.Workgroup, left-3))
	add("n", escape(r.Name, left-3))
	add("a", list(r.Addresses, min(left-3, 250)))
	return out
}

// list writes at most six addresses, in at most limit bytes.
func list(addrs []netip.Addr, limit int) string {
	var b strings.Builder
	n := 0
	for _, a := range addrs {
		s := a.String()
		if !mayAnnounce(a) || n == maxAddresses || b.Len()+1+len(s) > limit {
			continue
		}
		if n++; b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s)
	}
	return b.String()
}

// ParseTXT reads what a neighbour announced. It takes nothing but well-formed records of version 1; unknown keys are ignored.
// Of a later version it takes what is as in version 1, so that somebody can be told who runs it.
func ParseTXT(txt []string) (Record, error) {
	total := 0
	for _, s := range txt {
		total += len(s) + 1
	}
	if total > maxTXT || len(txt) > maxStrings {
		return Record{}, fmt.Errorf("%w: %d bytes in %d strings", ErrTXT, total, len(txt))
	}
	var r Record
	var odd error
	seen := map[string]bool{}
	for _, s := range txt {
		key, value, _ := strings.Cut(s, "=")
		key = strings.ToLower(key)
		if seen[key] || !isPlain(s) {
			return Record{}, fmt.Errorf("%w: key said twice, or odd bytes", ErrTXT)
		}
		seen[key] = true
		if err := r.take(key, value); err != nil {
			odd = err
		}
	}
	if odd != nil && !r.Newer {
		return Record{}, odd
	}
	if !seen["v"] {
		return Record{}, fmt.Errorf("%w: no version", ErrTXT)
	}
	return r, nil
}

func (r *Record) take(key, value string) (err error) {
	switch key {
	case "v":
		n, bad := strconv.ParseUint(value, 10, 16)
		if bad != nil || n == 0 {
			err = fmt.Errorf("%w: no version", ErrTXT)
		}
		r.Newer = n > 1
	case "f":
		var n uint64
		if n, err = strconv.ParseUint(value, 16, 8); err != nil {
			return fmt.Errorf("%w: flags", ErrTXT)
		}
		r.Flags = Flags(n)
	case "d":
		if !isPrefix(value) {
			return fmt.Errorf("%w: device", ErrTXT)
		}
		r.IDPrefix = value
	case "t":
		if !isTags(value) {
			return fmt.Errorf("%w: tags", ErrTXT)
		}
		r.Tags = value
	case "j":
		if !isSlot(value) {
			return fmt.Errorf("%w: invitation", ErrTXT)
		}
		r.Slot = value
	case "n":
		r.Name, err = unescape(value)
	case "w":
		r.Workgroup, err = unescape(value)
	case "a":
		r.Addresses, err = parseAddresses(value)
	}
	return err
}

func parseAddresses(list string) ([]netip.Addr, error) {
	parts := strings.Split(list, ",")
	if len(parts) > maxAddresses {
		return nil, fmt.Errorf("%w: %d addresses", ErrTXT, len(parts))
	}
	var out []netip.Addr
	for _, s := range parts {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return nil, fmt.Errorf("%w: address", ErrTXT)
		}
		if a = a.Unmap(); mayAnnounce(a) {
			out = append(out, a)
		}
	}
	return out, nil
}

func mayAnnounce(a netip.Addr) bool {
	return a.IsValid() && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast() &&
		!(a.Is6() && a.IsLinkLocalUnicast())
}

// escape writes everything but plain ASCII as %XX, in at most limit bytes. What is too long loses letters at its end,
// whole ones, and no blank remains there: a name must not end in one.
func escape(s string, limit int) string {
	for s != "" {
		var b strings.Builder
		for _, c := range []byte(s) {
			if c == '%' || !isPlain(string(rune(c))) {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		if b.Len() <= limit {
			return b.String()
		}
		_, n := utf8.DecodeLastRuneInString(s)
		s = strings.TrimSpace(s[:len(s)-n])
	}
	return ""
}

// unescape undoes escape and takes only names that may be shown.
func unescape(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("%w: cut escape", ErrTXT)
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%w: escape", ErrTXT)
		}
		b, i = append(b, byte(n)), i+2
	}
	if discovery.CheckName(string(b)) != nil {
		return "", fmt.Errorf("%w: name", ErrTXT)
	}
	return string(b), nil
}

// isPlain reports whether s survives a TXT record as it is: the DNS library shows other bytes escaped.
func isPlain(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x21 || c > 0x7E || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	return len(s) == labelLen && strings.Trim(s, strings.ToLower(letters)) == ""
}

func isPrefix(s string) bool { return len(s) == prefixLen && strings.Trim(s, letters) == "" }

// isTags reports whether s is a list of 4 or 8 tags, in the one way to write it.
func isTags(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && isPlain(s) && (len(b) == 4*tagLen || len(b) == 8*tagLen)
}

func isSlot(s string) bool { return len(s) == 2 && strings.Trim(s, "0123456789") == "" }

// isPort reports whether p may be dialled because of an announcement: nobody can make neighbours knock on system services.
func isPort(p int) bool { return p >= 1024 && p <= 65535 }

// self is what this device says of itself now.
type self struct {
	mu     sync.Mutex // guards the fields below
	record Record
	before []string // the instances before this one: their last packets may still be on the way back to us
}

func (s *self) now() Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record
}

// set reports whether r is any news.
func (s *self) set(r Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reflect.DeepEqual(r, s.record) {
		return false
	}
	if r.Instance != s.record.Instance {
		s.before = append(s.before[max(0, len(s.before)-maxBefore+1):], s.record.Instance)
	}
	s.record = r
	return true
}

// is reports whether an instance heard is this device itself.
func (s *self) is(instance string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return instance == s.record.Instance || slices.Contains(s.before, instance)
}
