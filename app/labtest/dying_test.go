//go:build linux && lab

package labtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// dyingScript is a disk that fails in places: it shows the folder argv[1] in argv[2], but can say nothing of "lost", not read what is in
// the folder "dark", and read neither the end of "torn" nor any of "dead".
const dyingScript = `
import errno, os, sys
try: import fusepy as fuse
except ImportError: import fuse
class Dying(fuse.Operations):
    def at(self, path, *bad):
        if os.path.basename(path) in bad: raise fuse.FuseOSError(errno.EIO)
        return sys.argv[1] + path
    def getattr(self, path, fh=None):
        st = os.lstat(self.at(path, 'lost'))
        return {k: getattr(st, k) for k in ('st_atime', 'st_ctime', 'st_gid', 'st_mode', 'st_mtime', 'st_nlink', 'st_size', 'st_uid', 'st_ino')}
    def readdir(self, path, fh): return ['.', '..'] + os.listdir(self.at(path, 'dark'))
    def open(self, path, flags): return os.open(self.at(path), flags)
    def read(self, path, n, off, fh):
        self.at(path, 'dead', 'torn' if off + n > 2000000 else '')
        return os.pread(fh, n, off)
    def release(self, path, fh): os.close(fh)
fuse.FUSE(Dying(), sys.argv[2], foreground=True, nothreads=True, use_ino=True)
`

// TestDyingDisk: what a failing disk still gives is got, and what it does not give is named.
func TestDyingDisk(t *testing.T) {
	python := "/usr/bin/python3" // the one Debian's packages are for
	if exec.Command(python, "-c", "import fusepy").Run() != nil && exec.Command(python, "-c", "import fuse").Run() != nil {
		t.Skip("FUSE for Python is not installed (python3-fusepy)")
	}
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	below, disk := anna.Path("below"), anna.Path("disk")
	for i, name := range []string{"a", "m", "z", "torn", "sub/deep"} {
		writeFile(t, filepath.Join(below, name), 3*mib, byte(i))
	}
	for i, name := range []string{"dead", "lost", "dark/hidden", "sub/lost"} {
		writeFile(t, filepath.Join(below, name), 100, byte(10+i))
	}
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	driver := exec.Command(python, "-c", dyingScript, below, disk)
	if err := driver.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		must(t, "umount", "-l", disk)
		_ = driver.Process.Kill()
		_ = driver.Wait()
	})
	eventually(t, 10*time.Second, "the disk is there", func() bool { return exec.Command("mountpoint", "-q", disk).Run() == nil })
	serveAll(t, devices)
	anna.Share(t, disk, "rescue")
	into := bo.Path("into")
	job := bo.get(t, anna.At("rescue"), into)
	var lost []string
	for _, p := range job.Problems {
		lost = append(lost, p.Path+" "+p.Trouble)
	}
	slices.Sort(lost)
	if want := []string{"dark source-broken", "dead source-broken", "lost source-broken", "sub/lost source-broken", "torn source-broken"}; !slices.Equal(lost, want) {
		t.Errorf("lost %q, want %q: %+v", lost, want, job)
	}
	for _, name := range []string{"a", "m", "z", "sub/deep"} {
		must(t, "cmp", filepath.Join(below, name), filepath.Join(into, "rescue", name))
	}
	if job.Done != 4 || job.State != "done" {
		t.Errorf("%+v", job)
	}
}
