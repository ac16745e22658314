package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ErrLocked says that another process has the home.
var ErrLocked = errors.New("this home is in use by another Porchlight")

// HomeLock keeps other processes from running an engine on the same home. The system drops it when the process ends,
// however it ends.
type HomeLock struct {
	file *os.File
	home string
}

// Home returns the folder that is locked, as it was given to Lock.
func (l *HomeLock) Home() string { return l.home }

// Lock takes the lock of a home, making the folder (private to the user) if need be, and returns ErrLocked at once
// when another process has it.
func Lock(home string) (*HomeLock, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("make the home: %w", err)
	}
	l, err := lockPath(filepath.Join(home, lockFile))
	if err != nil {
		return nil, err
	}
	l.home = home
	return l, nil
}

// Release gives the home back. The file stays: removing it would let two processes lock two files of one name.
func (l *HomeLock) Release() error { return l.file.Close() }

func lockPath(path string) (*HomeLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := lockFD(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return &HomeLock{file: f}, nil
}

// waitLock takes the lock of path, waiting for a process that holds it only for a moment.
func waitLock(ctx context.Context, path string) (*HomeLock, error) {
	const step = 10 * time.Millisecond // a save takes two syncs, some milliseconds
	for {
		l, err := lockPath(path)
		if !errors.Is(err, ErrLocked) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(step):
		}
	}
}
