package viewmodel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

func someone(n byte, name, owner string, r ledger.Role, by byte) workgroup.Member {
	m := workgroup.Member{ID: device(n), Name: name, PersonName: owner, Role: r, By: device(by), Via: ledger.ViaCode, Since: noon().Add(-time.Hour), Self: n == 1}
	if owner != "" {
		m.Person = ledger.Person{n}
	}
	return m
}

// home is a workgroup of this computer, Bo's and Clara's.
func home() workgroup.Workgroup {
	w := workgroup.Workgroup{ID: id(1), Name: "Home", Short: "QWERTZU", Standing: workgroup.In, Role: ledger.Admin, Members: []workgroup.Member{
		someone(1, "anna", "Anna", ledger.Admin, 1), someone(2, "Bo", "", ledger.Admin, 1), someone(3, "clara", "Clara", ledger.Member, 2)}}
	w.Members[0].Via = ledger.ViaFounder
	return w
}

// TestWorkgroupPage: each standing says what is so and offers what can be done, and nothing else.
func TestWorkgroupPage(t *testing.T) {
	gone := &workgroup.Removal{By: device(2), ByName: "Bo", Reason: ledger.Removed, At: noon().Add(-2 * time.Hour)}
	for _, tt := range []struct {
		name  string
		alter func(w *workgroup.Workgroup)
		acts  string
		text  string // begins so
		note  string // of the first note, begins so
		do    string // with the first note
	}{
		{"admin", func(*workgroup.Workgroup) {}, "invite rename leave over", "A private workgroup. You are an admin", "", ""},
		{"member", func(w *workgroup.Workgroup) { w.Role = ledger.Member }, "leave", "A private workgroup. Its admins", "", ""},
		{"unsaved", func(w *workgroup.Workgroup) { w.Unsaved, w.Remind = true, true }, "invite rename leave over", "", "Nobody has the recovery sheet yet", "sheet remind"},
		{"put off", func(w *workgroup.Workgroup) { w.Unsaved = true }, "invite rename leave over", "", "The recovery sheet is still", "sheet"},
		{"update", func(w *workgroup.Workgroup) { w.NeedsUpdate = true }, "leave", "", "A newer Porchlight changed", ""},
		{"key", func(w *workgroup.Workgroup) { w.KeyMissing = true }, "invite rename leave over", "", "Something changed while", ""},
		{"alone", func(w *workgroup.Workgroup) { w.Members = w.Members[:1] }, "invite rename leave over", "", "Nobody else is in it yet", ""},
		{"removed", func(w *workgroup.Workgroup) { w.Standing, w.Removal = workgroup.Out, gone }, "join recover forget", "Bo removed this computer from “Home” (Today 10:00).\nYour own files stay", "", ""},
		{"contest", func(w *workgroup.Workgroup) {
			lost := *gone
			lost.Reason = ledger.Lost
			w.Standing, w.Removal, w.Contest = workgroup.Out, &lost, true
		}, "join recover forget", "Bo removed this computer from “Home” as lost or stolen", "You were here before", "contest"},
		{"hearsay", func(w *workgroup.Workgroup) {
			w.Standing, w.Removal = workgroup.Out, &workgroup.Removal{By: device(7), Hearsay: true}
		}, "join recover forget", device(7).Short() + " says that", "", ""},
		{"not yet", func(w *workgroup.Workgroup) { w.Standing = workgroup.Out }, "join recover forget", "This computer has not been let into", "", ""},
		{"left", func(w *workgroup.Workgroup) { w.Standing = workgroup.Left }, "forget", "You left this workgroup", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			w := home()
			tt.alter(&w)
			f.groups = []workgroup.Workgroup{w}
			s := run(t, f, "en")
			p, ok := s.Workgroups.Page(id(1))
			if !ok || !p.Private || !strings.HasPrefix(p.Text, tt.text) {
				t.Fatalf("%v %+v", ok, p)
			}
			if got := actsOf(p.Acts); got != tt.acts {
				t.Errorf("one can %s, want %s", got, tt.acts)
			}
			note, do := "", ""
			if len(p.Notes) > 0 {
				note, do = p.Notes[0].Text, actsOf(p.Notes[0].Acts)
			}
			if !strings.HasPrefix(note, tt.note) || (note == "") != (tt.note == "") || do != tt.do {
				t.Errorf("note %q with %q", note, do)
			}
		})
	}
}

