package desktop

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// short is a directory with a short path: those of sockets are.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestShell(t *testing.T) {
	dir := short(t)
	l, err := net.Listen("unix", filepath.Join(dir, "bus")) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		address, runtime string
		want             bool
	}{
		{"", "", false},
		{"", dir, true},
		{"", t.TempDir(), false},
		{"unix:path=" + dir + "/bus,guid=1", "", true},
		{"unix:path=" + dir + "/none;unix:path=" + dir + "/bus", "", true},
		{"unix:path=" + dir + "/none", dir, false},
		{"tcp:host=x", "", false},
		{"unix:abstract=" + dir + "/none", "", false},
	} {
		env := map[string]string{"DBUS_SESSION_BUS_ADDRESS": tt.address, "XDG_RUNTIME_DIR": tt.runtime}
		if got := Shell(t.Context(), func(n string) string { return env[n] }); got != tt.want {
			t.Errorf("%q %q: %v", tt.address, tt.runtime, got)
		}
	}
}
