package desktop

import (
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Shell reports whether the desktop can show notifications and icons of programs: whether it has a session bus.
func Shell(getenv func(string) string) bool {
	address := getenv("DBUS_SESSION_BUS_ADDRESS")
	if dir := getenv("XDG_RUNTIME_DIR"); address == "" && filepath.IsAbs(dir) {
		address = "unix:path=" + filepath.Join(dir, "bus")
	}
	for _, one := range strings.Split(address, ";") {
		for _, pair := range strings.Split(strings.TrimPrefix(one, "unix:"), ",") {
			path, ok := strings.CutPrefix(pair, "path=")
			if name, abstract := strings.CutPrefix(pair, "abstract="); abstract {
				path, ok = "@"+name, true
			}
			if !ok {
				continue
			}
			if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
				return conn.Close() == nil
			}
		}
	}
	return false
}
