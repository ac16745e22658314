package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"porchlight/discovery/whole"
)

var (
	// ErrDamaged says that neither the settings nor their previous version can be read.
	ErrDamaged = errors.New("the settings are damaged")
	// ErrNewer says that a newer version of the program wrote the settings, in a way this one does not know. Nothing was touched.
	ErrNewer = errors.New("the settings were made by a newer version of Porchlight")
)

const (
	// format numbers what the fields mean. It rises when an older program would do with the file what its user did not want; a
	// new field alone is no reason, as older programs keep the fields they do not know.
	format    = 1
	backup    = ".bak"
	tempFiles = ".settings-*"
)

// Load reads the settings of a home. With none there it returns the defaults and writes nothing. When the file is damaged,
// or gone while its previous version is there, that one is used; restored then says so. When both are damaged it returns
// ErrDamaged: defaults could switch on what the user had switched off. It returns ErrNewer for a file it must not touch.
func Load(home string) (s Settings, restored bool, err error) {
	d, err := UserDirs(os.Getenv)
	if err != nil {
		return Settings{}, false, err
	}
	def := Defaults(d)
	path := SettingsPath(home)
	s, err = read(path)
	if errors.Is(err, ErrNewer) {
		return Settings{}, false, err
	}
	if err != nil {
		var errOld error
		s, errOld = read(path + backup)
		switch {
		case errors.Is(err, fs.ErrNotExist) && errors.Is(errOld, fs.ErrNotExist):
			return def, false, nil
		case errors.Is(errOld, ErrNewer):
			return Settings{}, false, errOld
		case errOld != nil:
			return Settings{}, false, fmt.Errorf("%w: %w", ErrDamaged, errors.Join(err, errOld))
		}
		restored = true
	}
	s.mend(def)
	return s, restored, nil
}

// Save writes the settings of a home whole or not at all, and keeps the previous ones beside them as settings.json.bak.
func Save(home string, s Settings) error {
	return save(whole.OS{}, home, s)
}

func save(disk whole.Disk, home string, s Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	s.Format = format
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
			err = whole.Write(disk, path+backup, tempFiles, old)
		}
		if err != nil {
			return fmt.Errorf("keep the previous settings: %w", err)
		}
	}
	if err := whole.Write(disk, path, tempFiles, append(data, '\n')); err != nil {
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
	var of struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &of); err == nil && of.Format > format { // before the fields are: they may be of other types
		return Settings{}, fmt.Errorf("%w: %s has format %d, known up to %d", ErrNewer, path, of.Format, format)
	}
	var s Settings
	if err := json.Unmarshal(data, &s); err != nil {
		return Settings{}, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}
