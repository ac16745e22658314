// Package catalogue keeps the shares this device offers.
package catalogue

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/access"
	"porchlight/share/safefs"
)

// What a caller decides by. A folder that may not be shared is safefs.ErrNotShareable; a share whose folder is not there is safefs.ErrGone.
var (
	ErrTaken   = errors.New("another share has this name")
	ErrShared  = errors.New("this folder is shared already")
	ErrName    = errors.New("not a name for a share")
	ErrMany    = errors.New("too many shares")
	ErrUnknown = errors.New("no such share")
)

// Store keeps shares beyond the life of the process. Safe for concurrent use.
type Store interface {
	// Shares returns all, the oldest first.
	Shares() ([]share.Share, error)
	// PutShare keeps one, replacing the one of its ID.
	PutShare(share.Share) error
	// DeleteShare forgets one; it is no error if there is none.
	DeleteShare(share.ID) error
}

// Config says what a catalogue works with.
type Config struct {
	Store Store    // in memory only if nil
	Own   []string // Porchlight's own folders, never shared
	// Default is for whom a new share is that nobody said it for; access.Default in the open workgroup if nil.
	Default  func(share.Kind) []share.Grant
	Log      *slog.Logger
	OnChange func() // called after each change of the list, with no lock held
}

// Catalogue is the list of shares and the open folders behind it. Safe for concurrent use.
type Catalogue struct {
	cfg Config

	change sync.Mutex // makes one change at a time, the store included

	mu     sync.Mutex // guards the fields below
	shares map[share.ID]share.Share
	trees  map[share.ID]*safefs.Tree
	closed bool
}

