package viewmodel

import (
	"context"
	"sync"
)

// Step is one of the first steps.
type Step int

// The steps, in order.
const (
	StepName Step = iota
	StepNetwork
	StepShare
	steps
)

// FirstRun leads through three short steps when the program is new. Each can be skipped.
type FirstRun struct {
	core *core
	nav  *Navigation

	mu   sync.Mutex // guards the field below
	step Step
}

// Step returns where the person is.
func (f *FirstRun) Step() Step {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.step
}

// Title returns the question of this step, what it is for, and how far one is.
func (f *FirstRun) Title() (title, text, progress string) {
	w, step := f.core.words, f.Step()
	key := "first." + []string{"name", "network", "share"}[step]
	return w.Text(key + ".title"), w.Text(key + ".text"), w.Text("first.progress", "N", int(step)+1, "All", int(steps))
}

// Last reports whether this step is the last one.
func (f *FirstRun) Last() bool { return f.Step() == steps-1 }

// Next goes on; after the last step the first run is over for good.
func (f *FirstRun) Next() {
	f.mu.Lock()
	last := f.step == steps-1
	if !last {
		f.step++
	}
	f.mu.Unlock()
	if last {
		f.Finish()
		return
	}
	f.core.changed()
}

// Back goes to the step before.
func (f *FirstRun) Back() {
	f.mu.Lock()
	f.step = max(f.step-1, 0)
	f.mu.Unlock()
	f.core.changed()
}

// Finish ends the first run, from any step.
func (f *FirstRun) Finish() {
	f.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := f.core.eng().FinishFirstRun(ctx); err != nil {
			f.core.note.say(Bad, f.core.errorWords(err))
			return
		}
		f.core.mu.Lock()
		f.core.snap.self.FirstRun = false // not to wait for the engine's next word
		f.core.mu.Unlock()
		f.core.changed()
	})
}
