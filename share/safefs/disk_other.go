//go:build !unix

package safefs

import (
	"path/filepath"
	"strings"
)

// Disk names the disk that the target is on, for as long as that is there; empty if it cannot be told.
func (d *Dest) Disk() string { return strings.ToUpper(filepath.VolumeName(d.dir)) }
