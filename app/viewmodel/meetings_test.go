package viewmodel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// TestInvitePage: every state of an invitation in words, and the question about who comes.
func TestInvitePage(t *testing.T) {
	for _, tt := range []struct {
		state        discovery.InviteState
		tried        int
		left         time.Duration
		digits       string
		facts, again string
		text         string
		card         bool
	}{
		{discovery.InviteOpen, 0, 9 * time.Minute, "27 · 482 913", "9 min left", "", "On the other computer", false},
		{discovery.InviteOpen, 1, 50 * time.Second, "27 · 482 913", "about 50 s left · 1 of 3 wrong tries", "", "On the other computer", false},
		{discovery.InviteOpen, 0, -time.Second, "", "", "Make new digits", "These digits are too old", false},
		{discovery.InviteAsking, 2, 5 * time.Minute, "27 · 482 913", "5 min left · 2 of 3 wrong tries", "", "Bob-PC has the digits", true},
		{discovery.InviteDone, 0, 0, "", "", "Invite another", "Bob-PC belongs now", false},
		{discovery.InviteBurned, 3, 0, "", "", "Make new digits", "Wrong codes were tried 3 times", false},
		{discovery.InviteExpired, 0, 0, "", "", "Make new digits", "These digits are too old", false},
		{discovery.InviteEnded, 0, 0, "", "", "Make new digits", "There are no digits", false},
	} {
		f := newFake()
		f.groups = []workgroup.Workgroup{home()}
		f.invites = []discovery.Invitation{{ID: "i", Workgroup: id(1), State: tt.state, Code: "27482913", QR: "Porchlight 27 482 913", Until: noon().Add(tt.left), Tried: tt.tried, Tries: 3, Name: "Bob-PC", Device: device(5)}}
		s := run(t, f, "en")
		p := s.Inviting.Page(id(1))
		if p.Digits != tt.digits || p.Facts != tt.facts || p.Again != tt.again || !strings.HasPrefix(p.Text, tt.text) || (p.QR.Size() > 0) != (tt.digits != "") {
			t.Errorf("%s: %+v", tt.state, p)
		}
		if card, ok := s.Inviting.Card(); ok != tt.card || ok && card.Title != "Add Bob-PC to “Home”?" {
			t.Errorf("%s: %+v", tt.state, card)
		}
	}
}

// TestInviteAndApprove: an open invitation is shown again, and who comes is let in as said.
func TestInviteAndApprove(t *testing.T) {
	f := newFake()
	f.groups = []workgroup.Workgroup{home()}
	s := run(t, f, "en")
	s.Inviting.Start(id(1))
	until(t, "there are digits", func() bool { return s.Inviting.Page(id(1)).Digits != "" })
	s.Nav.Back()
	f.change(func() {
		f.invites = []discovery.Invitation{{ID: "i", Workgroup: id(1), State: discovery.InviteAsking, Until: noon().Add(time.Minute), Name: "Bob-PC"}}
	})
	until(t, "it is asked", func() bool { _, ok := s.Inviting.Card(); return ok })
	calls := len(f.calls)
	s.Inviting.Start(id(1))
	if s.Nav.Place() != (Place{Page: PageInvite, Group: id(1)}) || len(f.calls) != calls {
		t.Errorf("at %+v after %q", s.Nav.Place(), f.calls)
	}
	card, _ := s.Inviting.Card()
	if diff := cmp.Diff([]string{"Anna", "Bo", "Clara"}, card.People); diff != "" {
		t.Error(diff)
	}
	if s.Inviting.Approve("i", " ", "", false) == "" || s.Inviting.Approve("other", "Bob", "", false) == "" {
		t.Error("a blank name, or nobody, was let in")
	}
	for _, tt := range []struct {
		name, owner string
		admin       bool
		want        workgroup.Admission
	}{
		{"Bob-PC", "", false, workgroup.Admission{Name: "Bob-PC", Role: ledger.Member}},
		{" Tablet ", "clara", true, workgroup.Admission{Name: "Tablet", Person: ledger.Person{3}, Role: ledger.Admin}},
		{"Bob-PC", "Bob", false, workgroup.Admission{Name: "Bob-PC", PersonName: "Bob", Role: ledger.Member}},
	} {
		if why := s.Inviting.Approve("i", tt.name, tt.owner, tt.admin); why != "" {
			t.Error(why)
		}
		until(t, "it is let in as "+tt.want.Name, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.approved == tt.want })
	}
	s.Inviting.Decline("i")
	until(t, "the no arrives", func() bool { return f.called("end i") })
}

