//go:build !headless

package gui

import (
	"strings"
	"time"

	"porchlight/app/viewmodel"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// family is a household with a private workgroup.
func family(h *house) {
	h.groups = []workgroup.Workgroup{h.home()}
	h.peers[0].Groups, h.peers[0].Verified = [][32]byte{groupID(1)}, true
	h.peers[1].Groups = h.peers[0].Groups
	h.admitted = h.groups[0].Members[2:]
	h.past = append(h.home().Members, h.member(12, "Kiosk", "", ledger.Member, 2, ledger.ViaCode))
	h.moments = []workgroup.Moment{{At: time.Now().Add(-time.Hour), Members: h.groups[0].Members}, {At: time.Now().Add(-50 * time.Hour), Members: h.groups[0].Members[:3]},
		{At: time.Now().AddDate(0, -3, 0), Members: h.groups[0].Members[:1]}}
}

// with is family, and something else.
func with(more func(h *house)) func(*house) {
	return func(h *house) { family(h); more(h) }
}

func atGroup(p viewmodel.Page, n byte) func(*stage) {
	return func(s *stage) {
		at := viewmodel.Place{Page: p}
		if n > 0 {
			at.Group = groupID(n)
		}
		s.goTo(at)
		if p == viewmodel.PageSheet {
			s.until("the letters are there", func() bool { return !s.w.set.Sheet.Page().Loading })
		}
		s.draw()
	}
}

// out is a workgroup that removed this computer.
func out(r ledger.Reason, contest bool) func(*house) {
	return with(func(h *house) {
		w := &h.groups[0]
		w.Standing, w.Role, w.Members, w.Contest = workgroup.Out, 0, nil, contest
		w.Removal = &workgroup.Removal{By: device(2), ByName: "Bo’s mini-PC", Reason: r, At: time.Now().Add(-3 * time.Hour)}
	})
}

func comparing(join, asked bool, state discovery.CompareState) func(*house) {
	return with(func(h *house) {
		h.compares = []discovery.Comparison{{ID: "c", Device: device(2), Name: "Bo’s mini-PC", Join: join, Asked: asked, SAS: [3]byte{0xde, 0x7a, 0x31}, State: state}}
	})
}

func (s *stage) groupPage() *workgroupPage {
	return s.w.pages[viewmodel.PageWorkgroup].(*workgroupPage)
}

// groupScreens are the screens of private workgroups.
func groupScreens() []screen {
	group := atGroup(viewmodel.PageWorkgroup, 1)
	act := func(a viewmodel.GroupAct) func(*stage) {
		return func(s *stage) {
			group(s)
			s.groupPage().do(groupID(1), a)
			s.until("it is asked", func() bool { return s.w.win.Canvas().Overlays().Top() != nil })
		}
	}
	member := func(n int, a viewmodel.GroupAct) func(*stage) {
		return func(s *stage) {
			group(s)
			s.groupPage().with(groupID(1), s.groupPage().now.Members[n], a)
			s.until("it is asked", func() bool { return s.w.win.Canvas().Overlays().Top() != nil })
		}
	}
	invited := func(state discovery.InviteState, tried int) func(*house) {
		return with(func(h *house) {
			x := invitation(groupID(1), state)
			x.Tried = tried
			h.invites = []discovery.Invitation{x}
		})
	}
	step := func(n viewmodel.RecoverStep) func(*stage) {
		return func(s *stage) {
			atGroup(viewmodel.PageRecover, 0)(s)
			if n >= viewmodel.RecoverMoment {
				s.w.set.Recovering.Letters(realLetters(s.t))
				s.until("the moments are there", func() bool { return s.w.set.Recovering.Page().Step == viewmodel.RecoverMoment })
			}
			if n == viewmodel.RecoverWho {
				s.w.set.Recovering.Next()
			}
			s.draw()
		}
	}
	card := func(s *stage) {
		group(s)
		s.until("the card is up", func() bool { return s.w.win.Canvas().Overlays().Top() != nil })
	}
	long := with(func(h *house) {
		w := &h.groups[0]
		w.Name, w.Twin, w.Unsaved, w.Remind = "The whole family of the house on Maple Street and its neighbours", true, true, true
		w.Members[1].Name, w.Members[1].PersonName = strings.Repeat("Wolkenkuckucksheim", 3), strings.Repeat("Donaudampf", 6)
		h.invites = []discovery.Invitation{invitation(groupID(1), discovery.InviteAsking)}
		h.invites[0].Name = strings.Repeat("a computer with a long name ", 2)
	})
	quiet := func(h *house) { long(h); h.invites = nil }
	return []screen{
		{"long-group", quiet, group},
		{"long-asking", long, card},
		{"long-invite", quiet, atGroup(viewmodel.PageInvite, 1)},
		{"long-sheet", quiet, atGroup(viewmodel.PageSheet, 1)},
		{"long-remove", quiet, member(1, viewmodel.ActRemove)},
		{"long-leave", quiet, act(viewmodel.ActLeave)},
		{"long-shares", quiet, audienceOf(0)},
		{"group", family, group},
		{"group-open", family, atGroup(viewmodel.PageWorkgroup, 0)},
		{"group-not-open", with(func(h *house) { h.self.Open = false }), atGroup(viewmodel.PageWorkgroup, 0)},
		{"group-member", with(func(h *house) { h.groups[0].Role = ledger.Member }), group},
		{"group-unsaved", with(func(h *house) { h.groups[0].Unsaved, h.groups[0].Remind = true, true }), group},
		{"group-update", with(func(h *house) { h.groups[0].NeedsUpdate, h.groups[0].KeyMissing = true, true }), group},
		{"group-twins", with(func(h *house) {
			w := h.home()
			w.ID, w.Short = groupID(2), "ABCDEFG"
			h.groups[0].Twin, w.Twin = true, true
			h.groups = append(h.groups, w)
		}), group},
		{"group-removed", out(ledger.Removed, false), group},
		{"group-contest", out(ledger.Lost, true), group},
		{"group-left", with(func(h *house) { h.groups[0].Standing, h.groups[0].Members = workgroup.Left, nil }), group},
		{"group-neighbours", family, atGroup(viewmodel.PageNeighbours, 0)},
		{"group-create", family, act(viewmodel.ActMakePrivate)},
		{"group-rename", family, act(viewmodel.ActRename)},
		{"group-leave", with(func(h *house) { h.groups[0].Members[1].Role, h.groups[0].Unsaved = ledger.Member, true }), act(viewmodel.ActLeave)},
		{"group-over", family, act(viewmodel.ActStartOver)},
		{"group-remove", family, member(1, viewmodel.ActRemove)},
		{"group-admin", family, member(2, viewmodel.ActAdmin)},
		{"group-sheet", with(func(h *house) { h.groups[0].Unsaved = true }), atGroup(viewmodel.PageSheet, 1)},
		{"group-sheet-saved", with(func(h *house) { h.erased = true }), atGroup(viewmodel.PageSheet, 1)},
		{"invite", invited(discovery.InviteOpen, 1), atGroup(viewmodel.PageInvite, 1)},
		{"invite-asking", invited(discovery.InviteAsking, 0), card},
		{"invite-done", invited(discovery.InviteDone, 0), atGroup(viewmodel.PageInvite, 1)},
		{"invite-burned", invited(discovery.InviteBurned, 3), atGroup(viewmodel.PageInvite, 1)},
		{"join", with(func(h *house) { h.peers[4].Inviting = true }), atGroup(viewmodel.PageJoin, 0)},
		{"join-wrong", nil, func(s *stage) {
			atGroup(viewmodel.PageJoin, 0)(s)
			s.w.set.Joining.Type("27482913")
			s.w.set.Joining.Join()
			s.until("nobody answers", func() bool { return s.w.set.Joining.Page().Trouble != "" })
		}},
		{"compare", comparing(false, true, discovery.CompareShown), card},
		{"compare-join", comparing(true, true, discovery.CompareShown), card},
		{"compare-waiting", comparing(true, false, discovery.CompareWaiting), card},
		{"compare-digits", comparing(false, false, discovery.CompareShown), func(s *stage) { s.w.cards.digits = true; s.w.cards.down(); card(s) }},
		{"recover-letters", family, step(viewmodel.RecoverLetters)},
		{"recover-moment", family, step(viewmodel.RecoverMoment)},
		{"recover-who", family, step(viewmodel.RecoverWho)},
		{"move", with(func(h *house) {
			h.moves = []workgroup.Offer{{ID: groupID(3), Old: groupID(1), Name: "Home", By: h.home().Members[1], Members: h.home().Members[:3], Without: h.home().Members[3:]}}
		}), card},
		{"computer-verified", family, func(s *stage) { s.goTo(viewmodel.Place{Page: viewmodel.PageComputer, Device: device(2)}) }},
		{"shares-for-group", with(func(h *house) {
			h.shares[0].Audience = []share.Grant{{Who: share.ToEveryone, Workgroup: groupID(1), Level: share.LookOnly}}
		}), audienceOf(0)},
		{"shares-for-people", with(func(h *house) {
			h.shares[0].Audience = []share.Grant{{Who: share.ToPerson, Workgroup: groupID(1), Person: ledger.Person{2}, Level: share.LookOnly}}
		}), audienceOf(0)},
	}
}
