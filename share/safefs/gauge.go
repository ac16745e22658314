package safefs

import "time"

// Gauge is told of the calls that write to a disk: how long they take says what the disk bears. It is called from several goroutines.
type Gauge interface {
	// Began is called before a call.
	Began()
	// Ended is called after it: n bytes were written; small says that they were a whole file.
	Ended(n int, small bool)
}

// Measure has g told of what is written to the folder, and to files that are opened in it from now on. It is called before any of that.
func (p *Part) Measure(g Gauge) { p.gauge = g }

// putTimed is putWatched with the gauge.
func (p *Part) putTimed(name string, data []byte, mtime time.Time) error {
	if p.gauge == nil {
		return p.putWatched(name, data, mtime)
	}
	p.gauge.Began()
	defer p.gauge.Ended(len(data), true)
	return p.putWatched(name, data, mtime)
}

// WriteAt is io.WriterAt.
func (f *PartFile) WriteAt(b []byte, off int64) (n int, err error) {
	if f.gauge == nil {
		return f.writeAt(b, off)
	}
	f.gauge.Began()
	n, err = f.writeAt(b, off)
	f.gauge.Ended(n, false)
	return n, err
}

// Sync returns when the content survives a loss of power.
func (f *PartFile) Sync() error {
	if f.gauge != nil {
		f.gauge.Began()
		defer f.gauge.Ended(0, false)
	}
	return f.watch.step(Step{Deed: SyncedFile, Name: f.name}, f.f.Sync)
}

// Sync returns when the named files, put or sealed, will survive a loss of power.
func (p *Part) Sync(names []string) error {
	if p.gauge != nil {
		p.gauge.Began()
		defer p.gauge.Ended(0, false)
	}
	return p.sync(names)
}
