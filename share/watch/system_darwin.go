package watch

import (
	"os"

	"golang.org/x/sys/unix"
)

// mostEntries bounds the size of a watched folder: kqueue holds every file in it open.
const mostEntries = 100

// systemLimit is a quarter of nothing known: files are what runs out, see mostEntries.
func systemLimit() int { return 4 * 64 }

// watchable reports whether the system hears of all changes, at a bearable price.
func watchable(path string) bool {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil || st.Flags&unix.MNT_LOCAL == 0 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(mostEntries + 1)
	return len(names) <= mostEntries
}
