package viewmodel

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// RecoverStep is one of the steps back into a workgroup by its recovery sheet.
type RecoverStep int

// The steps, in order.
const (
	RecoverLetters RecoverStep = iota
	RecoverMoment
	RecoverWho
)

// RecoverPage is what the page shows.
type RecoverPage struct {
	Step    RecoverStep
	Title   string
	Text    string
	Moments []Choice // of the second step
	Members []Tick   // of the third: those who were there at that moment
	Busy    bool
	Trouble string
}

// Tick is one computer with a tick.
type Tick struct {
	ID     discovery.DeviceID
	Name   string
	About  string
	Chosen bool
}

// Recovering leads from the letters on a sheet back into a workgroup. The letters leave the memory with the page.
type Recovering struct {
	core *core
	nav  *Navigation

	mu      sync.Mutex // guards the fields below
	step    RecoverStep
	code    string
	moments []workgroup.Moment
	chosen  int
	remove  map[discovery.DeviceID]bool
	busy    bool
	trouble string
	turn    int // counts what was begun: a late answer knows that it is late
}

// Again begins anew and forgets the letters.
func (r *Recovering) Again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step, r.code, r.moments, r.chosen, r.remove, r.busy, r.trouble = RecoverLetters, "", nil, 0, nil, false, ""
	r.turn++
}

// Page returns what the page shows.
func (r *Recovering) Page() RecoverPage {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.core.words
	key := "recover." + []string{"letters", "moment", "who"}[r.step]
	p := RecoverPage{Step: r.step, Title: w.Text(key + ".title"), Text: w.Text(key + ".text"), Busy: r.busy, Trouble: r.trouble}
	switch r.step {
	case RecoverMoment:
		for i, m := range r.moments {
			x := Choice{Name: r.core.moment(m), Text: memberNames(m.Members), Chosen: i == r.chosen}
			if i == 0 {
				x.Name = w.Text("recover.newest", "State", x.Name)
			}
			p.Moments = append(p.Moments, x)
		}
	case RecoverWho:
		for _, m := range r.moments[r.chosen].Members {
			if !m.Self && m.ID != r.core.now().self.ID {
				p.Members = append(p.Members, Tick{m.ID, memberName(m, r.moments[r.chosen].Members), cmp.Or(m.PersonName, m.ID.Short()), r.remove[m.ID]})
			}
		}
	}
	return p
}

// moment says which state is meant: "Tuesday 14:02, 5 computers".
func (c *core) moment(m workgroup.Moment) string {
	return c.words.Text("recover.state", "When", c.fmt.Moment(m.At, c.cfg.Now()), "Count", len(m.Members))
}

func memberNames(all []workgroup.Member) string {
	var out []string
	for _, m := range all {
		out = append(out, memberName(m, all))
	}
	return strings.Join(out, ", ")
}

// CheckLetters says in words what is wrong with the letters, or "".
func (r *Recovering) CheckLetters(text string) string {
	if _, err := ledger.ParseRecoveryCode(strings.TrimSpace(text)); err != nil {
		return r.core.words.Text("recover.not-letters")
	}
	return ""
}

// Letters takes the letters and finds the moments to go back to, here or at a neighbour.
func (r *Recovering) Letters(text string) {
	if why := r.CheckLetters(text); why != "" {
		r.fail(why)
		return
	}
	code := strings.TrimSpace(text)
	r.begin(func(ctx context.Context, e Engine) (then func(), err error) {
		moments, err := e.Moments(ctx, code)
		if err == nil && len(moments) == 0 {
			err = discovery.ErrNobody
		}
		return func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.code, r.moments, r.chosen, r.step = code, withNames(moments), 0, RecoverMoment
		}, err
	})
}

// withNames gives members that had no name yet at a moment the one they got later: the founder names itself after it founded.
func withNames(moments []workgroup.Moment) []workgroup.Moment {
	names := map[discovery.DeviceID]workgroup.Member{}
	for _, m := range slices.Backward(moments) {
		for _, p := range m.Members {
			if p.Name != "" {
				names[p.ID] = p
			}
		}
	}
	out := slices.Clone(moments)
	for i := range out {
		out[i].Members = slices.Clone(out[i].Members)
		for k, p := range out[i].Members {
			if later, ok := names[p.ID]; ok && p.Name == "" {
				out[i].Members[k].Name, out[i].Members[k].PersonName = later.Name, cmp.Or(p.PersonName, later.PersonName)
			}
		}
	}
	return out
}

// Choose says which moment is meant.
func (r *Recovering) Choose(i int) {
	r.mu.Lock()
	if i >= 0 && i < len(r.moments) && r.step == RecoverMoment {
		r.chosen = i
	}
	r.mu.Unlock()
	r.core.changed()
}

// Next goes on from the moment to who is to be removed.
func (r *Recovering) Next() {
	r.mu.Lock()
	if r.step == RecoverMoment {
		r.step, r.remove = RecoverWho, map[discovery.DeviceID]bool{}
	}
	r.mu.Unlock()
	r.core.changed()
}

// Back goes to the step before.
func (r *Recovering) Back() {
	r.mu.Lock()
	r.step, r.trouble = max(r.step-1, RecoverLetters), ""
	r.mu.Unlock()
	r.core.changed()
}

// Mark says whether a computer is to be removed.
func (r *Recovering) Mark(d discovery.DeviceID, remove bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.step == RecoverWho {
		r.remove[d] = remove
	}
}

// Finish goes back: those who are marked are out, and this computer is an admin.
func (r *Recovering) Finish() {
	r.mu.Lock()
	if r.step != RecoverWho {
		r.mu.Unlock()
		return
	}
	code := r.code
	c := workgroup.Choice{Heads: r.moments[r.chosen].Heads, Name: r.core.now().self.Name}
	for _, m := range r.moments[r.chosen].Members {
		if r.remove[m.ID] {
			c.Remove = append(c.Remove, m.ID)
		}
	}
	r.mu.Unlock()
	r.begin(func(ctx context.Context, e Engine) (func(), error) {
		w, err := e.Recover(ctx, code, c)
		return func() {
			r.core.note.say(Good, r.core.words.Text("recover.done", "Name", w.Name))
			r.nav.Go(Place{Page: PageWorkgroup, Group: w.ID})
		}, err
	})
}

// begin does one thing with the engine; then is called when it went well and nobody began anew.
func (r *Recovering) begin(f func(ctx context.Context, e Engine) (then func(), err error)) {
	r.mu.Lock()
	if r.busy {
		r.mu.Unlock()
		return
	}
	r.busy, r.trouble = true, ""
	turn := r.turn
	r.mu.Unlock()
	r.core.changed()
	r.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, recoverTime)
		defer cancel()
		then, err := f(ctx, r.core.eng())
		r.mu.Lock()
		mine := r.turn == turn
		if mine {
			r.busy = false
			if err != nil {
				r.trouble = r.core.errorWords(err)
			}
		}
		r.mu.Unlock()
		if mine && err == nil {
			then()
		}
		r.core.changed()
	})
}

// recoverTime is how long neighbours may take to be found and asked.
const recoverTime = time.Minute

func (r *Recovering) fail(why string) {
	r.mu.Lock()
	r.trouble = why
	r.mu.Unlock()
	r.core.changed()
}

// Marked reports how many are to be removed.
func (r *Recovering) Marked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, on := range r.remove {
		if on {
			n++
		}
	}
	return n
}
