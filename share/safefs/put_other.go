//go:build !linux

package safefs

import (
	"os"
	"time"
)

func (p *Part) put(name string, data []byte, mtime time.Time) error {
	if err := p.Remove(name); err != nil {
		return err
	}
	f, err := p.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return p.Seal(f, name, mtime)
}