// TestJoining: what is typed, what is pasted, what goes wrong, and giving up.
func TestJoining(t *testing.T) {
	f := newFake()
	f.peers = []discovery.Peer{peer(2, "Bo", "WORKGROUP", discovery.Online), peer(3, "clara", "WORKGROUP", discovery.Online)}
	f.peers[1].Inviting = true
	s := run(t, f, "en")
	s.Nav.Go(Place{Page: PageJoin})
	for _, tt := range [][2]string{{"27", "27"}, {"27 · 482 913", "27482913"}, {"a1b2", "12"}, {"123456789", "12345678"}, {"", ""}} {
		s.Joining.Type(tt[0])
		if p := s.Joining.Page(); p.Digits != tt[1] || p.Ready != (len(tt[1]) == codeDigits) {
			t.Errorf("%q typed shows %+v", tt[0], p)
		}
	}
	s.Joining.Join() // too early
	s.Joining.Paste("not at all")
	if p := s.Joining.Page(); p.Busy || !strings.HasPrefix(p.Trouble, "What you pasted") {
		t.Errorf("%+v", p)
	}
	if near := s.Joining.Page().Near; len(near) != 1 || near[0].Name != "clara" {
		t.Errorf("near are %+v", near)
	}
	s.Joining.Compare(device(3))
	until(t, "pictures are asked for", func() bool { return f.called("compare 3 join") })
	s.Joining.Type("99999999")
	s.Joining.Join()
	until(t, "it waits", func() bool { return f.called("join 99999999") })
	if p := s.Joining.Page(); !p.Busy || p.Ready {
		t.Errorf("%+v", p)
	}
	s.Joining.Stop()
	until(t, "it gave up", func() bool { return f.called("gave up") && !s.Joining.Page().Busy })
	if why := s.Joining.Page().Trouble; why != "" {
		t.Errorf("giving up is no trouble: %q", why)
	}
	f.change(func() { f.fails = fmt.Errorf("join: %w", pairing.ErrProof) })
	s.Joining.Type("11111111")
	s.Joining.Join()
	until(t, "it says so", func() bool { return strings.HasPrefix(s.Joining.Page().Trouble, "The digits were wrong") })
	f.change(func() { f.fails = nil })
	s.Joining.Type("27482913")
	s.Joining.Join()
	until(t, "it is in", func() bool { return s.Nav.Place() == Place{Page: PageWorkgroup, Group: id(1)} })
}

// TestComparing: who begins, what is shown, and how it ends.
func TestComparing(t *testing.T) {
	f := newFake()
	f.peers = []discovery.Peer{peer(2, "Bo", "WORKGROUP", discovery.Online)}
	s := run(t, f, "de")
	show := func(x discovery.Comparison) { f.change(func() { f.compares = []discovery.Comparison{x} }) }
	x := discovery.Comparison{ID: "a", Device: device(2), Name: "claims another name", Asked: true, SAS: [3]byte{0, 0x10, 0x83}, State: discovery.CompareShown}
	for i, tt := range []struct {
		join, asked, waiting bool
		text                 string
	}{{false, true, false, "Bo möchte sich"}, {false, false, false, "Schau auf"}, {true, true, false, "Ein Computer, der sich Bo nennt"}, {true, false, false, "Vergleich mit"}, {true, false, true, "Du hast gesagt"}} {
		y := x
		y.ID, y.Join, y.Asked = fmt.Sprint(i), tt.join, tt.asked
		if tt.waiting {
			y.State = discovery.CompareWaiting
		}
		show(y)
		until(t, "it shows", func() bool { c, ok := s.Comparing.Card(); return ok && c.ID == y.ID })
		c, _ := s.Comparing.Card()
		if !strings.HasPrefix(c.Text, tt.text) || c.Waiting != tt.waiting || c.Digits != "000 4227" {
			t.Errorf("%+v", c)
		}
		if want := [4]string{"Hund", "Katze", "Löwe", "Pferd"}; want[0] != c.Pictures[0].Name || want[1] != c.Pictures[1].Name || want[2] != c.Pictures[2].Name || want[3] != c.Pictures[3].Name {
			t.Errorf("%+v", c.Pictures)
		}
	}
	s.Comparing.Hide("4")
	if _, ok := s.Comparing.Card(); ok {
		t.Error("a hidden card shows")
	}
	for _, end := range []struct {
		state       discovery.CompareState
		join, asked bool
		said        string
	}{{discovery.CompareSame, false, true, "Bo ist bestätigt"}, {discovery.CompareSame, true, false, "Die Bilder sind gleich"}, {discovery.CompareDifferent, false, true, "Die Bilder waren verschieden"}, {discovery.CompareOver, true, true, "Der Vergleich mit Bo endete"}} {
		y := x
		y.ID, y.Join, y.Asked = end.said, end.join, end.asked
		show(y)
		until(t, "it shows", func() bool { c, ok := s.Comparing.Card(); return ok && c.ID == y.ID })
		y.State = end.state
		show(y)
		until(t, end.said, func() bool { return strings.HasPrefix(s.Notices.Now().Text, end.said) })
		s.Notices.Dismiss()
	}
	s.Comparing.Verify(device(2))
	until(t, "it is asked for", func() bool { return f.called("compare 2 verify") })
	s.Comparing.Answer("a", false)
	until(t, "the answer arrives", func() bool { return f.called("answer a false") })
	if p, _ := s.Neighbours.Page(device(2)); p.Verify == "" || !strings.HasPrefix(p.Proof, "Noch nicht bestätigt") {
		t.Errorf("%+v", p)
	}
	f.change(func() { f.peers[0].Verified = true })
	until(t, "the tick shows", func() bool { p, _ := s.Neighbours.Page(device(2)); return p.Verified && p.Verify == "" })
	s.Comparing.Unverify(device(2))
	until(t, "it is taken back", func() bool { return f.called("unverify 2") })
}

