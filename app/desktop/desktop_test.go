package desktop

import (
	"encoding/binary"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

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
		if err := xml.Unmarshal([]byte(strings.Replace(text, "UTF-16", "UTF-8", 1)), new(struct{ XMLName xml.Name })); err != nil { // a reader of files reads what is decoded already
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

// TestWindowsReadsTheTask: schtasks wants UTF-16 with its mark, and an encoding in the text that is the one of the file.
func TestWindowsReadsTheTask(t *testing.T) {
	text := scheduledTask(`BÜRO\Jürgen`, `C:\Users\Jürgen M\Porchlight 😀\porchlight.exe`, []string{"--home", `D:\Meine Dateien\`, "serve"})
	file := utf16File(text)
	if file[0] != 0xff || file[1] != 0xfe || len(file)%2 != 0 {
		t.Fatalf("it begins with % x", file[:4])
	}
	var units []uint16
	for i := 2; i < len(file); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(file[i:]))
	}
	if back := string(utf16.Decode(units)); back != text {
		t.Errorf("%s", back)
	}
	var task struct {
		UserID    string `xml:"Triggers>LogonTrigger>UserId"`
		Principal string `xml:"Principals>Principal>UserId"`
		Command   string `xml:"Actions>Exec>Command"`
		Arguments string `xml:"Actions>Exec>Arguments"`
	}
	if err := xml.Unmarshal([]byte(strings.Replace(text, "UTF-16", "UTF-8", 1)), &task); err != nil {
		t.Fatal(err)
	}
	if task.UserID != `BÜRO\Jürgen` || task.Principal != task.UserID || task.Command != `C:\Users\Jürgen M\Porchlight 😀\porchlight.exe` || task.Arguments != `"--home" "D:\Meine Dateien\\" "serve"` {
		t.Errorf("%+v", task)
	}
	if !strings.Contains(text, `encoding="UTF-16"`) {
		t.Error(text)
	}
	add, remove := taskCommands("porchlight", `C:\Users\Jürgen M\service.xml`)
	if want := []string{"/Create", "/F", "/TN", "porchlight", "/XML", `C:\Users\Jürgen M\service.xml`}; !cmp.Equal(add, want) {
		t.Errorf("%q", add)
	}
	if len(remove) != 2 || remove[1][0] != "/Delete" || remove[1][1] != "/F" {
		t.Errorf("%q", remove) // without /F it asks, and waits for ever
	}
}

// TestAnAgentIsCommandedWithItsPath: whatever stands in the path of a home.
func TestAnAgentIsCommandedWithItsPath(t *testing.T) {
	start, stop := agentCommands("/Users/o'neil/Library/LaunchAgents/a b.plist", "org.porchlight.porchlight.service")
	if start != `launchctl bootstrap gui/$(id -u) '/Users/o'\''neil/Library/LaunchAgents/a b.plist'` || stop != "launchctl bootout gui/$(id -u)/org.porchlight.porchlight.service" {
		t.Errorf("%s\n%s", start, stop)
	}
}

// TestTheToolkitLeavesTraces: what the window's toolkit keeps for all programs of a user, and that other homes leave it alone.
func TestTheToolkitLeavesTraces(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "AppData", "LocalAppData"} {
		t.Setenv(name, dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	mine := []string{filepath.Join(cache, "font_index_v6.cache"), filepath.Join(cache, "fyne", appID, "icon")}
	others := []string{filepath.Join(cache, "font_index.txt"), filepath.Join(cache, "fyne", "org.example.Other", "icon")}
	for _, file := range append(mine, others...) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	p := program(t)
	if traces := p.Traces(); len(traces) > 0 {
		t.Errorf("of another home: %q", traces)
	}
	p.Usual = true
	for _, trace := range p.Traces() {
		if err := p.Erase(trace); err != nil {
			t.Error(err)
		}
	}
	if left := there(mine...); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if left := there(others...); len(left) != len(others) {
		t.Errorf("of others, only %q is left", left)
	}
}
