package whole

import (
	"errors"
	"time"

	"golang.org/x/sys/windows"
)

// againFor is how long Again tries.
const againFor = 2 * time.Second

// Again renames or removes a file by f, and tries for two seconds while another program has it open: on Windows one that looks for
// viruses or makes an index opens each new file for a moment, and nothing can be done with its name meanwhile.
func Again(f func() error) error {
	for wait, end := 5*time.Millisecond, time.Now().Add(againFor); ; wait = min(2*wait, 200*time.Millisecond) {
		err := f()
		if err == nil || !inUse(err) || time.Now().After(end) {
			return err
		}
		time.Sleep(wait)
	}
}

// inUse reports whether err is what Windows says of files that are open. It says "access denied" of some that can be replaced soon.
func inUse(err error) bool {
	for _, e := range []windows.Errno{windows.ERROR_SHARING_VIOLATION, windows.ERROR_LOCK_VIOLATION, windows.ERROR_ACCESS_DENIED,
		windows.ERROR_USER_MAPPED_FILE, windows.ERROR_DELETE_PENDING} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