// TestForGroupsAndPeople: shares for a workgroup, for people, for computers of one, and the sentence that says so.
func TestForGroupsAndPeople(t *testing.T) {
	f := newFake()
	f.groups = []workgroup.Workgroup{home()}
	f.peers = []discovery.Peer{peer(3, "clara", "", discovery.Online), peer(4, "Study", "WORKGROUP", discovery.Online)}
	f.shares = []share.Share{{ID: share.ID{1}, Name: "a"}, {ID: share.ID{2}, Name: "b", Audience: []share.Grant{{Who: share.ToEveryone, Workgroup: id(1), Level: share.LookOnly}}},
		{ID: share.ID{3}, Name: "c", Audience: []share.Grant{{Who: share.ToPerson, Workgroup: id(1), Person: ledger.Person{3}, Level: share.LookOnly}}},
		{ID: share.ID{4}, Name: "d", Audience: []share.Grant{{Who: share.ToPerson, Workgroup: id(1), Person: ledger.Person{3}, Level: share.LookOnly}, {Who: share.ToEveryone, Workgroup: id(1), Level: share.LookOnly}}}}
	s := run(t, f, "en")
	var got []string
	for _, r := range s.Shares.Rows() {
		got = append(got, string(r.Way.For)+": "+r.Who)
	}
	want := []string{"nearby: Everyone nearby may look and get", "group: Everyone in “Home” may look and get (2 other computers now)", "people: Only for Clara, on all their computers", "mixed: Only for Clara, everyone in “Home”"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	for _, w := range s.Shares.Ways() {
		got = append(got, w.Text)
	}
	if diff := cmp.Diff([]string{"Everyone in “Home”", "Only the people I choose", "Only the computers I choose", "Everyone nearby", "Nobody for the moment"}, got); diff != "" {
		t.Error(diff)
	}
	people, machines := s.Shares.Receivers(share.ID{3}, ForPeople), s.Shares.Receivers(share.ID{1}, ForChosen)
	if len(people) != 2 || people[0].Name != "Anna" || !people[1].Chosen || len(machines) != 3 || machines[1].grant.Workgroup != id(1) || machines[2].grant.Workgroup != (workgroup.ID{}) {
		t.Errorf("%+v\n%+v", people, machines)
	}
	machines[1].Chosen = true
	if got := s.Shares.Says(Way{For: ForChosen}, machines); got != "Only for clara" {
		t.Error(got)
	}
	var sent []share.Grant
	for _, x := range []struct {
		w    Way
		list []Receiver
		call string
	}{{Way{ForGroup, id(1)}, nil, "allow 1 1:0:1"}, {Way{For: ForPeople}, people, "allow 1 2:0:1"}, {Way{For: ForChosen}, machines, "allow 1 3:3:1"}} {
		if why := s.Shares.Allow(share.ID{1}, x.w, x.list); why != "" {
			t.Error(why)
		}
		until(t, x.call, func() bool { return f.called(x.call) })
	}
	for _, m := range append(people, machines...) {
		sent = append(sent, m.grant)
	}
	if err := share.CheckGrants(sent); err != nil {
		t.Error(err)
	}
}

// TestForWhoIsGone: what is for people, computers and workgroups that are gone is for nobody, and says so; who is left is named alone.
func TestForWhoIsGone(t *testing.T) {
	grant := func(who share.Who, group, n byte) share.Grant {
		g := share.Grant{Who: who, Workgroup: id(group), Level: share.LookOnly}
		switch who {
		case share.ToPerson:
			g.Person = ledger.Person{n}
		case share.ToDevice:
			g.Device = device(n)
		}
		return g
	}
	const gone = "Nobody may get it now: whoever it was for does not belong to the workgroup any more. Please choose again."
	const left = "Nobody may get it: this computer is not in the workgroup it was for any more. Please choose again."
	for name, tt := range map[string]struct {
		to   []share.Grant
		left bool
		want string
	}{
		"a person":                         {[]share.Grant{grant(share.ToPerson, 1, 77)}, false, "people: " + gone},
		"a computer":                       {[]share.Grant{grant(share.ToDevice, 1, 77)}, false, "chosen: " + gone},
		"both":                             {[]share.Grant{grant(share.ToDevice, 1, 77), grant(share.ToPerson, 1, 77)}, false, "mixed: " + gone},
		"a person and one who is there":    {[]share.Grant{grant(share.ToPerson, 1, 77), grant(share.ToPerson, 1, 3)}, false, "people: Only for Clara, on all their computers"},
		"a computer and one that is there": {[]share.Grant{grant(share.ToDevice, 1, 77), grant(share.ToDevice, 1, 3)}, false, "chosen: Only for clara"},
		"a workgroup that was left":        {[]share.Grant{grant(share.ToEveryone, 2, 0)}, true, "group: Nobody may get it: this computer is not in “Club” any more. Please choose again."},
		"a workgroup nobody knows":         {[]share.Grant{grant(share.ToEveryone, 9, 0)}, true, "group: " + left},
		"a person of one that was left":    {[]share.Grant{grant(share.ToPerson, 2, 3)}, true, "people: " + left},
		"a person of one nobody knows":     {[]share.Grant{grant(share.ToPerson, 9, 3)}, true, "people: " + left},
		"one that was left, and nearby":    {[]share.Grant{grant(share.ToEveryone, 2, 0), {Who: share.ToNearby, Level: share.LookOnly}}, true, "nearby: Everyone nearby may look and get"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			club := home()
			club.ID, club.Name, club.Standing, club.Members = id(2), "Club", workgroup.Left, nil
			f.groups = []workgroup.Workgroup{home(), club}
			f.shares = []share.Share{{ID: share.ID{1}, Name: "a", Audience: tt.to, Left: tt.left}}
			s := run(t, f, "en")
			if r := s.Shares.Rows()[0]; string(r.Way.For)+": "+r.Who != tt.want {
				t.Errorf("%s: %s", r.Way.For, r.Who)
			}
			if way := s.Shares.Rows()[0].Way; way.For == ForPeople || way.For == ForChosen {
				if got := string(way.For) + ": " + s.Shares.Says(way, s.Shares.Receivers(share.ID{1}, way.For)); got != tt.want {
					t.Errorf("the dialog says %s", got)
				}
			}
		})
	}
}

