package viewmodel

import (
	"slices"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// sayNews says in the bar what happened between two states of the engine and would not be seen otherwise.
func (c *core) sayNews(before, after snapshot) {
	for _, x := range after.compares {
		old := slices.IndexFunc(before.compares, func(o discovery.Comparison) bool { return o.ID == x.ID })
		was := old < 0 && !x.Asked || old >= 0 && open(before.compares[old]) // one that began here may be over before it was seen
		if was && !open(x) {
			c.sayCompared(x)
		}
	}
	for _, w := range after.groups {
		i := slices.IndexFunc(before.groups, func(o workgroup.Workgroup) bool { return o.ID == w.ID })
		was := i >= 0 && before.groups[i].Standing == workgroup.In
		switch is := w.Standing == workgroup.In; {
		case is && !was && !(len(w.Members) == 1 && w.Members[0].Self): // one that was just made leads to its sheet
			c.note.say(Good, c.words.Text("wg.joined", "Name", nameOfGroup(w)))
			c.joined(w.ID)
		case was && w.Standing == workgroup.Out:
			c.note.say(Bad, c.removed(w))
		}
	}
}

// remind says at the start which workgroup still needs its recovery sheet saved.
func (c *core) remind(all []workgroup.Workgroup) {
	for _, w := range all {
		if w.Standing == workgroup.In && w.Unsaved && w.Remind {
			c.note.put(Notice{Tone: Bad, Text: c.words.Text("wg.remind", "Name", nameOfGroup(w)), Action: c.words.Text("wg.act.sheet"), Do: func() { c.showSheet(w.ID) }})
			return
		}
	}
}

// sayCompared says how a comparison ended.
func (c *core) sayCompared(x discovery.Comparison) {
	name := c.compared(x)
	switch {
	case x.State == discovery.CompareDifferent:
		c.note.say(Bad, c.words.Text("compare.different", "Name", name))
	case x.State == discovery.CompareOver:
		c.note.say(Bad, c.words.Text("compare.over", "Name", name))
	case !x.Join:
		c.note.say(Good, c.words.Text("compare.same", "Name", name))
	case !x.Asked:
		c.note.say(Good, c.words.Text("compare.same-join", "Name", name))
	}
}

// removed says in words how this computer came to be out of a workgroup.
func (c *core) removed(w workgroup.Workgroup) string {
	r := w.Removal
	name := nameOfGroup(w)
	if r == nil {
		return c.words.Text("wg.out.waiting", "Name", name)
	}
	by := r.ByName
	if by == "" {
		by = r.By.Short()
	}
	key := "wg.out"
	switch {
	case r.Hearsay:
		key = "wg.out.hearsay"
	case r.Reason == ledger.Lost:
		key = "wg.out.lost"
	}
	return c.words.Text(key, "Name", name, "By", by, "When", c.fmt.When(r.At, c.cfg.Now()))
}

// asks are the questions that came up between two states, for those who look elsewhere.
func (c *core) asks(before, after snapshot) (out []Tiding) {
	for _, x := range after.invites {
		i := slices.IndexFunc(before.invites, func(o discovery.Invitation) bool { return o.ID == x.ID })
		if x.State == discovery.InviteAsking && (i < 0 || before.invites[i].State != discovery.InviteAsking) {
			out = append(out, Tiding{c.words.Text("tiding.asks", "Name", x.Name), c.words.Text("tiding.asks.text")})
		}
	}
	for _, x := range after.compares {
		known := slices.ContainsFunc(before.compares, func(o discovery.Comparison) bool { return o.ID == x.ID })
		if x.Asked && open(x) && !known {
			out = append(out, Tiding{c.words.Text("tiding.compare", "Name", c.compared(x)), c.words.Text("tiding.compare.text")})
		}
	}
	for _, o := range after.moves {
		if !slices.ContainsFunc(before.moves, func(x workgroup.Offer) bool { return x.ID == o.ID }) {
			out = append(out, Tiding{c.words.Text("move.title", "Name", o.Name), c.moveText(o)})
		}
	}
	return out[:min(len(out), mostAsks)]
}

// mostAsks is how many questions may come up at once.
const mostAsks = 3

// errorKey is an error with the key of its words.
type errorKey struct {
	err error
	key string
}

// groupErrors are those of private workgroups and of people who meet.
func groupErrors() []errorKey {
	return []errorKey{
		{workgroup.ErrUnknown, "error.wg-unknown"},
		{workgroup.ErrNotMember, "error.wg-not-member"},
		{workgroup.ErrNotAdmin, "error.wg-not-admin"},
		{workgroup.ErrMany, "error.wg-many"},
		{workgroup.ErrMember, "error.wg-member"},
		{workgroup.ErrLastAdmin, "error.wg-last-admin"},
		{workgroup.ErrErased, "error.wg-erased"},
		{workgroup.ErrCode, "error.wg-letters"},
		{ledger.ErrRecovery, "error.wg-letters"},
		{workgroup.ErrMoment, "error.wg-moment"},
		{workgroup.ErrNoContest, "error.wg-no-contest"},
		{workgroup.ErrOffer, "error.wg-no-offer"},
		{workgroup.ErrSync, "error.wg-sync"},
		{workgroup.ErrRemoved, "error.wg-removed"},
		{ledger.ErrFull, "error.wg-full"},
		{pairing.ErrProof, "error.pair-proof"},
		{workgroup.ErrEntry, "error.protocol"},
		{workgroup.ErrKey, "error.protocol"},
		{ledger.ErrWelcome, "error.protocol"},
		{pairing.ErrMessage, "error.protocol"},
		{workgroup.ErrPerson, "error.changed"},
		{pairing.ErrTurn, "error.pair-turn"},
		{pairing.ErrOver, "error.pair-over"},
		{pairing.ErrOften, "error.pair-often"},
		{pairing.ErrBlocked, "error.pair-blocked"},
		{pairing.ErrCode, "error.pair-code"},
		{discovery.ErrNobody, "error.pair-nobody"},
		{discovery.ErrDeclined, "error.pair-declined"},
		{discovery.ErrNoInvitation, "error.no-invitation"},
		{discovery.ErrDifferent, "error.pair-different"},
	}
}
