package desktop

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func program(t *testing.T) Program {
	t.Helper()
	dir := t.TempDir()
	return Program{Path: filepath.Join(dir, "bin", "porch light"), Home: filepath.Join(dir, "home"), Window: true, Getenv: func(name string) string {
		if name == "HOME" {
			return dir
		}
		return ""
	}}
}

func TestStartsWithTheComputer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this would write into the registry of whoever runs the tests")
	}
	p := program(t)
	for _, on := range []bool{true, true, false, false} {
		if err := p.SetStarts(on); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Starts(); got != on || err != nil {
			t.Errorf("it starts: %v, %v; want %v", got, err, on)
		}
	}
	if traces := p.Traces(); len(traces) > 0 {
		t.Errorf("left behind: %q", traces)
	}
}

func TestServiceIsFilesOnly(t *testing.T) {
	p := program(t)
	if err := os.MkdirAll(p.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	var files []string
	for range 2 { // a second time changes nothing
		i, err := p.InstallService()
		if err != nil || len(i.Files) == 0 || i.Start == "" || i.Stop == "" {
			t.Fatalf("%+v, %v", i, err)
		}
		files = i.Files
		for _, f := range files {
			if _, err := os.Stat(f); err != nil {
				t.Error(err)
			}
		}
	}
	if got, err := p.Service(); err != nil || !cmp.Equal(got.Files, files) {
		t.Errorf("there is %q, %v", got.Files, err)
	}
	traces := p.Traces()
	if len(traces) != len(files) {
		t.Errorf("the traces are %q", traces)
	}
	for _, trace := range traces {
		if err := p.Erase(trace); err != nil {
			t.Error(err)
		}
	}
	if i, err := p.RemoveService(); err != nil || len(i.Files) > 0 {
		t.Errorf("removed twice: %+v, %v", i, err)
	}
}

func TestEachHomeHasItsOwnEntries(t *testing.T) {
	a, b := program(t), program(t)
	if a.name() == b.name() || !strings.HasPrefix(a.name(), "porchlight-") {
		t.Errorf("%q and %q", a.name(), b.name())
	}
	a.Usual = true
	if a.name() != "porchlight" || len(a.serveArgs()) != 1 {
		t.Errorf("%q %q", a.name(), a.serveArgs())
	}
	if !cmp.Equal(b.loginArgs(), []string{"--home", b.Home, "--hidden"}) {
		t.Errorf("%q", b.loginArgs())
	}
	b.Window = false
	if !cmp.Equal(b.loginArgs(), []string{"--home", b.Home, "serve"}) {
		t.Errorf("%q", b.loginArgs())
	}
}

func TestNothingInAPathBecomesACommand(t *testing.T) {
	const nasty = "/a b/$HOME `x` \"q\" \\ 50%/\tz"
	if got, want := desktopWord(nasty), `"/a b/\\$HOME \\`+"`x\\\\`"+` \\"q\\" \\\\ 50%%/\tz"`; got != want {
		t.Errorf("XDG: %s, want %s", got, want)
	}
	if got, want := systemdWord(nasty), `"/a b/$$HOME `+"`x`"+` \"q\" \\ 50%%/\tz"`; got != want {
		t.Errorf("systemd: %s, want %s", got, want)
	}
	for in, want := range map[string]string{`C:\a b\`: `"C:\a b\\"`, `a"b`: `"a\"b"`, `a\"b`: `"a\\\"b"`, `a\b`: `"a\b"`} {
		if got := windowsWord(in); got != want {
			t.Errorf("Windows: %s, want %s", got, want)
		}
	}
	for _, text := range []string{launchAgent("l", nasty, []string{"<&>"}, true), scheduledTask(`D\a<b`, nasty, []string{"<&>"})} {
		if err := xml.Unmarshal([]byte(text), new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
		if strings.Contains(text, "<&>") {
			t.Errorf("not escaped:\n%s", text)
		}
	}
	if text := desktopEntry("/p", nil); !strings.Contains(text, "\nExec=\"/p\"\n") {
		t.Error(text)
	}
	if text := systemdUnit("/p", []string{"serve"}); !strings.Contains(text, "\nExecStart=\"/p\" \"serve\"\n") {
		t.Error(text)
	}
}
