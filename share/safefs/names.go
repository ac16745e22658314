package safefs

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"porchlight/share"
)

// Names turns names that other computers gave into names one disk can hold. For one goroutine.
type Names struct {
	strict bool // the rules of Windows and of the FAT family
	fold   bool // the disk takes "A" and "a" for one name
	most   int  // bytes in one name
	last   rune // no letter behind it has a code on the disk
	caser  cases.Caser
}

// NewNames returns the rules of a disk: strict for those of Windows and FAT, fold if it ignores case, most bytes in one name.
// Dest.Names returns those of a real one.
func NewNames(strict, fold bool, most int) *Names {
	if most < 64 || most > share.MaxComponent {
		most = share.MaxComponent
	}
	return &Names{strict: strict, fold: fold, most: most, last: utf8.MaxRune, caser: cases.Fold()}
}

// Adapt returns the name under which name can be made on the disk; the same one if it can be kept. Any text is taken, even one that is no component of a path.
// The error is ErrName when nothing usable is left.
func (n *Names) Adapt(name string) (string, error) {
	s := norm.NFC.String(strings.ToValidUTF8(name, "_"))
	s = strings.Map(n.allowed, s)
	if strings.Trim(s, ".") == "" {
		s = strings.Repeat("_", max(len(s), 1))
	}
	if len(s) >= len(share.PrivatePrefix) && strings.EqualFold(s[:len(share.PrivatePrefix)], share.PrivatePrefix) {
		s = "_" + s
	}
	if n.strict && reserved(s) {
		s = "_" + s
	}
	s = n.shorten(s, "")
	if n.strict {
		s = shown(s)
		kept := strings.TrimRight(s, ". ")
		s = kept + strings.Repeat("_", len(s)-len(kept))
	}
	if share.CheckComponent(s) != nil || !filepath.IsLocal(s) {
		return "", fmt.Errorf("%w: %q", ErrName, name)
	}
	return s, nil
}

// Key is equal for two names of one folder that the disk takes, or people take, for the same. Disks that ignore case do it by tables of their own:
// the key is that of the most generous one, so that a name too many is numbered rather than two made one.
func (n *Names) Key(name string) string {
	s := norm.NFC.String(name)
	if n.fold {
		s = norm.NFC.String(n.caser.String(strings.Map(generous, s)))
	}
	return s
}

// generous drops what ext4 and HFS+ do not see in a name, and takes together what NTFS, FAT and exFAT do, which go by capital letters.
func generous(r rune) rune {
	if r >= 0x80 && unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// Numbered is the k-th name to try when name is taken: "photo.jpg", "photo (2).jpg", "photo (3).jpg".
func (n *Names) Numbered(name string, k int) string {
	if k < 2 {
		return name
	}
	return n.shorten(name, " ("+strconv.Itoa(k)+")")
}

// allowed maps what no name, or no name on this disk, may contain.
func (n *Names) allowed(r rune) rune {
	switch {
	case r < 0x20 || r >= 0x7f && r < 0xa0 || r == '/' || r == '\\',
		r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0xFEFF,
		n.strict && strings.ContainsRune(`<>:"|?*`, r), r > n.last:
		return '_'
	}
	return r
}

// shorten puts tag before the extension and cuts the stem until all fits.
func (n *Names) shorten(s, tag string) string {
	stem, ext := splitExt(s)
	for len(stem)+len(tag)+len(ext) > n.most || units(stem)+len(tag)+units(ext) > share.MaxComponent {
		if stem == "" {
			return s
		}
		_, size := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-size]
	}
	return stem + tag + ext
}

// maxExt is the longest text behind a dot that is an extension and not a part of the name, in bytes.
const maxExt = 16

// splitExt cuts before the extension; ".tar.gz" and its kin are one.
func splitExt(s string) (stem, ext string) {
	i := strings.LastIndexByte(s, '.')
	if i <= 0 || len(s)-i > maxExt || strings.TrimSpace(s[i+1:]) != s[i+1:] || i == len(s)-1 {
		return s, ""
	}
	if strings.HasSuffix(strings.ToLower(s[:i]), ".tar") && i > len(".tar") {
		i -= len(".tar")
	}
	return s[:i], s[i:]
}

func units(s string) int {
	if len(s) <= share.MaxComponent {
		return len(s) // never fewer bytes than units
	}
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// shown keeps the Explorer of Windows from showing some object of its own, as the control panel, in place of what is in a folder called
// "x.{CLSID}".
//
// https://learn.microsoft.com/windows/win32/shell/nse-junction
func shown(s string) string {
	const long = len(".{00000000-0000-0000-0000-000000000000}")
	at := len(s) - long
	if at < 0 || s[at:at+2] != ".{" || s[len(s)-1] != '}' || strings.Trim(s[at+2:len(s)-1], "0123456789abcdefABCDEF-") != "" {
		return s
	}
	return s[:at+1] + "_" + s[at+2:]
}

// reserved reports whether Windows takes s for a device, whatever its extension.
func reserved(s string) bool {
	stem, _, _ := strings.Cut(s, ".")
	stem = strings.ToUpper(strings.TrimRight(stem, " "))
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$":
		return true
	}
	digit, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		digit, ok = strings.CutPrefix(stem, "LPT")
	}
	return ok && utf8.RuneCountInString(digit) == 1 && strings.Contains("0123456789¹²³", digit)
}