// New makes an empty catalogue; Load fills it.
func New(cfg Config) *Catalogue {
	if cfg.Store == nil {
		cfg.Store = NewMemory()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Default == nil {
		cfg.Default = func(kind share.Kind) []share.Grant { return access.Default(kind, [32]byte{}) }
	}
	if cfg.OnChange == nil {
		cfg.OnChange = func() {}
	}
	return &Catalogue{cfg: cfg, shares: map[share.ID]share.Share{}, trees: map[share.ID]*safefs.Tree{}}
}

// Load reads the list from the store. Folders that are not there stay in it, away. It is called once, before anything else; OnChange is not called.
func (c *Catalogue) Load() error {
	all, err := c.cfg.Store.Shares()
	if err != nil {
		return fmt.Errorf("load the shares: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range all {
		c.shares[s.ID] = s
	}
	return nil
}

// List returns all shares by name.
func (c *Catalogue) List() []share.Share {
	c.mu.Lock()
	all := make([]share.Share, 0, len(c.shares))
	for _, s := range c.shares {
		all = append(all, s)
	}
	c.mu.Unlock()
	keys := make(map[share.ID]string, len(all))
	for _, s := range all {
		keys[s.ID] = key(s.Name)
	}
	slices.SortFunc(all, func(a, b share.Share) int {
		return cmp.Or(cmp.Compare(keys[a.ID], keys[b.ID]), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all
}

// Get returns one share; ErrUnknown if there is none.
func (c *Catalogue) Get(id share.ID) (share.Share, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.shares[id]
	if !ok {
		return share.Share{}, ErrUnknown
	}
	return s, nil
}

// Add offers a folder. Without a name it gets that of the folder, numbered if another share has it; a name that was asked for is taken as it is, or is ErrTaken.
// The path is made absolute and kept as it was given: a link may lead elsewhere later. It is for whom to says; without that for whom
// Config.Default does.
func (c *Catalogue) Add(path, name string, to ...share.Grant) (share.Share, error) {
	if err := share.CheckGrants(to); err != nil {
		return share.Share{}, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return share.Share{}, fmt.Errorf("share %s: %w", path, err)
	}
	if err := safefs.CheckShareable(abs, c.cfg.Own); err != nil {
		return share.Share{}, err
	}
	s := share.Share{Kind: share.Folder, Path: abs, Added: time.Now().UTC()}
	if safefs.VolumeOf(abs) == len(abs) {
		s.Kind = share.Drive
	}
	if s.Audience = slices.Clone(to); len(to) == 0 {
		s.Audience = c.cfg.Default(s.Kind)
	}
	rand.Read(s.ID[:]) //nolint:errcheck // never fails
	c.change.Lock()
	err = c.add(&s, name)
	c.change.Unlock()
	if err != nil {
		return share.Share{}, fmt.Errorf("share %s: %w", path, err)
	}
	c.cfg.Log.Info("a folder is shared", "name", s.Name)
	c.cfg.OnChange()
	return s, nil
}

// add names s and keeps it. The caller holds change.
func (c *Catalogue) add(s *share.Share, name string) error {
	all := c.List()
	if len(all) >= share.MaxShares {
		return fmt.Errorf("%w: %d are the most", ErrMany, share.MaxShares)
	}
	if i := slices.IndexFunc(all, func(o share.Share) bool { return sameFolder(o.Path, s.Path) }); i >= 0 {
		return fmt.Errorf("%w: %s", ErrShared, all[i].Name)
	}
	var err error
	if name == "" {
		s.Name = free(all, suggest(s.Path))
	} else if s.Name, err = checkName(all, name, s.ID); err != nil {
		return err
	}
	return c.put(*s)
}

// Rename changes the name neighbours see.
func (c *Catalogue) Rename(id share.ID, name string) error {
	c.change.Lock()
	changed, err := c.rename(id, name)
	c.change.Unlock()
	if err == nil && changed {
		c.cfg.OnChange()
	}
	return err
}

func (c *Catalogue) rename(id share.ID, name string) (changed bool, err error) {
	s, err := c.Get(id)
	if err != nil {
		return false, err
	}
	was := s.Name
	if s.Name, err = checkName(c.List(), name, id); err != nil {
		return false, fmt.Errorf("rename %s: %w", was, err)
	}
	if s.Name == was {
		return false, nil
	}
	return true, c.put(s)
}

// Allow says anew for whom a share is: to is the whole list, and not empty; ErrUnknown if there is no such share.
func (c *Catalogue) Allow(id share.ID, to []share.Grant) error {
	err := share.CheckGrants(to)
	if len(to) == 0 {
		err = fmt.Errorf("%w: it is empty", share.ErrGrant)
	}
	if err != nil {
		return err
	}
	if err := c.allow(id, slices.Clone(to)); err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	c.cfg.OnChange()
	return nil
}

func (c *Catalogue) allow(id share.ID, to []share.Grant) error {
	c.change.Lock()
	defer c.change.Unlock()
	s, err := c.Get(id)
	if err != nil {
		return err
	}
	s.Audience, s.Lost = to, false
	return c.put(s)
}

// put keeps s in the store and, if that went well, here. The caller holds change.
func (c *Catalogue) put(s share.Share) error {
	if err := c.cfg.Store.PutShare(s); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shares[s.ID] = s
	return nil
}

// Remove stops offering a share; ErrUnknown if there is none. The folder stays as it is. What is being read from it ends well.
func (c *Catalogue) Remove(id share.ID) error {
	if err := c.remove(id); err != nil {
		return err
	}
	c.cfg.OnChange()
	return nil
}

func (c *Catalogue) remove(id share.ID) error {
	c.change.Lock()
	defer c.change.Unlock()
	if _, err := c.Get(id); err != nil {
		return err
	}
	if err := c.cfg.Store.DeleteShare(id); err != nil {
		return fmt.Errorf("remove the share: %w", err)
	}
	c.mu.Lock()
	tree := c.trees[id]
	delete(c.shares, id)
	delete(c.trees, id)
	c.mu.Unlock()
	if tree != nil {
		return tree.Close()
	}
	return nil
}

// Present is List with what is away. Whether each folder is there is looked up now; nothing is held meanwhile.
func (c *Catalogue) Present() []share.Share { return c.present(c.List()) }

func (c *Catalogue) present(all []share.Share) []share.Share {
	for i, s := range all {
		tree, err := c.Tree(s.ID)
		if err == nil {
			err = tree.Present()
		}
		all[i].Away = err != nil
	}
	return all
}

// Offers returns the shares that sees lets through as neighbours see them, by name. The folders of the others are not looked at.
func (c *Catalogue) Offers(sees func(share.Share) bool) []share.Offer {
	all := c.present(slices.DeleteFunc(c.List(), func(s share.Share) bool { return !sees(s) }))
	offers := make([]share.Offer, len(all))
	for i, s := range all {
		offers[i] = share.Offer{ID: s.ID, Kind: s.Kind, Name: s.Name, Away: s.Away}
	}
	return offers
}

// Tree returns the folder of a share, for reading; the catalogue closes it. A tree once returned says itself when the folder goes, and works again
// when it is back. ErrUnknown if there is no such share, safefs.ErrGone if its folder was not there since the catalogue was loaded,
// safefs.ErrNotShareable if it became a place that may not be shared.
func (c *Catalogue) Tree(id share.ID) (*safefs.Tree, error) {
	c.mu.Lock()
	s, ok := c.shares[id]
	tree, closed := c.trees[id], c.closed
	c.mu.Unlock()
	switch {
	case !ok || closed:
		return nil, ErrUnknown
	case tree != nil:
		return tree, nil
	}
	tree, err := c.open(s) // without the lock: a disk may take its time to wake
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := c.trees[id]; other != nil {
		return other, tree.Close()
	}
	if _, ok := c.shares[id]; !ok || c.closed {
		return nil, errors.Join(ErrUnknown, tree.Close())
	}
	c.trees[id] = tree
	return tree, nil
}

// open opens the folder of a share, and has it checked again, now and whenever another folder lies there, that it may be one:
// links and Porchlight's own folders may lie elsewhere since it was added.
func (c *Catalogue) open(s share.Share) (*safefs.Tree, error) {
	if s.Kind == share.Drive && !safefs.Mounted(s.Path) {
		return nil, fmt.Errorf("%w: the volume of %s is not mounted", safefs.ErrGone, s.Path) // an empty folder is what is left there
	}
	return safefs.OpenChecked(s.Path, func(dir string) error { return safefs.CheckShareable(dir, c.cfg.Own) })
}

// Close closes all folders. The list can still be read.
func (c *Catalogue) Close() error {
	c.mu.Lock()
	trees := c.trees
	c.trees, c.closed = map[share.ID]*safefs.Tree{}, true
	c.mu.Unlock()
	var errs []error
	for _, t := range trees {
		errs = append(errs, t.Close())
	}
	return errors.Join(errs...)
}

// sameFolder reports whether two paths are one folder now, by whatever spelling.
func sameFolder(a, b string) bool {
	if a == b {
		return true
	}
	ai, err := os.Stat(a)
	if err != nil {
		return false
	}
	bi, err := os.Stat(b)
	return err == nil && os.SameFile(ai, bi)
}

// checkName makes a name that was asked for fit to be shown, and refuses one that is taken by another share than id.
func checkName(all []share.Share, name string, id share.ID) (string, error) {
	name = nfc(strings.TrimSpace(name))
	if discovery.CheckName(name) != nil {
		return "", fmt.Errorf("%w: 1 to %d bytes without control characters", ErrName, discovery.MaxName)
	}
	for _, s := range all {
		if s.ID != id && key(s.Name) == key(name) {
			return "", fmt.Errorf("%w: %s", ErrTaken, s.Name)
		}
	}
	return name, nil
}

// free numbers a name until no share has it: "Photos", "Photos 2", "Photos 3".
func free(all []share.Share, name string) string {
	taken := make(map[string]bool, len(all))
	for _, s := range all {
		taken[key(s.Name)] = true
	}
	for n, try := 2, name; ; n++ {
		if !taken[key(try)] {
			return try
		}
		tag := " " + strconv.Itoa(n)
		try = strings.TrimSpace(cut(name, discovery.MaxName-len(tag))) + tag
	}
}

// suggest makes a name of a path: the folder's own, without what may not be shown.
func suggest(path string) string {
	base := filepath.Base(path)
	if vol := filepath.VolumeName(path); vol != "" && len(base) <= 1 {
		base = strings.Trim(vol, `:\/`) // a drive of Windows: its letter
	}
	name := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || discovery.IsBidi(r) {
			return -1
		}
		return r
	}, nfc(base))
	name = strings.TrimSpace(cut(strings.TrimSpace(name), discovery.MaxName))
	if discovery.CheckName(name) != nil {
		return "Folder"
	}
	return name
}

// cut shortens s to at most n bytes without breaking a character.
func cut(s string, n int) string {
	for len(s) > n {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

func nfc(s string) string { return safefs.NewNames(false, false, 0).Key(s) }

// key is equal for names that people take for the same.
func key(name string) string { return safefs.NewNames(false, true, 0).Key(name) }
