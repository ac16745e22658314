//go:build linux || darwin

package safefs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"porchlight/share"
)

// TestCorpusServed plants the corpus in a real folder and reads it as a neighbour would: what is listed as a file opens and has its bytes,
// what cannot be named by a neighbour is shown as unreadable, our own is not shown, and nothing is left out silently.
func TestCorpusServed(t *testing.T) {
	dir := t.TempDir()
	planted := map[string]bool{}
	for _, name := range corpus() {
		if strings.ContainsAny(name, "/\x00") || name == "" || name == "." || name == ".." {
			continue // no disk has such a name
		}
		err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644)
		if err != nil && len(name) <= 255 && !errors.Is(err, os.ErrExist) && !isBadName(err) {
			t.Fatal(err)
		}
		if err == nil {
			planted[name] = true
		}
	}
	tr := tree(t, dir)
	files, shown, hid := 0, 0, 0
	see := func(e share.Entry) error {
		if e.Kind == share.Other {
			shown++
			if e.Reason != ReasonName {
				t.Errorf("%q is shown with reason %q", e.Path, e.Reason)
			}
			if err := second(tr.Open(e.Path)); !errors.Is(err, ErrGone) && !planted[string(e.Path)] {
				t.Errorf("%q, shown as unreadable, opens: %v", e.Path, err)
			}
			return nil
		}
		if e.Kind == share.Dir {
			return nil
		}
		files++
		f, err := tr.Open(e.Path)
		if err != nil {
			t.Errorf("%q is listed and does not open: %v", e.Path, err)
			return nil
		}
		defer f.Close()
		got, err := io.ReadAll(io.NewSectionReader(f, 0, e.Size))
		if err != nil || !planted[string(e.Path)] || string(got) != string(e.Path) && !(len(got) == len(e.Path)) { // a disk that folds keeps one of two
			t.Errorf("%q holds %q: %v", e.Path, got, err)
		}
		return nil
	}
	must(t, tr.List(t.Context(), "", share.ByName, see))
	must(t, tr.Walk(t.Context(), "", see))
	for name := range planted {
		if hidden(dir, name) {
			hid++
			if err := second(tr.Open(share.Path(name))); !errors.Is(err, ErrGone) {
				t.Errorf("%q opens: %v", name, err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if files%2 != 0 || shown%2 != 0 || files/2+shown/2+hid != len(entries) {
		t.Errorf("%d files, %d unreadable and %d hidden, of %d", files/2, shown/2, hid, len(entries))
	}
	t.Logf("%d files, %d unreadable, %d hidden", files/2, shown/2, hid)
}

// TestLongPaths: paths up to the limit are read, and beyond it shown with the reason.
func TestLongPaths(t *testing.T) {
	dir := t.TempDir()
	tr := tree(t, dir)
	part, want := strings.Repeat("p", 254), share.MaxPath
	at, err := os.OpenRoot(dir)
	must(t, err)
	var p share.Path
	for len(p)+1+len(part) <= want-256 { // step by step: the system takes no such path at once
		must(t, at.Mkdir(part, 0o755))
		next, err := at.OpenRoot(part)
		must(t, err)
		at.Close()
		at = next
		if p == "" {
			p = share.Path(part)
		} else {
			p += share.Path("/" + part)
		}
	}
	defer at.Close()
	middle := strings.Repeat("m", (want-len(p))/2-1)
	must(t, at.Mkdir(middle, 0o755))
	last, err := at.OpenRoot(middle)
	must(t, err)
	defer last.Close()
	p += share.Path("/" + middle)
	room := want - len(p) - 1
	for n, ok := range map[int]bool{room - 1: true, room: true, room + 1: false} {
		name := strings.Repeat("f", n)
		must(t, last.WriteFile(name, []byte("deep"), 0o644))
		err := second(tr.Open(p + "/" + share.Path(name)))
		if ok && err != nil || !ok && !errors.Is(err, ErrGone) {
			t.Errorf("a path of %d bytes: %v", len(p)+1+n, err)
		}
	}
	must(t, last.Mkdir(strings.Repeat("d", room), 0o755))
	var deep []string
	must(t, tr.Walk(t.Context(), "", func(e share.Entry) error {
		if len(e.Path) >= want-1 || e.Reason != "" {
			deep = append(deep, e.Path.Base()[:1]+e.Reason)
		}
		return nil
	}))
	if got := strings.Join(deep, ","); got != "f,f,f"+ReasonDeep+",d" {
		t.Errorf("the walk shows %q", got)
	}
	must(t, tr.List(t.Context(), p+"/"+share.Path(strings.Repeat("d", room)), share.ByName, nil))
}
