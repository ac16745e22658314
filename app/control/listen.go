package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"porchlight/app/config"
)

// Listen opens the control socket of a home, for Serve. Whoever holds the lock of the home may remove a socket an earlier
// engine left behind: nobody else can be listening on it. Release the lock after the listener is closed.
func Listen(ctx context.Context, lock *config.HomeLock) (net.Listener, error) {
	path, err := config.SocketPath(lock.Home())
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old control socket: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // its folder is private already
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return l, nil
}
