package safefs

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"unicode/utf8"
)

// partsDir holds what is not whole yet, in every folder that is written to. Its name is private: no listing shows it and no neighbour can name it.
const partsDir = ".porchlight-part"

// probes is how the names of all files begin that are made only to see what happens.
const probes = "probe"

// probe finds out what the disk is like by trying: one computer has many disks, and the system's name says little about them.
func (d *Dest) probe() error {
	if err := d.makeParts(); err != nil {
		return err
	}
	parts, err := d.parts()
	if err != nil {
		return err
	}
	defer parts.Close()
	err = d.watch.step(Step{Deed: MadeFile, Name: partsDir + "/probe"}, func() error {
		d.fold, err = foldsCase(parts)
		return err
	})
	if err != nil {
		return err
	}
	d.strict = runtime.GOOS == "windows" || refuses(parts, probes+`?":`)
	d.last = lastLetter(parts)
	d.years = tryYears(parts)
	d.maxName, d.maxFile = diskLimits(d.dir)
	return nil
}

// makeParts makes the private folder. Not an error if it is there, but it must be a real folder.
func (d *Dest) makeParts() error {
	err := d.watch.step(Step{Deed: MadeFolder, Name: partsDir}, func() error { return d.root.Mkdir(partsDir, 0o700) })
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
		return fmt.Errorf("%w: the folder for parts is not a folder", fs.ErrExist)
	}
	return nil
}

// parts opens the private folder: itself, never what somebody put a link to in its place.
func (d *Dest) parts() (*os.Root, error) {
	info, err := d.root.Lstat(partsDir)
	if err != nil {
		return nil, err
	}
	return enter(d.root, partsDir, info)
}

// foldsCase makes a file and asks for it by another spelling. Nothing else has either name: whether two files are the same one some file systems cannot say.
func foldsCase(parts *os.Root) (bool, error) {
	for range 5 { // another pull that ends may sweep the file away meanwhile
		tag := strings.ToLower(rand.Text()[:8])
		made, asked := probes+"-Case-"+tag, probes+"-case-"+tag
		f, err := parts.OpenFile(made, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return false, err
		}
		f.Close()
		_, err = parts.Lstat(asked)
		rerr := parts.Remove(made)
		if rerr == nil {
			return err == nil, nil
		}
		if !errors.Is(rerr, fs.ErrNotExist) {
			return false, rerr
		}
	}
	return false, fmt.Errorf("%w: the probes vanish", fs.ErrNotExist)
}

// sweepProbes removes what a crash left of a probe: with it the folder could never go.
func sweepProbes(parts *os.Root) {
	dir, err := parts.Open(".")
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1) // what cannot be listed stays
	for _, n := range names {
		if strings.HasPrefix(n, probes) {
			_ = parts.Remove(n)
		}
	}
}

// refuses reports whether a file of that name cannot be made.
func refuses(parts *os.Root, name string) bool {
	f, err := parts.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return true
	}
	f.Close()
	_ = parts.Remove(name) // an empty file in the private folder, at worst
	return false
}

// lastLetter is up to where letters have a code on the disk: how FAT is mounted decides about that.
func lastLetter(parts *os.Root) rune {
	last := rune('~')
	for _, r := range []rune{'\u00ff', '\uffef', utf8.MaxRune} {
		try := map[rune]string{'\u00ff': "probe-\u00fc", '\uffef': "probe-\u6f22", utf8.MaxRune: "probe-\U0001f3e0"}[r]
		if refuses(parts, try) {
			return last
		}
		last = r
	}
	return last
}
