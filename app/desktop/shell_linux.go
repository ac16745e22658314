package desktop

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Shell reports whether the desktop can show notifications and icons of programs: whether it has a session bus.
func Shell(ctx context.Context, getenv func(string) string) bool {
	return sessionBus(ctx, getenv) != ""
}

// sessionBus is the address of the session bus, of those the system names the first where somebody answers; "" without one.
func sessionBus(ctx context.Context, getenv func(string) string) string {
	dialer := net.Dialer{Timeout: time.Second}
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
			if conn, err := dialer.DialContext(ctx, "unix", path); err == nil {
				conn.Close() //nolint:errcheck // nothing was said
				return one
			}
		}
	}
	return ""
}
