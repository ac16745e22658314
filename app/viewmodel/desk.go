package viewmodel

import (
	"context"
	"time"

	"porchlight/transfer"
)

// Desk is how the program lives on this desktop. Its methods are quick but for the setters.
type Desk interface {
	// Own reports whether the engine runs in this process, and ends with it.
	Own() bool
	// KeepsRunning reports whether sharing goes on when the window is closed.
	KeepsRunning() bool
	SetKeepRunning(ctx context.Context, on bool) error
	// Starts reports whether the program starts with the computer; able is false where that cannot be arranged.
	Starts() (on, able bool)
	SetStarts(ctx context.Context, on bool) error
	// FirstClose reports whether the window was closed for the first time while sharing goes on, and remembers it.
	FirstClose(ctx context.Context) bool
}

// Switch is a setting that is on or off.
type Switch struct {
	Key  string
	Name string
	Text string
	On   bool
}

// Switches of the desktop.
const (
	switchKeep   = "keep"
	switchStarts = "starts"
)

// Switches returns what can be switched on and off here.
func (s *Settings) Switches() []Switch {
	desk := s.core.cfg.Desk
	if desk == nil {
		return nil
	}
	w := s.core.words
	var out []Switch
	if desk.Own() {
		out = append(out, Switch{switchKeep, w.Text("settings.keep"), w.Text("settings.keep.text"), desk.KeepsRunning()})
	}
	if on, able := desk.Starts(); able {
		out = append(out, Switch{switchStarts, w.Text("settings.starts"), w.Text("settings.starts.text"), on})
	}
	return out
}

// Flip switches one of them.
func (s *Settings) Flip(key string, on bool) {
	desk := s.core.cfg.Desk
	s.core.ask(func(ctx context.Context, _ Engine) error {
		defer s.core.changed()
		if key == switchKeep {
			return desk.SetKeepRunning(ctx, on)
		}
		return desk.SetStarts(ctx, on)
	})
}

// Tiding is something a person who looks elsewhere wants to hear of.
type Tiding struct{ Title, Text string }

// worthATiding is how long a pull takes that people turn away from.
const worthATiding = 10 * time.Second

// tidings compares two states of the engine: a long pull that ended, a pull that cannot go on without its owner, and a new
// network. What was so at the start is no news.
func (c *core) tidings(before, after snapshot) (out []Tiding) {
	if !before.ready {
		return nil
	}
	t := Transfers{core: c}
	was := map[transfer.JobID]transfer.Job{}
	for _, j := range before.jobs {
		was[j.ID] = j
	}
	for _, j := range after.jobs {
		old, known := was[j.ID]
		if !known || old.State == j.State {
			continue
		}
		switch {
		case j.State == transfer.Done && j.Ended.Sub(j.Created) > worthATiding:
			out = append(out, Tiding{c.words.Text("tiding.done"), c.words.Text("tiding.done.text", "What", t.title(j), "From", j.From)})
		case j.State == transfer.Failed, j.State == transfer.Away && j.Trouble != transfer.SourceAway && j.Trouble != transfer.ShareAway && j.Trouble != transfer.NoTrouble:
			out = append(out, Tiding{c.words.Text("tiding.help", "What", t.title(j)), t.why(j, false)})
		}
	}
	if after.self.Ask && !before.self.Ask {
		out = append(out, Tiding{c.words.Text("first.network.title"), c.words.Text("network.new.text", "Where", newPlace(after.self))})
	}
	return append(out, c.asks(before, after)...)
}
