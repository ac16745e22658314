package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"porchlight/discovery"
	"porchlight/transfer"
)

// Themes of the window.
const (
	ThemeSystem = ""
	ThemeLight  = "light"
	ThemeDark   = "dark"
)

// Settings is what the user decided for one home. A value. Fields of the file this version does not know are kept.
type Settings struct {
	Format       int               `json:"format,omitempty"`   // see ErrNewer; 0 in files of before 0.2
	Name         string            `json:"name"`               // of this device, 1 to 64 bytes
	Workgroup    string            `json:"workgroup"`          // the open workgroup
	Private      bool              `json:"private,omitempty"`  // this device is not in it: members of its private workgroups see it, and nobody else
	Network      discovery.Network `json:"network"`            // what a network counts as that nobody was asked about
	Downloads    string            `json:"downloads"`          // absolute; where pulls go unless told otherwise
	Port         int               `json:"port,omitempty"`     // TCP; 0 means discovery.DefaultPort or any
	Theme        string            `json:"theme,omitempty"`    // ThemeSystem, ThemeLight or ThemeDark
	Language     string            `json:"language,omitempty"` // "en", "de"; empty: the system's
	Scale        float32           `json:"scale,omitempty"`    // of the window; 0 means the system's
	FirstRunDone bool              `json:"first_run_done,omitempty"`
	QuitOnClose  bool              `json:"quit_on_close,omitempty"` // sharing ends when the window is closed
	SaidKeep     bool              `json:"said_keep,omitempty"`     // it was told once that it goes on

	QueueHeld   bool  `json:"queue_held,omitempty"`  // nothing is brought here until its owner says so
	LimitUp     int64 `json:"limit_up,omitempty"`    // as transfer.Limits, likewise the next three
	LimitDown   int64 `json:"limit_down,omitempty"`  //
	LimitsFrom  int   `json:"limit_from,omitempty"`  //
	LimitsUntil int   `json:"limit_until,omitempty"` //

	Networks map[string]Known `json:"networks,omitempty"`       // what the owner said of each, by its name (package place)
	Also     []string         `json:"interfaces,omitempty"`     // used although the rule leaves them out
	Not      []string         `json:"not_interfaces,omitempty"` // left out although the rule would use them

	unknown map[string]json.RawMessage
}

// Known is what is kept of a network.
type Known struct {
	Network discovery.Network `json:"network"`
	Said    time.Time         `json:"said"` // when that was decided

	unknown map[string]json.RawMessage
}

// maxNetworks is how many networks are remembered; those of whom it was said longest ago are asked about again.
const maxNetworks = 256

// Know notes what kind of network the named one is.
func (s *Settings) Know(name string, kind discovery.Network, now time.Time) {
	all := maps.Clone(s.Networks) // others may be reading it
	if all == nil {
		all = map[string]Known{}
	}
	all[name] = Known{Network: kind, Said: now}
	for len(all) > maxNetworks {
		oldest := name
		for n, k := range all {
			if k.Said.Before(all[oldest].Said) {
				oldest = n
			}
		}
		delete(all, oldest)
	}
	s.Networks = all
}

// Defaults returns the settings of a user who has decided nothing: the computer's name, WORKGROUP, a home network,
// and a folder of its own among the downloads.
func Defaults(d Dirs) Settings {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return Settings{
		Name:      legalName(host),
		Workgroup: discovery.DefaultWorkgroup,
		Network:   discovery.Home,
		Downloads: filepath.Join(d.Downloads, "Porchlight"),
	}
}

// Limits returns the limits of transfers.
func (s Settings) Limits() transfer.Limits {
	return transfer.Limits{Up: s.LimitUp, Down: s.LimitDown, From: s.LimitsFrom, Until: s.LimitsUntil}
}

// SetLimits changes them.
func (s *Settings) SetLimits(l transfer.Limits) {
	s.LimitUp, s.LimitDown, s.LimitsFrom, s.LimitsUntil = l.Up, l.Down, l.From, l.Until
}

