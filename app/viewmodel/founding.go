package viewmodel

import (
	"context"
	"strings"
	"sync"

	"porchlight/discovery"
	"porchlight/discovery/workgroup"
)

// Founding makes workgroups, and leads to one that was made anew.
type Founding struct {
	core *core
	nav  *Navigation

	mu    sync.Mutex // guards the field below
	later map[workgroup.ID]bool
}

// CreateQuestion is what is asked before a workgroup is made.
type CreateQuestion struct {
	Title, Text string
	Name        string // to begin with
	Mine        string // label of the field for whose computer this is
	Stay        string // label of the tick; empty when this computer is in no open workgroup
	StayText    string
	Yes         string
}

// Ask returns the question.
func (f *Founding) Ask() CreateQuestion {
	w, self := f.core.words, f.core.now().self
	q := CreateQuestion{Title: w.Text("create.title"), Text: w.Text("create.text"), Name: self.Workgroup, Mine: w.Text("create.mine"), Yes: w.Text("create.yes")}
	if strings.EqualFold(q.Name, discovery.DefaultWorkgroup) || q.Name == "" {
		q.Name = w.Text("create.home")
	}
	if self.Open {
		q.Stay, q.StayText = w.Text("create.stay", "Name", self.Workgroup), w.Text("create.stay.text")
	}
	return q
}

// Create makes a workgroup of which this computer is the first, and leads to its recovery sheet. It returns in words what is
// wrong, or "".
func (f *Founding) Create(name, mine string, stay bool) string {
	found, why := f.founding(name, mine)
	if why != "" {
		return why
	}
	leave := f.core.now().self.Open && !stay
	f.core.ask(func(ctx context.Context, e Engine) error {
		w, err := e.CreateWorkgroup(ctx, found)
		if err != nil {
			return err
		}
		f.nav.Go(Place{Page: PageSheet, Group: w.ID})
		if leave {
			return e.SetOpen(ctx, false)
		}
		return nil
	})
	return ""
}

func (f *Founding) founding(name, mine string) (workgroup.Founding, string) {
	self := f.core.now().self
	w := workgroup.Founding{Name: strings.TrimSpace(name), Device: self.Name, PersonName: strings.TrimSpace(mine)}
	if w.PersonName == "" {
		w.PersonName = self.Name
	}
	if discovery.CheckName(w.Name) != nil || discovery.CheckName(w.PersonName) != nil {
		return w, f.core.words.Text("error.name")
	}
	return w, ""
}

// OverQuestion is asked before a workgroup is started over.
type OverQuestion struct {
	Group       workgroup.ID
	Title, Text string
	Name        string
	Keep        []Tick // all ticked at first but those who are out
	Ask         string
	Yes         string
}

// AskOver finds out what the question is; then is called from another goroutine.
func (f *Founding) AskOver(id workgroup.ID, then func(OverQuestion)) {
	c := f.core
	c.ask(func(ctx context.Context, e Engine) error {
		past, err := e.PastMembers(ctx, id)
		if err != nil {
			return err
		}
		w, _ := c.group(id)
		words := c.words
		q := OverQuestion{Group: id, Title: words.Text("over.title", "Name", nameOfGroup(w)), Text: words.Text("over.text"), Name: w.Name, Ask: words.Text("over.keep"), Yes: words.Text("over.yes")}
		now := map[discovery.DeviceID]bool{}
		for _, m := range w.Members {
			now[m.ID] = true
		}
		for _, m := range past {
			if !m.Self {
				q.Keep = append(q.Keep, Tick{m.ID, memberName(m, past), m.PersonName, now[m.ID]})
			}
		}
		then(q)
		return nil
	})
}

// StartOver makes a workgroup that continues another one, with those who are ticked.
func (f *Founding) StartOver(q OverQuestion, name string) string {
	w, _ := f.core.group(q.Group)
	mine := ""
	for _, m := range w.Members {
		if m.Self {
			mine = m.PersonName
		}
	}
	found, why := f.founding(name, mine)
	if why != "" {
		return why
	}
	var keep []discovery.DeviceID
	for _, t := range q.Keep {
		if t.Chosen {
			keep = append(keep, t.ID)
		}
	}
	f.core.ask(func(ctx context.Context, e Engine) error {
		w, err := e.StartOver(ctx, q.Group, found, keep)
		if err == nil {
			f.nav.Go(Place{Page: PageSheet, Group: w.ID})
		}
		return err
	})
	return ""
}

// MoveCard is the question whether to follow somebody who started over.
type MoveCard struct {
	ID          workgroup.ID
	Title, Text string
}

// Card returns the question, and false when there is none or it was put off.
func (f *Founding) Card() (MoveCard, bool) {
	for _, o := range f.core.now().moves {
		f.mu.Lock()
		later := f.later[o.ID]
		f.mu.Unlock()
		if !later {
			return MoveCard{o.ID, f.core.words.Text("move.title", "Name", o.Name), f.core.moveText(o)}, true
		}
	}
	return MoveCard{}, false
}

// moveText says who started over, with whom and without whom.
func (c *core) moveText(o workgroup.Offer) string {
	without := memberNames(o.Without)
	if without == "" {
		return c.words.Text("move.text", "By", o.By.Name, "Name", o.Name, "Count", len(o.Members))
	}
	return c.words.Text("move.without", "By", o.By.Name, "Name", o.Name, "Count", len(o.Members), "Without", without)
}

// Move answers the question.
func (f *Founding) Move(id workgroup.ID, yes bool) {
	f.core.ask(func(ctx context.Context, e Engine) error {
		if yes {
			return e.MoveOver(ctx, id)
		}
		return e.DeclineMove(ctx, id)
	})
}

// MoveLater puts the question off until the next start.
func (f *Founding) MoveLater(id workgroup.ID) {
	f.mu.Lock()
	if f.later == nil {
		f.later = map[workgroup.ID]bool{}
	}
	f.later[id] = true
	f.mu.Unlock()
	f.core.changed()
}