func actsOf(all []ActRow) string {
	var out []string
	for _, a := range all {
		out = append(out, string(a.Do))
	}
	return strings.Join(out, " ")
}

// TestMembers: how each is, who let it in, and what an admin may do with it; neighbours who are members stand with them.
func TestMembers(t *testing.T) {
	f := newFake()
	w := home()
	w.Members = append(w.Members, someone(9, "BO", "", ledger.Member, 3))
	f.groups = []workgroup.Workgroup{w}
	f.peers = []discovery.Peer{peer(2, "says-other", "WORKGROUP", discovery.Online), peer(3, "", "", discovery.Offline), peer(4, "Study", "WORKGROUP", discovery.Online)}
	f.peers[0].Verified = true
	s := run(t, f, "en")
	p, _ := s.Workgroups.Page(id(1))
	var got []string
	for _, m := range p.Members {
		got = append(got, fmt.Sprintf("%s|%s|%s|%v|%s|%s", m.Name, m.Role, m.Dot, m.Verified, m.About, actsOf(m.Acts)))
	}
	want := []string{
		"anna|Admin|here|false|This computer · Anna · made this workgroup, Today 11:00|name",
		"Bo (" + device(2).Short() + ")|Admin|here|true|Here · added by anna, Today 11:00|member name remove",
		"clara|Member|away|false|Last here: Today 11:00 · Clara · added by Bo, Today 11:00|admin name remove",
		"BO (" + device(9).Short() + ")|Member|away|false|Away · added by clara, Today 11:00|admin name remove",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p.Members[1].To != (Place{Page: PageComputer, Device: device(2)}) || p.Members[3].To.Page != "" {
		t.Errorf("members lead to %+v and %+v", p.Members[1].To, p.Members[3].To)
	}
	var lines []string
	for _, x := range s.Sidebar.Items()[1:] {
		lines = append(lines, fmt.Sprintf("%s %s %s %v", x.Kind, x.Name, x.To.Page, x.Tick))
	}
	want = []string{"head Home workgroup false", "item Bo (" + device(2).Short() + ") computer true", "item BO (" + device(9).Short() + ") neighbours false", "item clara computer false",
		"head WORKGROUP workgroup false", "item Study computer false", "item Join a workgroup join false", "head This computer  false", "item My shares shares false", "item Transfers transfers false"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if x, _ := s.Neighbours.Page(device(3)); x.Name != "clara" {
		t.Errorf("a device that says no name is called %q", x.Name)
	}
}

// TestTwins: two workgroups of one name are told apart by letters and by pictures, everywhere.
func TestTwins(t *testing.T) {
	f := newFake()
	a, b := home(), home()
	b.ID, b.Short = id(0x42), "ABCDEFG"
	a.Twin, b.Twin = true, true
	f.groups = []workgroup.Workgroup{a, b}
	s := run(t, f, "de")
	p, _ := s.Workgroups.Page(a.ID)
	q, _ := s.Workgroups.Page(b.ID)
	if len(p.Pictures) != 4 || slices.Equal(p.Pictures, q.Pictures) || p.Short == q.Short {
		t.Errorf("%+v and %+v", p.Pictures, q.Pictures)
	}
	f.change(func() { b.Replaces = a.ID; f.groups = []workgroup.Workgroup{a, b} })
	note := func(id workgroup.ID) string {
		if p, _ := s.Workgroups.Page(id); len(p.Notes) == 1 {
			return p.Notes[0].Text
		}
		return ""
	}
	until(t, "each says which is the newer one", func() bool {
		return note(a.ID) == "„Home (ABCDEFG)“ führt diese Arbeitsgruppe fort." && note(b.ID) == "Sie führt „Home (QWERTZU)“ fort."
	})
	if g := s.Neighbours.Groups(); g[0].Name != "Home (QWERTZU)" || g[1].Name != "Home (ABCDEFG)" {
		t.Errorf("%+v", g)
	}
	s.Nav.Go(Place{Page: PageWorkgroup, Group: b.ID})
	if s.Nav.Title() != "Home (ABCDEFG)" {
		t.Error(s.Nav.Title())
	}
}

// TestOpenWorkgroup: its page, and being in it or not.
func TestOpenWorkgroup(t *testing.T) {
	f := newFake()
	f.peers = []discovery.Peer{peer(4, "Study", "WORKGROUP", discovery.Online)}
	s := run(t, f, "en")
	p, _ := s.Workgroups.Page(workgroup.ID{})
	if actsOf(p.Acts) != "private join rename" || len(p.Members) != 2 || !p.Members[0].Self || p.Members[1].Name != "Study" {
		t.Errorf("%+v", p)
	}
	f.change(func() { f.groups = []workgroup.Workgroup{home()} })
	until(t, "one can leave it", func() bool {
		p, _ := s.Workgroups.Page(workgroup.ID{})
		return actsOf(p.Acts) == "private join rename close"
	})
	s.Workgroups.SetOpen(false)
	until(t, "it is asked for", func() bool { return f.called("open false") })
	f.change(func() { f.self.Open = false })
	until(t, "it is said", func() bool {
		p, _ := s.Workgroups.Page(workgroup.ID{})
		return actsOf(p.Acts) == "open private join" && s.Neighbours.Groups()[1].Note != ""
	})
}

// TestFounding: a new workgroup, one that is started over, and the question to follow.
func TestFounding(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	if q := s.Founding.Ask(); q.Name != "Home" || q.Stay == "" {
		t.Errorf("%+v", q)
	}
	if s.Founding.Create(" ", "", true) == "" {
		t.Error("a blank name was taken")
	}
	if why := s.Founding.Create(" Maple ", "", false); why != "" {
		t.Error(why)
	}
	until(t, "it is made, and the open one left", func() bool { return f.called("create Maple/anna/anna") && f.called("open false") })
	until(t, "the sheet shows", func() bool { return s.Nav.Place() == Place{Page: PageSheet, Group: id(9)} })
	f.change(func() {
		f.groups = []workgroup.Workgroup{home()}
		f.members = append(home().Members, someone(7, "thief", "", ledger.Admin, 2))
		f.moves = []workgroup.Offer{{ID: id(5), Old: id(1), Name: "Home", By: someone(2, "Bo", "", ledger.Admin, 2), Members: home().Members, Without: f.members[3:]}}
	})
	until(t, "it is asked", func() bool { _, ok := s.Founding.Card(); return ok })
	if c, _ := s.Founding.Card(); !strings.HasPrefix(c.Text, "Bo started a new “Home” with 3 computers, without thief.") {
		t.Errorf("%+v", c)
	}
	s.Founding.MoveLater(id(5))
	if _, ok := s.Founding.Card(); ok {
		t.Error("it is still asked")
	}
	s.Founding.Move(id(5), true)
	until(t, "it moves", func() bool { return f.called("move 5") })
	asked := make(chan OverQuestion, 1)
	s.Founding.AskOver(id(1), func(q OverQuestion) { asked <- q })
	q := <-asked
	if len(q.Keep) != 3 || !q.Keep[0].Chosen || !q.Keep[1].Chosen || q.Keep[2].Chosen {
		t.Errorf("%+v", q)
	}
	if why := s.Founding.StartOver(q, q.Name); why != "" {
		t.Error(why)
	}
	until(t, "it is started over with two", func() bool { return f.called("over 1 Home/Anna 2") })
}

// TestRemoveAndLeave: the questions name what follows, and the answers arrive.
func TestRemoveAndLeave(t *testing.T) {
	f := newFake()
	w := home()
	w.Unsaved, w.Members[1].Role = true, ledger.Member
	f.groups, f.members = []workgroup.Workgroup{w}, w.Members
	s := run(t, f, "en")
	asked := make(chan RemoveQuestion, 1)
	s.Workgroups.AskRemove(id(1), device(2), func(q RemoveQuestion) { asked <- q })
	q := <-asked
	if q.Title != "Remove Bo from “Home”?" || len(q.Also) != 1 || q.Also[0].Name != "clara" || q.Also[0].Chosen || q.Ask != "It let another computer in. Also remove that one?" {
		t.Errorf("%+v", q)
	}
	s.Workgroups.Remove(q, false)
	until(t, "one is removed", func() bool { return f.called("remove 1 1: 2") })
	q.Also[0].Chosen = true
	s.Workgroups.Remove(q, true)
	until(t, "two are removed as lost", func() bool { return f.called("remove 1 3: 2 3") })
	if _, text := s.Workgroups.LeaveQuestion(id(1)); !strings.Contains(text, "only admin") || !strings.Contains(text, "recovery sheet was not saved") {
		t.Errorf("%q", text)
	}
	s.Workgroups.Leave(id(1))
	s.Workgroups.SetAdmin(id(1), device(3), true)
	s.Workgroups.RenameMember(id(1), device(3), " tablet ")
	s.Workgroups.Rename(id(1), "House")
	s.Workgroups.Rename(workgroup.ID{}, "Street")
	s.Workgroups.Contest(id(1))
	s.Workgroups.RemindLater(id(1))
	s.Workgroups.Forget(id(1))
	for _, call := range []string{"leave 1 true", "role 1 3 2", "member 1 3 tablet", "group 1 House", "workgroup Street", "contest 1", "later 1", "forget group 1"} {
		until(t, call, func() bool { return f.called(call) })
	}
	f.change(func() { f.fails = workgroup.ErrNotAdmin })
	s.Workgroups.Rename(id(1), "House")
	until(t, "it says why", func() bool { return s.Notices.Now().Text == "Only an admin of the workgroup may do this." })
}

// TestNewsOfGroups: coming in and being put out are said, once.
func TestNewsOfGroups(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	s.Nav.Go(Place{Page: PageJoin})
	f.change(func() { f.groups = []workgroup.Workgroup{home()} })
	until(t, "it says so and leads there", func() bool {
		return s.Notices.Now().Text == "This computer now belongs to “Home”." && s.Nav.Place().Group == id(1)
	})
	s.Notices.Dismiss()
	f.change(func() {
		w := home()
		w.Standing, w.Removal = workgroup.Out, &workgroup.Removal{ByName: "Bo", At: noon()}
		f.groups = []workgroup.Workgroup{w}
	})
	until(t, "it says who", func() bool {
		n := s.Notices.Now()
		return n.Tone == Bad && strings.HasPrefix(n.Text, "Bo removed this computer from “Home”")
	})
}

func testLetters() string {
	var c ledger.RecoveryCode
	copy(c[:], "sixteen letters!")
	return c.String()
}

// TestSheet: the letters are on the page, in the page to print and in plain text, and gone with the page.
func TestSheet(t *testing.T) {
	f := newFake()
	f.code = testLetters()
	w := home()
	w.Name = "Ho/me <b>"
	f.groups = []workgroup.Workgroup{w}
	s := run(t, f, "en")
	at := Place{Page: PageSheet, Group: id(1)}
	s.Nav.Go(at)
	until(t, "the letters are there", func() bool { return len(s.Sheet.Page().Groups) == 4 })
	if p := s.Sheet.Page(); p.QR.Text() != f.code || p.QR.Size() == 0 || len(p.Groups[0]) != 7 {
		t.Errorf("%+v", p)
	}
	if got := s.Sheet.FileName(); got != "Recovery sheet of Ho_me _b_.html" {
		t.Error(got)
	}
	page, err := s.Sheet.Contents("x.html")
	if err != nil || strings.Contains(string(page), "<b>") || !strings.Contains(string(page), "22 Nov 2026") || strings.Count(string(page), "<svg") != 1 {
		t.Errorf("%v:\n%s", err, page)
	}
	for _, g := range strings.Split(f.code, "-") {
		if !strings.Contains(string(page), g) {
			t.Errorf("%s is not on the page", g)
		}
	}
	if text, err := s.Sheet.Contents("x.TXT"); err != nil || !strings.Contains(string(text), f.code) {
		t.Errorf("%v: %s", err, text)
	}
	s.Sheet.Later()
	until(t, "it is put off", func() bool { return f.called("later 1") })
	if s.Nav.Place().Page != PageWorkgroup || len(s.Sheet.Page().Groups) > 0 {
		t.Errorf("at %+v the letters are still there", s.Nav.Place())
	}
	if _, err := s.Sheet.Contents("x.html"); !errors.Is(err, workgroup.ErrErased) {
		t.Errorf("a sheet without letters: %v", err)
	}
	s.Nav.Go(at)
	until(t, "they are there again", func() bool { return len(s.Sheet.Page().Groups) == 4 })
	s.Sheet.Saved()
	until(t, "they are erased", func() bool { return f.called("saved 1") })
	f.change(func() { f.code = "" })
	s.Nav.Go(at)
	until(t, "it says that they were saved", func() bool { return s.Sheet.Page().Saved })
}

// TestRecovering: from the letters over a moment and who is to go back into the workgroup.
func TestRecovering(t *testing.T) {
	f := newFake()
	heads := []ledger.Hash{{7}}
	f.moments = []workgroup.Moment{{At: noon().Add(-time.Hour), Members: home().Members[:2]}, {Heads: heads, At: noon().Add(-4*24*time.Hour - 3*time.Hour), Members: home().Members},
		{At: noon().AddDate(-1, 0, 0), Members: []workgroup.Member{{ID: home().Members[0].ID}}}} // the founder, who had not named itself yet
	s := run(t, f, "en")
	r := s.Recovering
	s.Nav.Go(Place{Page: PageRecover})
	r.Letters("IBAUEQ2")
	if p := r.Page(); p.Trouble == "" || p.Step != RecoverLetters {
		t.Errorf("%+v", p)
	}
	r.Letters(" " + strings.ToLower(testLetters()) + " ")
	until(t, "there are moments", func() bool { return r.Page().Step == RecoverMoment })
	var said []string
	for _, m := range r.Page().Moments {
		said = append(said, m.Name)
	}
	if diff := cmp.Diff([]string{"Today 11:00, 2 computers (the newest state)", "Wednesday 09:00, 3 computers", "22 Nov 2025, 12:00, 1 computer"}, said); diff != "" {
		t.Error(diff)
	}
	if got, want := r.Page().Moments[2].Text, home().Members[0].Name; got != want || want == "" {
		t.Errorf("the founder, then without a name, is called %q, not %q", got, want)
	}
	r.Choose(1)
	r.Choose(99)
	r.Next()
	if p := r.Page(); p.Step != RecoverWho || len(p.Members) != 2 || p.Members[0].Name != "Bo" {
		t.Errorf("%+v", p)
	}
	r.Back()
	r.Next()
	r.Mark(device(3), true)
	r.Finish()
	until(t, "it is back", func() bool { return s.Nav.Place() == Place{Page: PageWorkgroup, Group: id(1)} })
	want := workgroup.Choice{Heads: heads, Remove: []discovery.DeviceID{device(3)}, Name: "anna"}
	if diff := cmp.Diff(want, f.choice); diff != "" {
		t.Error(diff)
	}
	if r.Page().Step != RecoverLetters || r.code != "" {
		t.Error("the letters are still in memory")
	}
	f.change(func() { f.moments = nil })
	s.Nav.Go(Place{Page: PageRecover})
	r.Letters(testLetters())
	until(t, "nobody is there", func() bool { return strings.HasPrefix(r.Page().Trouble, "No computer on this network") })
}

// TestOlderService: one that knows no private workgroups still shows its neighbours.
func TestOlderService(t *testing.T) {
	f := newFake()
	f.older, f.peers = true, somePeers()
	s := run(t, f, "en")
	if g := s.Neighbours.Groups(); len(g) != 3 || !g[0].Own || s.Notices.Now().Text != "" {
		t.Errorf("%+v, %+v", g, s.Notices.Now())
	}
}

// TestReminder: at the start the bar says which sheet is still to be saved, and leads to it.
func TestReminder(t *testing.T) {
	f := newFake()
	w := home()
	w.Unsaved, w.Remind = true, true
	f.groups, f.code = []workgroup.Workgroup{w}, testLetters()
	s := run(t, f, "en")
	n := s.Notices.Now()
	if n.Text != "Nobody has the recovery sheet of “Home” yet." || n.Do == nil {
		t.Fatalf("%+v", n)
	}
	n.Do()
	until(t, "the letters show", func() bool { return len(s.Sheet.Page().Groups) == 4 })
}