// legalName makes a device name out of a host name: the part before the first dot, what CheckName refuses left out, cut to size.
func legalName(host string) string {
	if first, _, ok := strings.Cut(host, "."); ok && first != "" {
		host = first
	}
	name := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || discovery.IsBidi(r) {
			return -1
		}
		return r
	}, host)
	for len(name) > discovery.MaxName {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	if name = strings.TrimSpace(name); discovery.CheckName(name) != nil {
		return "Computer"
	}
	return name
}

// Check reports the first field that is out of its rules.
func (s Settings) Check() error {
	switch {
	case discovery.CheckName(s.Name) != nil:
		return fmt.Errorf("device name: %w", discovery.ErrName)
	case discovery.CheckName(s.Workgroup) != nil:
		return fmt.Errorf("workgroup: %w", discovery.ErrName)
	case !s.Network.Valid():
		return fmt.Errorf("network %q is none of home, office and public", s.Network)
	case !filepath.IsAbs(s.Downloads):
		return errors.New("the folder for downloads must be an absolute path")
	case s.Port < 0 || s.Port > 65535:
		return errors.New("port must be between 0 and 65535")
	}
	return s.Limits().Check()
}

// mend replaces each value out of its rules (the file may be edited by hand) by its default. An unreadable network is the
// careful one: it may have been public.
func (s *Settings) mend(def Settings) {
	if discovery.CheckName(s.Name) != nil {
		s.Name = def.Name
	}
	if discovery.CheckName(s.Workgroup) != nil {
		s.Workgroup = def.Workgroup
	}
	if s.Network != "" && !s.Network.Valid() {
		s.Network = discovery.Public
	}
	if s.Network == "" {
		s.Network = def.Network
	}
	for name, k := range s.Networks {
		if !k.Network.Valid() {
			k.Network = discovery.Public
			s.Networks[name] = k
		}
	}
	if !filepath.IsAbs(s.Downloads) {
		s.Downloads = def.Downloads
	}
	if s.Port < 0 || s.Port > 65535 {
		s.Port = 0
	}
	if s.Limits().Check() != nil {
		s.SetLimits(transfer.Limits{})
	}
	if s.Theme != ThemeLight && s.Theme != ThemeDark {
		s.Theme = ThemeSystem
	}
	if s.Scale < 0 || s.Scale > 4 {
		s.Scale = 0
	}
}

// plain has the fields of Settings and none of its methods.
type plain Settings

// MarshalJSON writes the known fields over the unknown ones.
func (s Settings) MarshalJSON() ([]byte, error) { return over(s.unknown, plain(s)) }

// UnmarshalJSON reads the known fields and keeps the others.
func (s *Settings) UnmarshalJSON(data []byte) error {
	var p plain
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	var err error
	p.unknown, err = unknown(data, "format", "name", "workgroup", "private", "network", "downloads", "port", "theme", "language", "scale", "first_run_done", "quit_on_close", "said_keep",
		"queue_held", "limit_up", "limit_down", "limit_from", "limit_until", "networks", "interfaces", "not_interfaces")
	*s = Settings(p)
	return err
}

type plainKnown Known

// MarshalJSON writes the known fields over the unknown ones.
func (k Known) MarshalJSON() ([]byte, error) { return over(k.unknown, plainKnown(k)) }

// UnmarshalJSON reads the known fields and keeps the others.
func (k *Known) UnmarshalJSON(data []byte) error {
	var p plainKnown
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	var err error
	p.unknown, err = unknown(data, "network", "said")
	*k = Known(p)
	return err
}

// over writes the fields of known over those that are not known.
func over(unknown map[string]json.RawMessage, known any) ([]byte, error) {
	data, err := json.Marshal(known)
	if err != nil || len(unknown) == 0 {
		return data, err
	}
	all := maps.Clone(unknown)
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// unknown returns the fields of an object that do not have one of these names, in whatever case: encoding/json reads them all alike.
// It is nil if there are none.
func unknown(data []byte, names ...string) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(key string, _ json.RawMessage) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, key) })
	})
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}