// TestQuestionsForThoseElsewhere: who looks elsewhere is told, at most three times at once.
func TestQuestionsForThoseElsewhere(t *testing.T) {
	f := newFake()
	told := make(chan Tiding, 10)
	runWith(t, Config{Connect: func(context.Context) (Engine, error) { return f, nil }, Tell: func(x Tiding) { told <- x }}, "en")
	f.change(func() {
		f.invites = []discovery.Invitation{{ID: "i", State: discovery.InviteAsking, Name: "Bob-PC"}}
		f.compares = []discovery.Comparison{{ID: "c", Asked: true, Name: "Eve", State: discovery.CompareShown}, {ID: "d", Name: "own", State: discovery.CompareShown}}
		f.moves = []workgroup.Offer{{ID: id(1), Name: "Home"}, {ID: id(2), Name: "Office"}}
	})
	for _, want := range []string{"Bob-PC asks to come in", "Eve wants to compare pictures", "Move to the new “Home”?"} {
		if x := <-told; x.Title != want {
			t.Errorf("%q, want %q", x.Title, want)
		}
	}
	if len(told) > 0 {
		t.Errorf("one too many: %+v", <-told)
	}
}

// TestPlainWords: nobody who uses private workgroups has to know how they are made.
func TestPlainWords(t *testing.T) {
	for lang, banned := range map[string][]string{"en": {"key", "certificate", "hash", "ledger", "fingerprint", "epoch"}, "de": {"schlüssel", "zertifikat", "hash", "ledger", "fingerabdruck", "epoche"}} {
		words, err := assets.Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, key := range words.Keys() {
			part, rest, _ := strings.Cut(key, ".")
			if !slices.Contains(strings.Fields("wg create sheet invite approve join compare remove leave forget contest close recover over move role"), part) && !strings.HasPrefix(rest, "wg-") && !strings.HasPrefix(rest, "pair-") {
				continue
			}
			n++
			for _, b := range banned {
				if strings.Contains(strings.ToLower(words.Text(key)), b) {
					t.Errorf("%s: %s says %q", lang, key, b)
				}
			}
		}
		if n < 150 {
			t.Errorf("%s: only %d texts looked at", lang, n)
		}
	}
}
