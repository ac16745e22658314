package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"porchlight/app/config"
	"porchlight/app/desktop"
	"porchlight/app/store"
	"porchlight/discovery/identity"
	"porchlight/share/safefs"
)

type purgeRow struct {
	Removed bool     `json:"removed"`
	Paths   []string `json:"paths"`
}

// purge removes every trace of a home, after it was listed. The user's files, what was pulled among them, are no trace.
func purge(ctx context.Context, c *call) error {
	if _, err := os.Stat(c.home); errors.Is(err, fs.ErrNotExist) {
		return c.purged(ctx, nil) // and it must not be made to be locked
	}
	lock, err := config.Lock(c.home)
	if err != nil {
		return err
	}
	return c.purged(ctx, lock)
}

func (c *call) purged(ctx context.Context, lock *config.HomeLock) error {
	release := func() error {
		if lock == nil {
			return nil
		}
		return lock.Release()
	}
	p, err := c.program()
	if err != nil {
		return errors.Join(err, release())
	}
	folders := c.leftovers(ctx)
	traces := p.Traces()
	sockets, err := config.FindSockets(c.home)
	if err != nil {
		return errors.Join(err, release())
	}
	sockets = slices.DeleteFunc(sockets, func(s string) bool { _, err := os.Lstat(s); return err != nil })
	files := config.Files(c.home, identity.Files())
	all := slices.Concat(folders, traces, sockets, files)
	if err := release(); err != nil { // a locked file cannot be removed everywhere
		return err
	}
	_, yes := c.flags["--yes"]
	if !c.json {
		for _, path := range all {
			if _, err := fmt.Fprintln(c.Stdout, show(path)); err != nil {
				return err
			}
		}
	}
	if yes {
		if err := erase(p, folders, traces, slices.Concat(sockets, files)); err != nil {
			return err
		}
		c.sweep(slices.Concat(traces, files))
	}
	switch {
	case c.json:
		return c.object(purgeRow{yes, nonNil(all)})
	case len(all) == 0:
		return c.say("cli.purge.nothing")
	case yes:
		return c.say("cli.purge.done")
	}
	return c.say("cli.purge.ask")
}

// erase removes what was listed; what cannot be removed does not keep the rest.
func erase(p desktop.Program, folders, traces, files []string) error {
	var errs []error
	for _, path := range folders {
		errs = append(errs, os.RemoveAll(path))
	}
	for _, trace := range traces {
		errs = append(errs, p.Erase(trace))
	}
	for _, path := range files {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// sweep removes the folders that are empty now that these paths are gone, those above them too, up to the folder of the user. The
// folders pulls go to are no such: they are the user's. The ones for sockets lie in folders of the system.
func (c *call) sweep(gone []string) {
	_ = os.Remove(c.home) // stays if something else lies in it, as all of them do
	for _, dir := range config.RuntimeDirs(c.getenv()) {
		_ = os.Remove(dir)
	}
	user := c.getenv()("HOME")
	if runtime.GOOS == "windows" {
		user = c.getenv()("USERPROFILE")
	}
	for _, path := range gone {
		for dir := filepath.Dir(path); below(dir, user); dir = filepath.Dir(dir) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
	}
}

// below reports whether a folder lies in another one.
func below(dir, in string) bool {
	rel, err := filepath.Rel(in, dir)
	return err == nil && filepath.IsAbs(in) && rel != "." && filepath.IsLocal(rel)
}

// getenv reads the environment.
func (c *call) getenv() func(string) string {
	if c.Getenv != nil {
		return c.Getenv
	}
	return os.Getenv
}

// leftovers finds the folders of pulls that never became whole, wherever pulls went.
func (c *call) leftovers(ctx context.Context) (out []string) {
	var dirs []string
	if s, _, err := config.Load(c.home); err == nil {
		dirs = append(dirs, s.Downloads)
	}
	if path := config.DatabasePath(c.home); exists(path) {
		if db, err := store.Open(ctx, path, store.Config{}); err == nil {
			jobs, _ := db.Jobs().Jobs() // those that can be read
			for _, j := range jobs {
				dirs = append(dirs, j.Request.Into)
			}
			_ = db.Close() // it is about to go
		}
	}
	for _, dir := range dirs {
		if left := safefs.Leftovers(dir); filepath.IsAbs(dir) && left != "" && !slices.Contains(out, left) {
			out = append(out, left)
		}
	}
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
