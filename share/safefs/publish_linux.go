package safefs

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// publish renames without replacing.
func publish(p *Part, name string, to *Folder, final string) error {
	_, err := retry(func() (int, error) {
		return 0, unix.Renameat2(int(p.dir.Fd()), name, int(to.dir.Fd()), final, unix.RENAME_NOREPLACE)
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return linkPublish(p, name, to, final)
	}
	return err
}

// mark says where a file came from; on Linux nothing reads such a mark.
func mark(*Part, *os.File, string) {}

// hide does what the dot does already.
func hide(string, string) error { return nil }

// settle is left to flush, which makes many files durable for the price of one.
func settle(*os.File) error { return nil }

// fewFiles are synced one by one: syncfs waits for everybody's writes to the disk, not only for ours.
const fewFiles = 8

func flush(p *Part, names []string) error {
	if len(names) > fewFiles {
		return p.dest.syncDisk(p.dir)
	}
	for _, n := range names {
		f, err := p.root.Open(n)
		if err != nil {
			return err
		}
		err = p.dest.watch.step(Step{Deed: SyncedFile, Name: p.rel(n)}, f.Sync)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// syncDisk makes everything durable that was written to the disk of f.
func (d *Dest) syncDisk(f *os.File) error {
	return d.watch.step(Step{Deed: SyncedDisk}, func() error {
		_, err := retry(func() (int, error) { return 0, unix.Syncfs(int(f.Fd())) })
		return err
	})
}

// syncEvicted leaves it to syncFolders, which is told.
func syncEvicted(*os.File) error { return nil }

// syncFolders makes the names in some folders durable; late says that there are more, closed by now.
func (d *Dest) syncFolders(dirs []*Folder, late bool) error {
	if late || len(dirs) > fewFiles {
		top, err := d.root.Open(".")
		if err != nil {
			return err
		}
		defer top.Close()
		return d.syncDisk(top)
	}
	for _, f := range dirs {
		err := d.watch.step(Step{Deed: SyncedFolder, Name: f.rel}, f.dir.Sync)
		if err != nil && !errors.Is(err, unix.EINVAL) { // some network volumes have no such call
			return err
		}
	}
	return nil
}

// put makes a small file with as few calls as there can be: tens of thousands of them are the common case.
func (p *Part) put(name string, data []byte, mtime time.Time) error {
	dir := int(p.dir.Fd())
	const flags = unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW
	fd, err := retry(func() (int, error) { return unix.Openat(dir, name, flags, 0o666) })
	if errors.Is(err, unix.EEXIST) {
		return p.putPlain(name, data, mtime)
	}
	if err != nil {
		return err
	}
	for len(data) > 0 && err == nil {
		var n int
		n, err = retry(func() (int, error) { return unix.Write(fd, data) })
		data = data[max(n, 0):]
	}
	timed := err == nil && stamp(fd, p.dest.years.clamp(mtime))
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	if err == nil && !timed {
		err = p.setTime(name, mtime)
	}
	return err
}

// stamp sets the time of change of an open file, which costs less than by its name. Kernels before 5.8 cannot, and no disk every year.
// The time of reading is set with it: file systems on libfuse 2 do not hear of one without the other.
func stamp(fd int, t time.Time) bool {
	now, nerr := unix.TimeToTimespec(time.Now())
	ts, err := unix.TimeToTimespec(t)
	return err == nil && nerr == nil && unix.UtimesNanoAt(fd, "", []unix.Timespec{now, ts}, unix.AT_EMPTY_PATH) == nil
}
