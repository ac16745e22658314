package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "porchlight"

// floors lists the packages from bottom to top. A package imports only lower floors, and never a tree to its right.
var floors = []string{
	"discovery discovery/calm discovery/canon discovery/whole assets",
	"share",
	"transfer",
	"discovery/identity discovery/keyring discovery/ledger discovery/mdns discovery/pairing discovery/place discovery/powercut discovery/presence share/access share/safefs share/content share/watch app/config app/desktop app/doctor",
	"discovery/workgroup",
	"share/catalogue transfer/wire transfer/swarm transfer/pace discovery/workgroup/storetest app/store",
	"transfer/link",
	"transfer/client transfer/server",
	"transfer/download app/membership app/sight app/whereabouts",
	"app/mesh",
	"app/checkup",
	"app/engine app/viewmodel",
	"app/control",
	"app/cli app/gui app/labtest",
	"app",
	".",
}

// trees never import rightwards.
var trees = []string{"discovery", "share", "transfer", "app"}

// doors names the package that may import each outside module, or the few; of two that fit, the longest wins.
var doors = map[string]string{
	"fyne.io/fyne/v2":              "app/gui",
	"fyne.io/fyne/v2/app":          "app",
	"fyne.io/fyne/v2/lang":         "assets",
	"filippo.io/edwards25519":      "discovery/pairing",
	"github.com/hashicorp/mdns":    "discovery/mdns",
	"github.com/miekg/dns":         "discovery/mdns",
	"github.com/fsnotify/fsnotify": "share/watch",
	"modernc.org/sqlite":           "app/store",
	"github.com/fxamacker/cbor":    "discovery/canon",
	"lukechampine.com/blake3":      "share/content",
	"golang.org/x/text":            "share/safefs app/membership", // both bring names to one form
	"rsc.io/qr":                    "app/viewmodel",
	"github.com/godbus/dbus":       "app/desktop",
}

// tops is everything that may stand at the top level, dot files aside.
var tops = []string{"app", "discovery", "share", "transfer", "assets", "go.mod", "go.sum", "FyneApp.toml", "README.md", "main.go", "house_test.go", "Makefile", "LICENSE", "CHANGELOG.md",
	"porchlight", "porchlight.exe", "build"} // the last three are built, and ignored by git

func TestHouse(t *testing.T) {
	documented := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (file == ".ci" || file == ".git" || file == "build") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") {
			return nil
		}
		checkSize(t, file)
		if strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(file))
		documented[pkg] = documented[pkg] || f.Doc != nil
		for _, spec := range f.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			if d := door(imp); d != "" && !slices.Contains(strings.Fields(d), pkg) {
				t.Errorf("%s imports %s; only %s may", file, imp, d)
			}
			if dep, ok := strings.CutPrefix(imp, module+"/"); ok && !below(dep, pkg) {
				t.Errorf("%s imports %s, which does not stand below it", file, dep)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", pkg)
		}
		if floor(pkg) < 0 {
			t.Errorf("%s stands on no floor", pkg)
		}
	}
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(tops, e.Name()) {
			t.Errorf("%s stands at the top level and belongs in one of the four folders", e.Name())
		}
	}
}

// checkSize keeps files under 500 lines: what is longer has two subjects.
func checkSize(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "\n"); n > 500 {
		t.Errorf("%s has %d lines; 500 is the limit", file, n)
	}
}

func door(imp string) string {
	long := ""
	for mod := range doors {
		if (imp == mod || strings.HasPrefix(imp, mod+"/")) && len(mod) > len(long) {
			long = mod
		}
	}
	return doors[long]
}

func below(dep, pkg string) bool {
	return floor(dep) < floor(pkg) && floor(dep) >= 0 && (pkg == "." || dep == "assets" || tree(dep) <= tree(pkg))
}

func floor(pkg string) int {
	return slices.IndexFunc(floors, func(f string) bool { return slices.Contains(strings.Fields(f), pkg) })
}

func tree(pkg string) int {
	top, _, _ := strings.Cut(pkg, "/")
	return slices.Index(trees, top)
}
