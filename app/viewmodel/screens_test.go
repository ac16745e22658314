package viewmodel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

func peer(n byte, name, group string, s discovery.State) discovery.Peer {
	return discovery.Peer{ID: device(n), Name: name, FirstName: name, Workgroup: group, State: s, LastSeen: noon().Add(-time.Hour)}
}

func somePeers() []discovery.Peer {
	return []discovery.Peer{peer(9, "zoe", "Office", discovery.Online), peer(2, "Bo", "WORKGROUP", discovery.Online), peer(3, "clara", "workgroup", discovery.Offline),
		peer(4, "Study", "WORKGROUP", discovery.Suspect), peer(5, "Attic", "WORKGROUP", discovery.Candidate), peer(6, "bo", "Attic club", discovery.Online)}
}

func TestNeighbourhood(t *testing.T) {
	f := newFake()
	f.peers = somePeers()
	s := run(t, f, "en")
	var got []string
	for _, g := range s.Neighbours.Groups() {
		line := g.Name + ":"
		for _, c := range g.Computers {
			line += " " + c.Name + "=" + string(c.Dot)
		}
		got = append(got, line)
	}
	a, b := device(2).Short(), device(6).Short()
	want := []string{"WORKGROUP: Attic=unproven Bo (" + a + ")=here Study=trouble clara=away", "Attic club: bo (" + b + ")=here", "Office: zoe=here"}
	if !slices.Equal(got, want) {
		t.Errorf("groups\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	groups := s.Neighbours.Groups()
	if c := groups[0].Computers[3]; c.Detail != "Last here: Today 11:00" || c.State != "Away" || !c.Openable {
		t.Errorf("away: %+v", c)
	}
	if groups[0].Computers[0].Openable {
		t.Error("a computer that proved nothing can be opened")
	}
	s.Neighbours.Add(" 10.0.0.7 ")
	until(t, "it is added", func() bool {
		return f.called("add 10.0.0.7") && strings.Contains(s.Notices.Now().Text, "10.0.0.7")
	})
	s.Neighbours.Forget(device(3))
	until(t, "it is forgotten", func() bool { return f.called("forget peer 3") })
	f.change(func() { f.peers = f.peers[:1] })
	until(t, "they are gone", func() bool { return len(s.Neighbours.Groups()[0].Computers) == 0 })
}

func TestNeighbourhoodEmpty(t *testing.T) {
	f := newFake()
	s := run(t, f, "de")
	if got := s.Neighbours.Empty().Title; got != "Noch kein anderer Computer da" {
		t.Error(got)
	}
	f.change(func() { f.self.Network = discovery.Public })
	until(t, "the network is public", func() bool { return s.Neighbours.Empty().Title == "Du bist in einem öffentlichen Netz" })
}

func TestComputerPageAndSidebar(t *testing.T) {
	f := newFake()
	f.peers = somePeers()
	f.offers = []share.Offer{{ID: share.ID{1}, Kind: share.Folder, Name: "Photos"}, {ID: share.ID{2}, Kind: share.Drive, Name: "Films", Away: true}, {ID: share.ID{3}, Kind: share.Printer, Name: "Brother"}}
	s := run(t, f, "en")
	to := Place{Page: PageComputer, Device: device(2)}
	s.Nav.Go(to)
	until(t, "the shares are known", func() bool { x, _ := s.Neighbours.Page(device(2)); return len(x.Offers) == 2 })
	x, _ := s.Neighbours.Page(device(2))
	if x.Offers[0].Name != "Films" || x.Offers[0].Openable || x.Offers[0].State != "Not there right now" || !x.Offers[1].Openable {
		t.Errorf("%+v", x.Offers)
	}
	var lines []string
	for _, i := range s.Sidebar.Items() {
		if i.Indent > 0 || i.Selected {
			lines = append(lines, i.Name)
		}
	}
	if got := strings.Join(lines, ","); got != "Bo ("+device(2).Short()+"),Films,Photos" {
		t.Errorf("sidebar %s", got)
	}
	s.Neighbours.GetShare(x.Offers[1].To, "")
	until(t, "the share is pulled", func() bool { return f.called("pull") })
	if _, ok := s.Neighbours.Page(device(77)); ok {
		t.Error("an unknown computer has a page")
	}
	s.Nav.Go(x.Offers[1].To)
	var crumbs []string
	for _, c := range s.Nav.Crumbs() {
		crumbs = append(crumbs, c.Text)
	}
	if got := strings.Join(crumbs, "/"); got != "Neighbourhood/Bo/Photos" {
		t.Errorf("crumbs %s", got)
	}
	s.Nav.Back()
	if s.Nav.Place() != to {
		t.Errorf("back leads to %+v", s.Nav.Place())
	}
	s.Nav.Forward()
	s.Nav.Up()
	s.Nav.Up()
	if back, fwd, up := s.Nav.Can(); s.Nav.Place().Page != PageNeighbours || !back || fwd || up {
		t.Errorf("at %+v: %v %v %v", s.Nav.Place(), back, fwd, up)
	}
}

// TestForWhom: what the card says of a share, who can be chosen, and what is asked of the engine.
func TestForWhom(t *testing.T) {
	f := newFake()
	f.peers = somePeers()
	f.peers[0].Blocked = true // zoe
	to := func(devs ...byte) (list []share.Grant) {
		for _, d := range devs {
			list = append(list, share.Grant{Who: share.ToDevice, Device: device(d), Level: share.LookOnly})
		}
		return list
	}
	bo, club, gone := "Bo ("+device(2).Short()+")", "bo ("+device(6).Short()+")", device(77).Short()
	nobody := share.Grant{Who: share.ToNobody}
	table := []struct {
		s    share.Share
		kind For
		who  string
	}{
		{share.Share{}, ForNearby, "Everyone nearby may look and get"},
		{share.Share{Audience: []share.Grant{{Who: share.ToNearby, Level: share.LookOnly}}}, ForNearby, "Everyone nearby may look and get"},
		{share.Share{Audience: []share.Grant{nobody}}, ForNobody, "For nobody right now"},
		{share.Share{Audience: to(3)}, ForChosen, "Only for clara"},
		{share.Share{Audience: to(4, 3, 2)}, ForChosen, "Only for " + bo + ", clara, Study"},
		{share.Share{Audience: append(to(3, 4, 6, 77), nobody)}, ForChosen, "Only for " + club + ", clara, " + gone + " and 1 more"},
		{share.Share{Audience: []share.Grant{{Who: share.ToEveryone, Workgroup: [32]byte{1}, Level: share.LookOnly}}}, ForGroup,
			"Nobody may get it: this computer is not in the workgroup it was for any more. Please choose again."},
		{share.Share{Lost: true}, ForNobody, "For nobody: for whom it was cannot be read any more. Please choose again."},
	}
	for i, tt := range table {
		tt.s.ID, tt.s.Name = share.ID{byte(i + 1)}, fmt.Sprint(i)
		f.shares = append(f.shares, tt.s)
	}
	s := run(t, f, "en")
	until(t, "they show", func() bool { return len(s.Shares.Rows()) == len(table) })
	for i, r := range s.Shares.Rows() {
		if tt := table[i]; r.Way.For != tt.kind || r.Who != tt.who {
			t.Errorf("%d: %s %q, want %s %q", i, r.Way.For, r.Who, tt.kind, tt.who)
		}
	}
	var got []string
	for _, c := range s.Shares.Receivers(share.ID{6}, ForChosen) {
		got = append(got, fmt.Sprint(c.Name, c.Chosen))
	}
	wantNames := []string{gone + "true", bo + "false", club + "true", "claratrue", "Studytrue"}
	slices.Sort(got)
	slices.Sort(wantNames)
	if !slices.Equal(got, wantNames) {
		t.Errorf("one can choose %q, want %q", got, wantNames)
	}
	tick := func(id share.ID, devs ...byte) []Receiver {
		all := s.Shares.Receivers(id, ForChosen)
		for i := range all {
			all[i].Chosen = slices.ContainsFunc(devs, func(d byte) bool { return all[i].grant.Device == device(d) })
		}
		return all
	}
	for call, do := range map[string]func() string{
		"allow 1 3:2:1 3:3:1": func() string { return s.Shares.Allow(share.ID{1}, Way{For: ForChosen}, tick(share.ID{1}, 2, 3)) },
		"allow 2 5:0:0":       func() string { return s.Shares.Allow(share.ID{2}, Way{For: ForNobody}, tick(share.ID{2}, 2)) },
		"allow 3 4:0:1":       func() string { return s.Shares.Allow(share.ID{3}, Way{For: ForNearby}, nil) },
	} {
		if why := do(); why != "" {
			t.Error(why)
		}
		until(t, call, func() bool { return f.called(call) })
	}
	if s.Shares.Allow(share.ID{4}, Way{For: ForChosen}, nil) == "" || s.Shares.Allow(share.ID{4}, Way{For: ForMixed}, nil) == "" ||
		s.Shares.Allow(share.ID{4}, Way{For: ForChosen}, slices.Repeat([]Receiver{{Chosen: true}}, share.MaxGrants+1)) == "" {
		t.Error("a list that cannot be kept was taken")
	}
}

// TestBlocked: a blocked computer stands last, its page offers nothing, and both acts reach the engine.
func TestBlocked(t *testing.T) {
	f := newFake()
	f.peers = somePeers()
	f.peers[1].Blocked = true // Bo
	f.peers = append(f.peers, discovery.Peer{ID: device(8), Name: "old foe", State: discovery.Offline, Blocked: true})
	f.offers = []share.Offer{{ID: share.ID{1}, Kind: share.Folder, Name: "Music"}}
	s := run(t, f, "en")
	g := s.Neighbours.Groups()
	all := g[0].Computers
	if len(g) != 3 || len(all) != 5 || all[3].Dot != DotBlocked || all[3].State != "Blocked" || all[4].Name != "old foe" || all[4].Dot != DotBlocked {
		t.Errorf("%+v", g)
	}
	if x, ok := s.Neighbours.Page(device(2)); !ok || !x.Blocked || len(x.Offers) > 0 || !strings.HasPrefix(x.Empty, "You have blocked Bo") {
		t.Errorf("%+v", x)
	}
	s.Neighbours.Block(device(3))
	s.Neighbours.Unblock(device(2))
	until(t, "both are asked", func() bool { return f.called("block 3") && f.called("unblock 2") })
	if title, text := s.Neighbours.BlockQuestion("Bo"); title != "Block “Bo”?" || text == "" {
		t.Error(title, text)
	}
}

func TestShares(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	if s.Shares.Empty().Title == "" {
		t.Error("no words for no shares")
	}
	f.change(func() {
		f.shares = []share.Share{{ID: share.ID{2}, Kind: share.Folder, Name: "b", Path: "/b"}, {ID: share.ID{1}, Kind: share.Folder, Name: "A", Path: "/a"}}
	})
	until(t, "both show", func() bool { return len(s.Shares.Rows()) == 2 })
	if r := s.Shares.Rows()[0]; r.Name != "A" || r.Who != "Everyone nearby may look and get" || r.Way.For != ForNearby || s.Shares.Empty().Title != "" {
		t.Errorf("%+v", r)
	}
	s.Shares.Add("/music")
	s.Shares.Rename(share.ID{1}, "C")
	s.Shares.Remove(share.ID{2})
	s.Shares.Show("/a")
	until(t, "all is asked", func() bool {
		return f.called("share /music") && f.called("rename 1 C") && f.called("unshare 2") && f.called("open /a")
	})
	until(t, "it says so", func() bool { return s.Notices.Now().Text == "“Music” is shared now." })
	f.mu.Lock()
	f.fails = errDisk
	f.mu.Unlock()
	s.Shares.Add("/etc")
	until(t, "the reason shows", func() bool {
		return s.Notices.Now().Text == "“etc” was not shared. The reason: disk trouble" && s.Notices.Now().Tone == Bad
	})
	f.mu.Lock()
	f.fails = fmt.Errorf("share: %w", &safefs.Refusal{Place: "/etc", Why: safefs.WhySystem})
	f.mu.Unlock()
	s.Shares.Add("/etc")
	until(t, "the refusal shows", func() bool {
		return s.Notices.Now().Text == "“etc” was not shared. This folder cannot be shared: it belongs to the system."
	})
	s.Notices.Dismiss()
	if s.Notices.Now().Text != "" {
		t.Error("the bar stays")
	}
}

func TestSeveralThingsAreCounted(t *testing.T) {
	f := newFake()
	s := run(t, f, "de")
	f.change(func() {
		f.jobs = []transfer.Job{{ID: 1, From: "Bo", State: transfer.Waiting, Request: transfer.Request{ShareName: "Music", Paths: make([]share.Path, 3)}}}
	})
	until(t, "it has a title", func() bool { return s.Transfers.Strip().Title == "3 Einträge" })
}

func TestTransfers(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	if s.Transfers.Strip().Visible || s.Transfers.Empty().Title == "" {
		t.Error("nothing moves, and something shows")
	}
	job := func(id transfer.JobID, state transfer.State) transfer.Job {
		return transfer.Job{ID: id, From: "Bo", Title: fmt.Sprintf("job %d", id), State: state, Bytes: 62, Total: 100, Listed: true, Files: 10, Done: 4, Ended: noon()}
	}
	run, away, failed, done := job(3, transfer.Running), job(4, transfer.Away), job(5, transfer.Failed), job(1, transfer.Done)
	run.Rate, run.Bytes, run.Total = 18_400_000, 1_000_000_000, 3_208_000_000
	away.Trouble, failed.Trouble, failed.Detail = transfer.SourceAway, transfer.BadBytes, "a.iso"
	done.Skipped, done.Failed, done.Done = 2, 7, 10
	for i := range 7 {
		done.Problems = append(done.Problems, transfer.Problem{Path: share.Path(fmt.Sprintf("x/%d", i)), Trouble: transfer.SourceGone})
	}
	done.Problems[0] = transfer.Problem{Path: "a:b", As: "a_b"}
	f.change(func() {
		f.jobs = []transfer.Job{done, job(2, transfer.Canceled), run, away, failed, job(6, transfer.Waiting), job(7, transfer.Paused)}
	})
	until(t, "all show", func() bool { return len(s.Transfers.Rows()) == 7 })
	rows := s.Transfers.Rows()
	for i, tt := range []struct {
		title, figures, text string
		acts                 []Act
	}{
		{"job 3", "18.4\u00a0MB/s · 2 min left", "4 of 10 files from Bo", []Act{ActPause, ActCancel}},
		{"job 4", "62 %", "Bo is away. The rest comes when it is back.", []Act{ActPause, ActCancel}},
		{"job 6", "", "Waits for its turn, from Bo", []Act{ActPause, ActCancel}},
		{"job 7", "62 bytes of 100 bytes", "Paused by you, from Bo", []Act{ActResume, ActCancel}},
		{"job 5", "62 bytes of 100 bytes", "“a.iso” arrived damaged and was thrown away. Try again.", []Act{ActRetry, ActShow, ActForget}},
		{"job 2", "", "Canceled by you, from Bo", []Act{ActRetry, ActForget}},
		{"job 1", "100 bytes", "10 files from Bo, Today 12:00 · 2 were here already · 7 did not come", []Act{ActShow, ActForget}},
	} {
		if r := rows[i]; r.Title != tt.title || r.Figures != tt.figures || r.Text != tt.text || !slices.Equal(r.Acts, tt.acts) {
			t.Errorf("row %d: %q %q %q %v", i, r.Title, r.Figures, r.Text, r.Acts)
		}
	}
	if p := rows[6].Problems; len(p) != 6 || p[0] != "“a:b” is called “a_b” here" || p[5] != "and 2 more" {
		t.Errorf("problems %q", p)
	}
	if x := s.Transfers.Strip(); !x.Visible || x.Title != "job 3" || x.More != "2 waiting" || x.Part < .31 || x.Part > .32 {
		t.Errorf("strip %+v", x)
	}
	for _, a := range []Act{ActPause, ActResume, ActCancel, ActRetry, ActForget} {
		s.Transfers.Do(rows[0], a)
		until(t, string(a), func() bool { return f.called(string(a) + " 3") })
	}
	s.Transfers.ForgetEnded()
	until(t, "the ended ones are forgotten", func() bool { return f.called("forget 1") && f.called("forget 2") })
	if f.called("forget 5") {
		t.Error("a failed one was forgotten unasked")
	}
}

func TestEveryTroubleHasWords(t *testing.T) {
	for _, lang := range assets.Languages() {
		w, err := assets.Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []transfer.Trouble{transfer.SourceAway, transfer.SourceGone, transfer.SourceChanged, transfer.SourceBroken, transfer.DiskFull, transfer.DiskTrouble,
			transfer.TargetGone, transfer.FileTooLarge, transfer.BadBytes, transfer.NameTrouble, transfer.ShareAway, transfer.DiskReadOnly,
			transfer.TooDeep, transfer.TooMany} {
			if key := "trouble." + string(x); !w.Has(key) {
				t.Errorf("%s: no words for %s", lang, key)
			}
		}
	}
}

func TestSettingsAndFirstRun(t *testing.T) {
	f := newFake()
	f.self.FirstRun = true
	f.self.Health = []discovery.Health{{Service: "mdns", Trouble: "no multicast"}, {Service: "odd", Trouble: "why"}}
	s := run(t, f, "en")
	if s.Nav.Place().Page != PageFirst {
		t.Fatalf("begins at %s", s.Nav.Place().Page)
	}
	title, _, progress := s.FirstRun.Title()
	if title != "What is this computer called?" || progress != "Step 1 of 3" {
		t.Error(title, progress)
	}
	s.FirstRun.Next()
	s.FirstRun.Next()
	s.FirstRun.Back()
	if s.FirstRun.Step() != StepNetwork || s.FirstRun.Last() {
		t.Errorf("step %d", s.FirstRun.Step())
	}
	s.FirstRun.Next()
	s.FirstRun.Next()
	until(t, "the first run is over", func() bool { return s.Nav.Place().Page == PageNeighbours && f.called("finish") })
	v := s.Settings
	v.SetName(" bo ")
	v.SetWorkgroup("Maple")
	v.SetNetwork("public")
	v.SetDownloads("/d")
	until(t, "all is set", func() bool {
		return f.called("name bo") && f.called("workgroup Maple") && f.called("network public") && f.called("downloads /d")
	})
	if v.CheckName("") == "" || v.CheckName("x") != "" {
		t.Error("names are judged wrongly")
	}
	if n := v.Networks(); len(n) != 3 || !n[0].Chosen || n[2].Value != "public" {
		t.Errorf("%+v", n)
	}
	if got := v.Troubles(); len(got) != 2 || got[1] != "odd: why" || !strings.Contains(got[0], "no multicast") {
		t.Errorf("%q", got)
	}
	v.SetLook(Look{Theme: "dark", Language: "de"})
	if v.Look().Theme != "dark" || !v.Themes()[2].Chosen || s.Notices.Now().Text == "" {
		t.Errorf("look %+v", v.Look())
	}
	if got := v.Languages(); len(got) != 3 || got[2].Name != "Deutsch" {
		t.Errorf("languages %+v", got)
	}
	if len(v.About()) < 3 || len(v.Never()) != 4 {
		t.Error("about is short")
	}
}

func TestNoEngine(t *testing.T) {
	s := runWith(t, Config{Connect: func(context.Context) (Engine, error) { return nil, errors.New("another one runs here") }}, "en")
	if s.Failure() != "The reason: another one runs here" || s.Ready() {
		t.Error(s.Failure())
	}
	if got := s.Neighbours.Empty(); got != (Empty{"Porchlight could not start", "The reason: another one runs here"}) {
		t.Errorf("%+v", got)
	}
}

func TestErrorsInWords(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	for err, want := range map[error]string{
		transfer.ErrBusy:         "That computer is busy. Try again in a moment.",
		discovery.ErrName:        "A name has 1 to 64 letters, and no space at its ends.",
		context.DeadlineExceeded: "No answer came in time.",
		errDisk:                  "The reason: disk trouble",
	} {
		f.mu.Lock()
		f.fails = fmt.Errorf("some step: %w", err)
		f.mu.Unlock()
		s.Reload()
		if !errors.Is(err, errDisk) {
			until(t, want, func() bool { return s.Notices.Now().Text == want })
			continue
		}
		until(t, want, func() bool { return strings.Contains(s.Notices.Now().Text, "disk trouble") })
	}
}

// A name proves nothing: whoever takes a known one is told apart, and an announcement alone changes nothing that is shown.
func TestNamesakes(t *testing.T) {
	f := newFake()
	known, late := peer(2, "Bo", "WORKGROUP", discovery.Online), peer(6, "BO", "WORKGROUP", discovery.Online)
	known.FirstSeen, late.FirstSeen = noon().Add(-time.Hour), noon()
	forged := discovery.Peer{Name: "Bo", Workgroup: "WORKGROUP", State: discovery.Candidate}
	f.peers = []discovery.Peer{known, forged}
	s := run(t, f, "en")
	shown := func() (out []string) {
		for _, c := range s.Neighbours.Groups()[0].Computers {
			out = append(out, c.Name+"|"+c.Detail)
		}
		return out
	}
	if got := shown(); !slices.Contains(got, "Bo|") || strings.Contains(strings.Join(got, ""), "(") {
		t.Errorf("beside an announcement: %q", got)
	}
	f.change(func() { f.peers = []discovery.Peer{known, late} })
	until(t, "both are told apart", func() bool { return strings.Contains(strings.Join(shown(), ""), late.ID.Short()) })
	want := []string{"Bo (" + known.ID.Short() + ")|", "BO (" + late.ID.Short() + ")|Another computer also calls itself BO"}
	got := shown()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
