package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrDamaged says that neither the settings nor their previous version can be read.
var ErrDamaged = errors.New("the settings are damaged")

// Load reads the settings of a home. With none there it returns the defaults and writes nothing. When the file is damaged
// the previous version is used; restored then says so. When both are damaged it returns ErrDamaged: defaults could
// switch on what the user had switched off.
func Load(home string) (s Settings, restored bool, err error) {
	d, err := UserDirs(os.Getenv)
	if err != nil {
		return Settings{}, false, err
	}
	def := Defaults(d)
	path := SettingsPath(home)
	s, err = read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return def, false, nil
	}
	if err != nil {
		var errOld error
		if s, errOld = read(path + ".bak"); errOld != nil {
			return Settings{}, false, fmt.Errorf("%w: %w", ErrDamaged, errors.Join(err, errOld))
		}
		restored = true
	}
	s.mend(def)
	return s, restored, nil
}

// Save writes the settings of a home whole or not at all, and keeps the previous ones beside them as settings.json.bak.
func Save(home string, s Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("make the home: %w", err)
	}
	path := SettingsPath(home)
	if _, err := read(path); err == nil { // a damaged file must not replace a good .bak
		old, err := os.ReadFile(path)
		if err == nil {
			err = replace(path+".bak", old)
		}
		if err != nil {
			return fmt.Errorf("keep the previous settings: %w", err)
		}
	}
	if err := replace(path, append(data, '\n')); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return nil
}

// Update changes the settings of a home: load, change, save, with other processes kept out meanwhile (a window attached to
// a service keeps its theme in the same file). It waits two seconds at most for another process. When change returns an
// error nothing is written.
func Update(ctx context.Context, home string, change func(*Settings) error) (Settings, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := os.MkdirAll(home, 0o700); err != nil {
		return Settings{}, fmt.Errorf("make the home: %w", err)
	}
	l, err := waitLock(ctx, SettingsPath(home)+".lock")
	if err != nil {
		return Settings{}, err
	}
	defer l.Release() //nolint:errcheck // closing a lock file loses nothing
	s, _, err := Load(home)
	if err != nil {
		return Settings{}, err
	}
	if err := change(&s); err != nil {
		return Settings{}, err
	}
	return s, Save(home, s)
}

func read(path string) (Settings, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, fmt.Errorf("read the settings: %w", err)
	}
	var s Settings
	if err := json.Unmarshal(data, &s); err != nil {
		return Settings{}, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

// replace writes the file so that a crash leaves either the old one or the new one.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".settings-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone already when all went well
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
