package safefs

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"porchlight/share"
)

var update = flag.Bool("update", false, "write the corpus of hostile names anew")

const corpusFile = "testdata/names.txt"

// corpus makes the hostile names, each once. The file beside it holds the same, quoted, for tests of other packages.
func corpus() []string {
	var all []string
	add := func(names ...string) { all = append(all, names...) }
	// ways out
	add("", ".", "..", "...", "....", "../x", "../../x", "/", "/etc/passwd", "//server/share/x", "a/../../x", "a/..", "./a", "a//b", "a/", "/a", "a/./b", "..\\x",
		"..\\..\\Windows\\win.ini", "\\\\server\\share\\x", "C:\\x", "C:x", "C:/x", "c:", "\\\\?\\C:\\x", "\\\\.\\PhysicalDrive0", "\\??\\C:\\x", "..;/x", "%2e%2e%2fx",
		"..%2fx", "..%c0%afx", "\uff0e\uff0e\uff0fx", "\u2025/x", "\u2024\u2024", "x\u2215..\u2215y", "x\u2044y", "~", "~root", "~/x", "$HOME", "${IFS}", "$(id)", "`id`", "%USERPROFILE%")
	// streams and what Windows does not take
	add("a:b", "a::$DATA", "file.txt:Zone.Identifier", ":", "::", "a:", ":a", "a.txt:evil.exe:$DATA", "$MFT", "$LogFile", "$Recycle.Bin", "a<b", "a>b", "a\"b", "a|b", "a?b", "a*b",
		"<>:\"|?*", "?", "*", "|", "a\\b", "\\", "\\\\", "a\\", "\\a")
	// devices
	for _, stem := range []string{"CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$", "CONOUT$", "COM0", "COM1", "COM9", "LPT0", "LPT1", "LPT9", "COM\u00b9", "COM\u00b2", "LPT\u00b3"} {
		add(stem, strings.ToLower(stem), stem+".txt", strings.ToLower(stem)+".tar.gz", stem+" .txt", stem+"  ", stem+".", stem+":", "_"+stem)
	}
	add("con.", "Con", "cOn.JPG", "COM10", "LPT", "CONSOLE", "NUL.a.b.c", "AUX.", "com\u2074")
	// text that turns, hides or controls
	for _, r := range "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad\u061c\u180e\u2028\u2029\u034f\u115f\u3164\ufe0f" {
		add("a"+string(r)+"gpj.exe", string(r)+"x", "x"+string(r))
	}
	for r := range rune(0x20) {
		add("a" + string(r) + "b")
	}
	add("\x7f", "a\x7fb", "a\u0080b", "a\u0085b", "a\u009fb", "\n", "\t", "\r\n", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\x00", "\x00", "a\x00.txt")
	// spaces and dots at the ends
	add(" ", "  ", " a", "a ", "a  ", "a.", "a..", "a. ", "a .", ". a", ".a", "..a", "...a", "a. . .", "\u00a0", "a\u00a0", "\u3000", "a\u3000", " .", ". .", ".. ", ".. .", "a.txt ", "a.txt.", "a.txt. ")
	// names of our own, and of other programs
	for _, s := range []string{".porchlight-part", ".PORCHLIGHT-PART", ".Porchlight-Bin", ".porchlight-", ".porchlight", ".porchlight-x.txt", ".porchlight-part ", ".porchlight-part.",
		"porchl~1", "PORCHL~1", "PORCHL~12.TXT", ".porch\u200clight-part", ".porchl\u0131ght-part", ".po\u017fchlight-part", "\uff0eporchlight-part"} {
		add(s)
	}
	add("desktop.ini", "Desktop.ini", "autorun.inf", "AUTORUN.INF", "Thumbs.db", ".DS_Store", "._x", "..namedfork", "Icon\r", ".Trashes", ".htaccess", ".bashrc", ".profile", ".ssh",
		"authorized_keys", "id_ed25519", "evil.desktop", "God.{ED7BA470-8E54-465E-825C-99712043E01C}", ".{ed7ba470-8e54-465e-825c-99712043e01c}", "x.{not a CLSID, but as long as one is.}", "x.lnk", "x.url", "x.scf", "x.pif", "x.exe", "x.jpg.exe", "x.jpg          .exe", "System Volume Information", "$RECYCLE.BIN",
		"lost+found", ".git", "core", "-", "-rf", "--", "--help", "-o", "- x", "PROGRA~1", "a~1", "~$doc.docx", "a~", "#x#", ".nfs0001", ".fuse_hidden0001", ".X11-unix")
	// the same name twice, for people or for a disk
	pairs := []string{"Caf\u00e9.txt", "Cafe\u0301.txt", "CAF\u00c9.TXT", "cafe\u0301.TXT", "stra\u00dfe", "STRASSE", "stra\u1e9ee", "strasse", "\u0130stanbul", "i\u0307stanbul", "istanbul",
		"ISTANBUL", "\u0131stanbul", "\ufb01sh", "fish", "FISH", "\ufb00", "ff", "\u212a", "k", "K", "\u212b", "\u00e5", "A\u030a", "\u03c3", "\u03c2", "\u03a3", "\u01c5", "\u01c4", "\u01c6",
		"\u0958", "\u0915\u093c", "\uac00", "\u1100\u1161", "\u03b1\u0345", "\u1fb3", "\u0345", "\u1f80", "photo.jpg", "Photo.jpg", "PHOTO.JPG", "photo.JPG", "photo (2).jpg",
		"Photo (2).jpg", "photo (3).jpg", "readme", "README", "ReadMe", "\u2160", "\u2170", "\u24b6", "\u24d0", "\U00010400", "\U00010428", "\uff21", "\uff41", "\u0149", "\u02bcn",
		"a_b", "a_", "_", "__", "x_", "_CON", "\ufffd", "a\ufffdb"}
	add(pairs...)
	// lengths
	for _, n := range []int{127, 128, 239, 240, 251, 254, 255, 256, 257, 300, 4095, 4096, 4097} {
		add(strings.Repeat("x", n), strings.Repeat("y", max(n-4, 1))+".txt")
	}
	for _, n := range []int{63, 64, 85, 86, 127, 128, 255, 256} {
		add(strings.Repeat("\u00fc", n), strings.Repeat("\u6f22", n)+".jpg", strings.Repeat("\U0001f600", n), "u"+strings.Repeat("u\u0308", n))
	}
	add("x."+strings.Repeat("e", 250), "x."+strings.Repeat("e", 16), "x."+strings.Repeat("e", 15), strings.Repeat("x", 250)+".tar.gz", strings.Repeat("x.", 127), "."+strings.Repeat("h", 254),
		strings.Repeat(".", 255), strings.Repeat(" ", 255), strings.Repeat("x", 253)+"\u00fc", strings.Repeat("x", 254)+"\u00fc", strings.Repeat("d/", 64)+"x", strings.Repeat("d/", 65)+"x",
		strings.Repeat(strings.Repeat("p", 200)+"/", 21)+"x")
	// pictures, and what is no text
	add("\U0001f3e0.txt", "\U0001f468\u200d\U0001f469\u200d\U0001f467.png", "\U0001f1e9\U0001f1ea", "e\u0301\u0302\u0303\u0304", strings.Repeat("\u0301", 20), "\xff", "a\xffb", "\xc0\xaf", "\xed\xa0\x80",
		"\xed\xa0\xbd\xed\xb8\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "a\xe4b.txt", "\ufffe", "\uffff", "\U0010ffff", "\ue000", "a\xc3", "\xff.txt", "\xfe.txt")
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

// TestCorpus keeps the file and the table above the same.
func TestCorpus(t *testing.T) {
	names := corpus()
	if len(names) < 400 {
		t.Errorf("%d names, want 400", len(names))
	}
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintln(&b, strconv.QuoteToASCII(n))
	}
	if *update {
		must(t, os.MkdirAll(filepath.Dir(corpusFile), 0o755))
		must(t, os.WriteFile(corpusFile, []byte(b.String()), 0o644))
	}
	f, err := os.Open(corpusFile)
	must(t, err)
	defer f.Close()
	at := 0
	for lines := bufio.NewScanner(f); lines.Scan(); at++ {
		if s, err := strconv.Unquote(lines.Text()); err != nil || at >= len(names) || s != names[at] {
			t.Fatalf("line %d is %q (%v); run this test with -update", at+1, s, err)
		}
	}
	if at != len(names) {
		t.Errorf("%d lines for %d names; run this test with -update", at, len(names))
	}
	t.Logf("%d names", len(names))
}

// TestCorpusOnEveryDisk maps the corpus by the rules of each kind of disk. What comes out can be made there, keeps to one folder, is the same when it is mapped
// again, and no number makes two names one.
func TestCorpusOnEveryDisk(t *testing.T) {
	for _, disk := range []struct {
		name         string
		strict, fold bool
		most         int
	}{{"ext4", false, false, 255}, {"ext4 with casefold, APFS", false, true, 255}, {"NTFS, exFAT, FAT32", true, true, 255}, {"eCryptfs", false, false, 143}} {
		t.Run(disk.name, func(t *testing.T) {
			n, kept := NewNames(disk.strict, disk.fold, disk.most), 0
			for _, name := range corpus() {
				got, err := n.Adapt(name)
				if err != nil {
					t.Errorf("nothing for %q: %v", name, err)
					continue
				}
				if got == name {
					kept++
				}
				for k := range 4 {
					fits(t, name, n.Numbered(got, k), disk.strict, disk.most)
				}
				if again, err := n.Adapt(got); err != nil || again != got {
					t.Errorf("%q became %q, then %q", name, got, again)
				}
				if n.Key(got) == n.Key(n.Numbered(got, 2)) || n.Key(n.Numbered(got, 2)) == n.Key(n.Numbered(got, 10)) {
					t.Errorf("numbers of %q are one name", got)
				}
			}
			t.Logf("%d of %d are kept as they are", kept, len(corpus()))
		})
	}
}

// fits checks one name against what its disk can hold, by rules written down a second time.
func fits(t *testing.T, from, name string, strict bool, most int) {
	t.Helper()
	bad := name == "" || name == "." || name == ".." || len(name) > most || len(utf16.Encode([]rune(name))) > 255 || !utf8.ValidString(name) ||
		!norm.NFC.IsNormalString(name) || strings.ContainsAny(name, "/\\\x00\n\r\t\x1b\x7f\u202e\u2066\ufeff") || strings.HasPrefix(strings.ToLower(name), share.PrivatePrefix)
	if strict {
		stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
		stem = strings.TrimSpace(stem)
		bad = bad || strings.ContainsAny(name, `<>:"|?*`) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") ||
			slices.Contains([]string{"CON", "PRN", "AUX", "NUL", "COM1", "LPT9", "COM\u00b9", "CONIN$", "CLOCK$"}, stem)
	}
	if bad {
		t.Errorf("%q became %q", from, name)
	}
}

// TestCorpusIsParsedOrRefused: what a neighbour sends as a path is taken as it is or refused, never cleaned, and leads nowhere else.
func TestCorpusIsParsedOrRefused(t *testing.T) {
	base := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(base, "share"), 0o755))
	for _, out := range []string{"x", "secret"} {
		must(t, os.WriteFile(filepath.Join(base, out), []byte("outside"), 0o644))
	}
	tr := tree(t, filepath.Join(base, "share"))
	for _, name := range corpus() {
		p, err := share.ParsePath(name)
		if err == nil && string(p) != name {
			t.Errorf("%q was cleaned to %q", name, p)
		}
		if f, err := tr.Open(share.Path(name)); err == nil {
			f.Close()
			t.Errorf("%q opened in an empty share", name)
		}
	}
}
