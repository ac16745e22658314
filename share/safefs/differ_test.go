package safefs

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"porchlight/share"
)

// pathsVar is how many paths TestPathsAsOsRoot tries; `make release-check` asks for 10,000,000.
const pathsVar = "PORCHLIGHT_PATHS"

// maze makes a folder with a share in it, and things outside that links and dots lead to. It returns both folders.
func maze(t *testing.T) (base, dir string) {
	t.Helper()
	base = plant(t, "secret", "outside/secret", "outside/a/b", "share/a/b", "share/a/c/d", "share/a/.porchlight-part/b", "share/a b/ü", "share/b", "share/..a/b", "share/c./d",
		"share/ a/b", "share/.porchlight/b", "share/a/a/a/a/a", "share/.ssh/id_ed25519", "share/ｕｐ/b", "share/"+strings.Repeat("x", 255))
	dir = filepath.Join(base, "share")
	must(t, os.Link(filepath.Join(dir, "b"), filepath.Join(dir, "a", "linked")))
	if runtime.GOOS == "windows" {
		return base, dir // links need a right there
	}
	for name, to := range map[string]string{
		"up": "..", "in": "a", "a/back": "../a", "out": filepath.Join(base, "secret"), "outdir": filepath.Join(base, "outside"), "loop": "loop", "loops": "a/loops", "a/loops": "../loops",
		"a/root": "../../share", "file": "a/b", "proc": "/proc/self/root", "nowhere": "nothing", "dot": ".", "updown": "../share/a", "C:": "a",
	} {
		must(t, os.Symlink(to, filepath.Join(dir, filepath.FromSlash(name))))
	}
	must(t, os.WriteFile(filepath.Join(dir, `a\b`), []byte("backslash"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "new\nline"), []byte("newline"), 0o600))
	return base, dir
}

// hostilePath makes a path out of names that are there and names that should lead out.
func hostilePath(r *rand.Rand, names []string) string {
	tricks := []string{"..", ".", "", "...", "..\x00", "\x00", `..\..`, `a\b`, "C:", "con", "%2e%2e", "..%2f", "\u202e", "\ufeffa", "~", "$HOME", "a\x00/b", "up", "out", "outdir", "in", "loop", "back", "root",
		"proc", "updown", "dot", ".porchlight-part", ".PORCHLIGHT-part", "PORCHL~1", "new\nline", "a ", "a.", "A", "\xff", strings.Repeat("x", 255), strings.Repeat("x", 256), "．．", "ｕｐ", "u\u0308", "\u00fc"}
	seps := []string{"/", "/", "/", "/", "/", "/", "//", `\`, "/./", "/../", "/a/../"}
	var s strings.Builder
	if r.IntN(20) == 0 {
		s.WriteString("/")
	}
	for i := range 1 + r.IntN(6) {
		if i > 0 {
			s.WriteString(seps[r.IntN(len(seps))])
		}
		if r.IntN(4) == 0 {
			s.WriteString(tricks[r.IntN(len(tricks))])
		} else {
			s.WriteString(names[r.IntN(len(names))])
		}
	}
	if r.IntN(20) == 0 {
		s.WriteString("/")
	}
	return s.String()
}

// escapes reports whether os.Root says that a path leads out: its error has no name of its own.
func escapes(err error) bool { return err != nil && strings.Contains(err.Error(), "escapes") }

// TestPathsAsOsRoot: whatever path is taken and opened here is the very file that os.Root opens by that name, and lies inside;
// whatever os.Root refuses because it leads out is refused here.
func TestPathsAsOsRoot(t *testing.T) {
	total := 200_000
	if s := os.Getenv(pathsVar); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		total = n
	} else if raced() {
		total /= 10
	}
	_, dir := maze(t)
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	var names []string
	inside := map[string]os.FileInfo{}
	must(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && p != dir {
			rel, _ := filepath.Rel(dir, p)
			names = append(names, d.Name(), filepath.ToSlash(rel), filepath.ToSlash(rel))
			if inside[p], err = d.Info(); err != nil {
				return err
			}
		}
		return err
	}))
	d := &differ{t: t, root: root, tree: tree(t, dir), inside: inside}
	r := rand.New(rand.NewPCG(11, 22)) //nolint:gosec // the same paths each time
	for range total {
		if d.compare(hostilePath(r, names)); t.Failed() {
			break
		}
	}
	t.Logf("%d paths: %d opened by both, %d by os.Root alone, %d lead out", total, d.both, d.rootOnly, d.out)
	if d.both < total/100 || d.rootOnly == 0 || d.out < total/100 {
		t.Error("the paths do not try what they should")
	}
}

// differ compares two ways to open a path.
type differ struct {
	t                   *testing.T
	root                *os.Root
	tree                *Tree
	inside              map[string]os.FileInfo
	both, rootOnly, out int
}

func (d *differ) compare(s string) {
	theirs, rerr := d.root.Open(filepath.FromSlash(s))
	if rerr == nil {
		defer theirs.Close()
	}
	p, err := share.ParsePath(s)
	var ours *File
	if err == nil {
		ours, err = d.tree.Open(p)
	}
	if escapes(rerr) {
		d.out++
	}
	if err != nil {
		if rerr == nil {
			d.rootOnly++
		}
		if !errors.Is(err, ErrGone) && !errors.Is(err, share.ErrPath) {
			d.t.Errorf("%q is refused with %v", s, err)
		}
		return
	}
	defer ours.Close()
	if rerr != nil {
		d.t.Errorf("%q is opened here, and os.Root says %v", s, rerr)
		return
	}
	d.both++
	if err := d.same(ours, theirs); err != nil {
		d.t.Errorf("%q: %v", s, err)
	}
}

// same compares what was opened.
func (d *differ) same(ours *File, theirs *os.File) error {
	a, err := ours.f.Stat()
	if err != nil {
		return err
	}
	b, err := theirs.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(a, b) {
		return fmt.Errorf("%s here is not %s there", a.Name(), b.Name())
	}
	for _, i := range d.inside {
		if os.SameFile(a, i) {
			return nil
		}
	}
	return fmt.Errorf("%s lies outside", a.Name())
}
