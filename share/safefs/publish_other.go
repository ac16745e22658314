//go:build !linux && !darwin && !windows

package safefs

import (
	"os"
	"time"
)

// publish has no rename that does not replace here.
func publish(p *Part, name string, to *Folder, final string) error {
	return linkPublish(p, name, to, final)
}

// linkPublish gives a second name, then takes the first one away. A crash between leaves both, each whole.
func linkPublish(p *Part, name string, to *Folder, final string) error {
	from, rel := partsDir+"/"+p.id.String()+"/"+name, final
	if to.rel != "" {
		rel = to.rel + "/" + final
	}
	if err := p.dest.root.Link(from, rel); err != nil {
		return err
	}
	return p.dest.root.Remove(from)
}

func mark(*Part, *os.File, string) {}

func hide(string, string) error { return nil }

func settle(f *os.File) error { return f.Sync() }

// flush has nothing left to do: settle did it file by file.
func flush(*Part, []string) error { return nil }

func syncEvicted(dir *os.File) error { return dir.Sync() }

func (*Dest) syncFolders(dirs []*Folder, _ bool) error {
	for _, d := range dirs {
		if err := d.dir.Sync(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Part) put(name string, data []byte, mtime time.Time) error {
	return p.putPlain(name, data, mtime)
}
