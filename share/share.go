// Package share names what a device offers: folders, drives, printers and scanners.
//
// It holds nouns and rules only: no I/O, no goroutines, standard library.
package share

import (
	"encoding/hex"
	"errors"
	"time"
)

// ID is the random name of a share; it survives renames.
type ID [16]byte

// String returns 32 hexadecimal digits.
func (i ID) String() string { return hex.EncodeToString(i[:]) }

// MarshalText writes the hexadecimal form.
func (i ID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the hexadecimal form.
func (i *ID) UnmarshalText(b []byte) (err error) {
	*i, err = ParseID(string(b))
	return err
}

// ErrID says that a text is no share ID.
var ErrID = errors.New("not a share ID")

// ParseID reads 32 hexadecimal digits.
func ParseID(s string) (ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return ID{}, ErrID
	}
	return ID(b), nil
}

// Kind says what sort of thing is shared.
type Kind uint8

// The kinds of shares.
const (
	Folder Kind = iota + 1
	Drive
	Printer
	Scanner
	Inbox
)

// Limits on what one device offers.
const (
	MaxShares = 256
	MaxGrants = 64
)

// Share is one thing this device offers. Path is local and never leaves the computer.
type Share struct {
	ID    ID
	Kind  Kind
	Name  string // NFC, 1 to 64 bytes, shown to others
	Path  string // absolute, on this computer
	Added time.Time
	// Audience says for whom it is; empty: nobody has decided, and anyone nearby may look.
	Audience []Grant
	Left     bool // some of its rows are for a workgroup this computer is not in any more, and so about nobody; known where shares are listed for people
	Lost     bool // for whom it is could not be read any more: it is for nobody until that is said anew
	Away     bool // the folder or drive is not there right now; known where shares are listed for people
}

// EntryKind says what an entry of a listing is.
type EntryKind uint8

// The kinds of entries. What is neither file nor folder is listed as Other, with the reason, and cannot be opened.
const (
	File EntryKind = iota + 1
	Dir
	Other
)

// Version binds bytes to one state of a file: the first 16 bytes of a digest of volume, inode, size, mtime and ctime.
type Version [16]byte

// String returns 32 hexadecimal digits; it is the entity tag on the wire.
func (v Version) String() string { return hex.EncodeToString(v[:]) }

// ParseVersion reads 32 hexadecimal digits.
func ParseVersion(s string) (Version, error) {
	id, err := ParseID(s)
	return Version(id), err
}

// Entry is one line of a listing. A value; readers may keep it.
type Entry struct {
	Path    Path      // below the share's root; for a plain listing the name alone is new
	Kind    EntryKind // file, folder, or something that is only shown
	Size    int64     // bytes; of a folder 0
	MTime   time.Time
	Version Version // of a file
	Cloud   bool    // a cloud placeholder: reading it would fetch it from the internet, so nothing reads it unasked
	Reason  string  // why an Other cannot be opened: "link", "device", "unreadable name"
}

// Name is the last component.
func (e Entry) Name() string { return e.Path.Base() }

// Sort is the order of a listing. Folders always come first; ties fall back to the name.
type Sort string

// The orders. A leading minus reverses.
const (
	ByName    Sort = "name"
	BySize    Sort = "size"
	ByMTime   Sort = "mtime"
	ByKind    Sort = "kind"
	ByNameRev Sort = "-name"
	BySizeRev Sort = "-size"
	ByTimeRev Sort = "-mtime"
	ByKindRev Sort = "-kind"
)

// Valid reports whether s is one of the orders.
func (s Sort) Valid() bool {
	switch s {
	case ByName, BySize, ByMTime, ByKind, ByNameRev, BySizeRev, ByTimeRev, ByKindRev:
		return true
	}
	return false
}

// Offer is a share as a neighbour sees it: no path, nothing local.
type Offer struct {
	ID   ID
	Kind Kind
	Name string
	Away bool // the folder or drive is not there right now
}
