package safefs

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
)

// partsDir holds what is not whole yet, in every folder that is written to. Its name is private: no listing shows it and no neighbour can name it.
const partsDir = ".porchlight-part"

// probe finds out what the disk is like by trying: one computer has many disks, and the system's name says little about them.
func (d *Dest) probe() error {
	if err := d.makeParts(); err != nil {
		return err
	}
	var err error
	if d.fold, err = d.foldsCase(); err != nil {
		return err
	}
	d.strict = runtime.GOOS == "windows" || d.refuses("probe"+`?":`)
	d.maxName, d.maxFile = diskLimits(d.dir)
	return nil
}

// makeParts makes the private folder. Not an error if it is there, but it must be a real folder.
func (d *Dest) makeParts() error {
	err := d.root.Mkdir(partsDir, 0o700)
	if err == nil {
		return hide(d.dir, partsDir)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := d.root.Lstat(partsDir)
	if err != nil {
		return err
	}
	if !plainDir(info) {
		return errors.New("the folder for parts is not a folder")
	}
	return nil
}

func (d *Dest) foldsCase() (bool, error) {
	const made, asked = partsDir + "/probe-Case", partsDir + "/probe-case"
	f, err := d.root.OpenFile(made, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	mine, err := f.Stat()
	f.Close()
	if err != nil {
		return false, err
	}
	other, err := d.root.Lstat(asked)
	fold := err == nil && os.SameFile(mine, other)
	if err := d.root.Remove(made); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err // two jobs may try the same disk at once
	}
	return fold, nil
}

// refuses reports whether a file of that name cannot be made.
func (d *Dest) refuses(name string) bool {
	f, err := d.root.OpenFile(partsDir+"/"+name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return true
	}
	f.Close()
	_ = d.root.Remove(partsDir + "/" + name) // an empty file in the private folder, at worst
	return false
}
