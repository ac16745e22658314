package desktop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTheSystemTakesTheEntries has the programs that check them look at what is written, with paths as people have them.
func TestTheSystemTakesTheEntries(t *testing.T) {
	for _, tt := range []struct{ checker, pack, file, text string }{
		{"desktop-file-validate", "desktop-file-utils", "porchlight.desktop", desktopEntry("/opt/Jürgens Programme/100 %/porchlight", []string{"--home", `/home/jürgen/a "b" $c`, "--hidden"})},
		{"systemd-analyze", "systemd", "porchlight-12ab34cd.service", systemdUnit("/bin/true", []string{"--home", `/home/jürgen/100 % "b" $c`, "serve"})},
	} {
		t.Run(tt.checker, func(t *testing.T) {
			if _, err := exec.LookPath(tt.checker); err != nil {
				t.Skipf("%v (package %s)", err, tt.pack)
			}
			file := filepath.Join(t.TempDir(), tt.file)
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{file}
			if tt.checker == "systemd-analyze" {
				t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
				args = []string{"verify", "--user", "--man=no", file}
			}
			if out, err := exec.CommandContext(t.Context(), tt.checker, args...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s\n%s", err, out, tt.text)
			}
		})
	}
}
