package safefs

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"porchlight/share"
)

// Why an Other cannot be opened: share.Entry.Reason. Short words, the same in every language; whoever shows them translates.
const (
	ReasonLink   = "link"
	ReasonDevice = "device"
	ReasonPipe   = "pipe"
	ReasonSocket = "socket"
	ReasonMount  = "another disk" // a volume mounted inside the share
	ReasonName   = "unreadable name"
	ReasonDeep   = "path too long"
	ReasonAccess = "no access"
	ReasonBroken = "damaged" // the disk cannot say anything about it
)

// meta is what the disk says about one entry.
type meta struct {
	kind         share.EntryKind
	size         int64
	mtime, ctime int64 // ns since 1970
	ino          uint64
	cloud        bool
	reason       string
}

// volume is what tells the files of one disk from those of another.
type volume struct {
	id uint64
	// loose: inodes are made up as files are looked at (FAT, FUSE). There the path stands for the inode.
	loose bool
	dir   string // of the tree; only where loose
}

// version is the digest that share.Version describes.
func (m meta) version(v volume, p share.Path) share.Version {
	var b [40]byte
	ino := m.ino
	if v.loose {
		ino = 0
	}
	for i, n := range [5]uint64{v.id, ino, uint64(m.size), uint64(m.mtime), uint64(m.ctime)} {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	if !v.loose {
		s := sha256.Sum256(b[:])
		return share.Version(s[:16])
	}
	s := sha256.Sum256([]byte(string(b[:]) + v.dir + "/" + string(p)))
	return share.Version(s[:16])
}

// entry makes the line of a listing.
func (a *anchor) entry(p share.Path, m meta) share.Entry {
	e := share.Entry{Path: p, Kind: m.kind, MTime: time.Unix(0, m.mtime), Cloud: m.cloud, Reason: m.reason}
	if m.kind == share.File {
		e.Size, e.Version = m.size, m.version(a.volume, p)
	}
	return e
}

// child makes the path of a name the disk gave. A name that can be no path makes a path only fit to be shown, and a reason;
// an empty path means that not even that fits.
func child(dir share.Path, name string) (p share.Path, reason string) {
	full := strings.Clone(name) // names share the memory of a whole read; a path may be kept
	if dir != "" {
		full = string(dir) + "/" + name
	}
	switch {
	case share.CheckComponent(name) != nil:
		reason = ReasonName
	case len(full) > share.MaxPath || strings.Count(full, "/") >= share.MaxDepth:
		reason = ReasonDeep
	default:
		return share.Path(full), ""
	}
	room := share.MaxPath - (len(full) - len(name))
	shown := showable(name)
	for len(shown) > room && shown != "" {
		_, n := utf8.DecodeLastRuneInString(shown)
		shown = shown[:len(shown)-n]
	}
	if shown == "" {
		return "", reason
	}
	return share.Path(full[:len(full)-len(name)] + shown), reason
}

// showable replaces what cannot be shown or sent.
func showable(name string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r == '/' || r != '\\' && share.CheckComponent("x"+string(r)) != nil {
			return utf8.RuneError
		}
		return r
	}, name)
}
