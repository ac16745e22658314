//go:build unix

package safefs

import (
	"strconv"
	"syscall"
)

// Disk names the disk that the target is on, for as long as that is there; empty if it cannot be told.
func (d *Dest) Disk() string {
	info, err := d.root.Stat(".")
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return strconv.FormatUint(uint64(st.Dev), 16)
}
