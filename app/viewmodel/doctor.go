package viewmodel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
)

// DoctorRow is one check of the doctor in words.
type DoctorRow struct {
	Level doctor.Level
	Icon  string
	Text  string
	Do    string // what to do about it; may be empty
	Fix   string // command lines that do it, one below the other; may be empty
	Note  string // what to know of them; may be empty
	Self  Remedy // what the program can do about it itself, instead of the command lines
}

// Remedy is something the program does when asked for it and then once more; the zero one is none.
type Remedy struct{ Label, Title, Text string }

// Doctor shows why somebody is missing.
type Doctor struct {
	core *core

	mu     sync.Mutex // guards the fields below
	found  []doctor.Finding
	busy   bool
	done   time.Time // of the last check; zero before the first
	ground string    // of the last check
}

// diagnosis is how long an answer may take: the neighbours are asked, and those that are missing dialled.
const diagnosis = 30 * time.Second

// Check looks again, unless it is looking.
func (d *Doctor) Check() {
	d.mu.Lock()
	if d.busy {
		d.mu.Unlock()
		return
	}
	d.busy, d.ground = true, ground(d.core.now())
	d.mu.Unlock()
	d.core.changed()
	d.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, diagnosis)
		defer cancel()
		found, err := d.core.eng().Diagnose(ctx)
		d.mu.Lock()
		d.busy = false
		if err == nil {
			d.found, d.done = found, d.core.cfg.Now()
		}
		d.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			d.core.note.say(Bad, d.core.errorWords(err))
		}
		d.core.changed()
		d.core.stirs() // what changed meanwhile counts, too
	})
}

// ground is what a diagnosis rests on: with another network or other neighbours it says nothing any more.
func ground(s snapshot) string {
	var here []string
	for _, p := range s.peers {
		if p.State == discovery.Online {
			here = append(here, p.ID.String())
		}
	}
	slices.Sort(here)
	return fmt.Sprint(s.self.Network, s.self.Ask, s.self.Port, s.self.Addresses, here)
}

// follow looks again if the last look does not hold any more.
func (d *Doctor) follow() {
	d.mu.Lock()
	stale := !d.busy && d.ground != ground(d.core.now())
	d.mu.Unlock()
	if stale {
		d.Check()
	}
}

// Busy reports whether it is looking.
func (d *Doctor) Busy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.busy
}

// Summary says the result in a line, or that it is still looking.
func (d *Doctor) Summary() string {
	d.mu.Lock()
	found, busy, done := d.found, d.busy, d.done
	d.mu.Unlock()
	troubles := 0
	for _, f := range found {
		if f.Level == doctor.Trouble {
			troubles++
		}
	}
	switch {
	case busy || done.IsZero():
		return d.core.words.Text("doctor.busy")
	case troubles > 0:
		return d.core.words.Text("doctor.trouble", "Count", troubles)
	}
	return d.core.words.Text("doctor.fine")
}

// Rows are the checks, the worst first.
func (d *Doctor) Rows() []DoctorRow {
	d.mu.Lock()
	found := d.found
	d.mu.Unlock()
	rows := make([]DoctorRow, 0, len(found))
	for _, f := range found {
		var params []any
		for name, value := range f.Params {
			params = append(params, name, value)
		}
		key := "doctor." + string(f.Code)
		if service := "health." + f.Params["Service"]; f.Code == doctor.Service && d.core.words.Has(service) {
			key = service
		}
		r := DoctorRow{Level: f.Level, Icon: "check", Text: d.core.words.Text(key, params...), Fix: strings.Join(f.Fix, "\n")}
		switch f.Level {
		case doctor.Trouble:
			r.Icon = "careful"
		case doctor.Hint:
			r.Icon = "info"
		}
		if key += ".do"; f.Level != doctor.Good && d.core.words.Has(key) {
			r.Do = d.core.words.Text(key, params...)
		}
		if f.Brief {
			r.Note = d.core.words.Text("doctor.fix.brief")
		}
		if f.Code == doctor.TwinSelf {
			r.Self = Remedy{d.core.words.Text("doctor.new"), d.core.words.Text("doctor.new.title"), d.core.words.Text("doctor.new.text")}
		}
		rows = append(rows, r)
	}
	return rows
}

// MakeNew makes this computer a new one, and looks again.
func (d *Doctor) MakeNew() {
	d.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if _, err := d.core.eng().NewIdentity(ctx); err != nil {
			if ctx.Err() == nil {
				d.core.note.say(Bad, d.core.errorWords(err))
			}
			return
		}
		d.core.note.say(Good, d.core.words.Text("doctor.new.done"))
		d.Check()
	})
}

// Report is all of it as text, for somebody who helps. It holds what the page shows and the version, nothing else.
func (d *Doctor) Report() string {
	self := d.core.now().self
	d.mu.Lock()
	done := d.done
	d.mu.Unlock()
	var b strings.Builder
	b.WriteString("Porchlight " + self.Version + ", " + done.UTC().Format(time.RFC3339) + "\n")
	for _, r := range d.Rows() {
		b.WriteString("\n[" + string(r.Level) + "] " + r.Text + "\n")
		for _, line := range strings.Split(r.Do+"\n"+r.Fix+"\n"+r.Note, "\n") {
			if line != "" {
				b.WriteString("    " + line + "\n")
			}
		}
	}
	return b.String()
}

// Copied says that the report is where it can be pasted.
func (d *Doctor) Copied() { d.core.note.say(Good, d.core.words.Text("doctor.copied")) }
