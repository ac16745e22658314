package access

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/share"
)

var (
	home  = [32]byte{1}
	work  = [32]byte{2}
	anna  = [16]byte{1}
	bo    = [16]byte{2}
	phone = discovery.DeviceID{7}
	now   = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

	member   = Subject{Device: phone, Members: []Member{{home, bo}}}
	stranger = Subject{Device: phone, Nearby: true}
	verified = Subject{Device: phone, Nearby: true, Verified: true}
)

func everyone(l share.Level, a share.Ask) share.Grant {
	return share.Grant{Who: share.ToEveryone, Workgroup: home, Level: l, Ask: a}
}
func nearby(l share.Level, a share.Ask) share.Grant {
	return share.Grant{Who: share.ToNearby, Level: l, Ask: a}
}

// TestTable is the table of the package comment, right by right.
func TestTable(t *testing.T) {
	const no, yes, own, apart = "no", "yes", "own", "apart"
	for _, tt := range []struct {
		right              Right
		look, add, change  string
		strangerLook, full string // by a Nearby grant, to who is known by its key only: of share.LookOnly, and of Change
	}{
		{Look, yes, own, yes, yes, yes},
		{Create, no, apart, yes, no, no},
		{SetTimes, no, own, yes, no, no},
		{Replace, no, no, yes, no, no},
		{Use, yes, yes, yes, no, no},
		{0, no, no, no, no, no},
		{Use + 1, no, no, no, no, no},
	} {
		got := func(g share.Grant, s Subject) string {
			d := Policy{Kind: share.Folder, Audience: []share.Grant{g}}.Allows(s, tt.right, Answer{}, now)
			switch {
			case !d.Allowed && (d.Own || d.Apart || d.Ask || d.Why == Granted):
				return fmt.Sprintf("%+v", d)
			case !d.Allowed:
				return no
			case d.Own:
				return own
			case d.Apart:
				return apart
			}
			return yes
		}
		for _, c := range []struct {
			what, want string
			g          share.Grant
			s          Subject
		}{
			{"look", tt.look, everyone(share.LookOnly, share.AskNever), member},
			{"add only", tt.add, everyone(share.AddOnly, share.AskNever), member},
			{"change", tt.change, everyone(share.Change, share.AskNever), member},
			{"verified, change", tt.change, nearby(share.Change, share.AskNever), verified},
			{"verified, add only", tt.add, nearby(share.AddOnly, share.AskNever), verified},
			{"stranger, look", tt.strangerLook, nearby(share.LookOnly, share.AskNever), stranger},
			{"stranger, change", tt.full, nearby(share.Change, share.AskNever), stranger},
			{"stranger, add only", no, nearby(share.AddOnly, share.AskNever), stranger},
			{"level 0", no, everyone(0, share.AskNever), member},
			{"level 4", no, everyone(4, share.AskNever), member},
		} {
			if have := got(c.g, c.s); have != c.want {
				t.Errorf("right %d by %s: %s, want %s", tt.right, c.what, have, c.want)
			}
		}
	}
}

// TestOrder: the gates one after the other, and the rows of the list from top to bottom.
func TestOrder(t *testing.T) {
	toBo := share.Grant{Who: share.ToPerson, Workgroup: home, Person: bo, Level: share.Change}
	toPhone := share.Grant{Who: share.ToDevice, Workgroup: home, Device: phone, Level: share.AddOnly}
	toAnyPhone := share.Grant{Who: share.ToDevice, Device: phone, Level: share.Change}
	blocked := member
	blocked.Blocked, blocked.Verified, blocked.Nearby = true, true, true
	other := Subject{Device: discovery.DeviceID{8}, Members: []Member{{work, bo}, {home, anna}}}
	old := toBo
	old.Until = now
	later := toBo
	later.Until = now.Add(1)
	for _, tt := range []struct {
		name  string
		list  []share.Grant
		s     Subject
		right Right
		row   int
		why   Reason
	}{
		{"nothing decided, anyone nearby looks", nil, stranger, Look, 0, Granted},
		{"nothing decided, nobody creates", nil, verified, Create, 0, NotEnough},
		{"nothing decided, a member from afar", nil, member, Look, -1, NoGrant},
		{"blocked outweighs everything", []share.Grant{toBo, nearby(share.Change, share.AskNever)}, blocked, Look, -1, IsBlocked},
		{"neither member nor verified nor nearby", []share.Grant{nearby(share.Change, share.AskNever)}, Subject{Device: phone}, Look, -1, IsStranger},
		{"a device whose grant is of a workgroup it left", []share.Grant{toPhone}, verified, Look, -1, NoGrant},
		{"a device in it", []share.Grant{toPhone}, member, Create, 0, Granted},
		{"a verified device", []share.Grant{toAnyPhone}, verified, Replace, 0, Granted},
		{"a device nobody verified, by name", []share.Grant{toAnyPhone}, stranger, Look, 0, Granted},
		{"it may do no more than look", []share.Grant{toAnyPhone}, stranger, Replace, 0, Unverified},
		{"another device nearby", []share.Grant{toAnyPhone}, Subject{Device: discovery.DeviceID{8}, Nearby: true}, Look, -1, NoGrant},
		{"it, neither verified nor nearby", []share.Grant{toAnyPhone}, Subject{Device: phone, Members: []Member{{work, bo}}}, Look, -1, NoGrant},
		{"another device", []share.Grant{toPhone}, other, Look, -1, NoGrant},
		{"a person in the wrong workgroup", []share.Grant{toBo}, other, Look, -1, NoGrant},
		{"a person", []share.Grant{toBo}, member, Replace, 0, Granted},
		{"everyone of another workgroup", []share.Grant{{Who: share.ToEveryone, Workgroup: work, Level: share.Change}}, member, Look, -1, NoGrant},
		{"the first row decides, though a later one gives more", []share.Grant{everyone(share.LookOnly, share.AskNever), toBo}, member, Replace, 0, NotEnough},
		{"the first row decides, though a later one gives less", []share.Grant{toBo, everyone(share.LookOnly, share.AskNever)}, member, Replace, 0, Granted},
		{"rows about others are passed over", []share.Grant{toBo, everyone(share.LookOnly, share.AskNever)}, other, Look, 1, Granted},
		{"nobody ends the list", []share.Grant{{Who: share.ToNobody}, nearby(share.Change, share.AskNever)}, member, Look, 0, NotEnough},
		{"a row that has run out is about nobody", []share.Grant{old, everyone(share.LookOnly, share.AskNever)}, member, Look, 1, Granted},
		{"a row that has not", []share.Grant{later, everyone(share.LookOnly, share.AskNever)}, member, Look, 0, Granted},
		{"a row that is not whole is about nobody", []share.Grant{{Who: share.ToEveryone, Level: share.Change}}, Subject{Device: phone, Members: []Member{{}}}, Look, -1, NoGrant},
		{"a guest without a key", []share.Grant{{Who: share.ToDevice, Level: share.Change}}, Subject{Verified: true}, Look, -1, NoGrant},
		{"a stranger by a row of nearby", []share.Grant{nearby(share.Change, share.AskNever)}, stranger, Replace, 0, Unverified},
		{"row 65 is not read", append(slices.Repeat([]share.Grant{toBo}, share.MaxGrants), nearby(share.LookOnly, share.AskNever)), stranger, Look, -1, NoGrant},
	} {
		d := Policy{Kind: share.Folder, Audience: tt.list}.Allows(tt.s, tt.right, Answer{}, now)
		if d.Row != tt.row || d.Why != tt.why || d.Allowed != (tt.why == Granted) || d.Ask {
			t.Errorf("%s: %+v, want row %d %q", tt.name, d, tt.row, tt.why)
		}
	}
}

// TestDefaultsFollowTheDevice: what nobody said it for is for those who see the device anyhow, or for nobody.
func TestDefaultsFollowTheDevice(t *testing.T) {
	nobody := []share.Grant{{Who: share.ToNobody}}
	for _, tt := range []struct {
		open bool
		in   [][32]byte
		want []share.Grant
	}{
		{true, nil, Default(share.Folder, [32]byte{})},
		{true, [][32]byte{home}, Default(share.Folder, [32]byte{})},
		{false, [][32]byte{home}, Default(share.Folder, home)},
		{false, [][32]byte{home, work}, nobody},
		{false, nil, nobody},
	} {
		got := DefaultIn(share.Folder, tt.open, tt.in)
		if !slices.Equal(got, tt.want) || share.CheckGrants(got) != nil {
			t.Errorf("open %v, in %d: %+v", tt.open, len(tt.in), got)
		}
		p := Policy{share.Folder, got}
		if elsewhere := (Subject{Device: phone, Members: []Member{{work, bo}}}); p.Sees(elsewhere, now) || p.Sees(stranger, now) != tt.open || p.Sees(member, now) && !slices.Equal(got, Default(share.Folder, home)) {
			t.Errorf("open %v, in %d: seen by others than that", tt.open, len(tt.in))
		}
	}
}

func TestAsking(t *testing.T) {
	const asks, yes, no = "asks", "yes", "no"
	for _, tt := range []struct {
		name   string
		ask    share.Ask
		answer Answer
		want   string
	}{
		{"never", share.AskNever, Answer{}, yes},
		{"never, and once said no", share.AskNever, Answer{At: now}, yes},
		{"first time", share.AskFirst, Answer{}, asks},
		{"first time, yes a month ago", share.AskFirst, Answer{Yes: true, At: now.Add(-Remember + 1)}, yes},
		{"first time, yes longer ago", share.AskFirst, Answer{Yes: true, At: now.Add(-Remember)}, asks},
		{"first time, yes in the future", share.AskFirst, Answer{Yes: true, At: now.Add(1)}, asks},
		{"first time, no", share.AskFirst, Answer{At: now.Add(-time.Hour)}, no},
		{"each time, yes before", share.AskEach, Answer{Yes: true, At: now}, asks},
		{"each time, yes to this", share.AskEach, Answer{Yes: true, At: now, This: true}, yes},
		{"each time, no to this", share.AskEach, Answer{At: now, This: true}, no},
		{"a yes without a time", share.AskEach, Answer{Yes: true, This: true}, asks},
	} {
		d := Policy{Kind: share.Folder, Audience: []share.Grant{everyone(share.LookOnly, tt.ask)}}.Allows(member, Look, tt.answer, now)
		got := map[bool]string{true: yes, false: no}[d.Allowed]
		if d.Ask {
			got = asks
		}
		if got != tt.want || d.Ask && d.Allowed || (got == no) != (d.Why == Refused) {
			t.Errorf("%s: %s, want %s (%+v)", tt.name, got, tt.want, d)
		}
	}
	d := Policy{Kind: share.Folder, Audience: []share.Grant{everyone(share.LookOnly, share.AskEach)}}.Allows(member, Replace, Answer{Yes: true, At: now, This: true}, now)
	if d.Allowed || d.Ask || d.Why != NotEnough {
		t.Errorf("somebody was asked for what the grant does not give: %+v", d)
	}
}

// TestDefaults: who sees a new share of each kind, and what the main right on it needs.
func TestDefaults(t *testing.T) {
	const yes, asks, no = "yes", "asks", "no"
	for _, tt := range []struct {
		kind                       share.Kind
		right                      Right
		member, verified, stranger string // the latter two with no workgroup
		seen                       bool   // by the stranger
	}{
		{share.Folder, Look, yes, yes, yes, true},
		{share.Folder, Create, no, no, no, true},
		{share.Drive, Look, yes, yes, yes, true},
		{share.Drive, Replace, no, no, no, true},
		{share.Printer, Use, asks, asks, no, false},
		{share.Scanner, Use, asks, asks, no, false},
		{share.Inbox, Create, asks, asks, asks, true},
		{share.Inbox, Replace, no, no, no, true},
	} {
		private, open := Policy{tt.kind, Default(tt.kind, home)}, Policy{tt.kind, Default(tt.kind, [32]byte{})}
		if err := errors.Join(share.CheckGrants(private.Audience), share.CheckGrants(open.Audience)); err != nil {
			t.Error(tt.kind, err)
		}
		got := func(p Policy, s Subject) string {
			switch d := p.Allows(s, tt.right, Answer{}, now); {
			case d.Ask:
				return asks
			case d.Allowed:
				return yes
			}
			return no
		}
		have := [3]string{got(private, member), got(open, verified), got(open, stranger)}
		if want := [3]string{tt.member, tt.verified, tt.stranger}; have != want || open.Sees(stranger, now) != tt.seen {
			t.Errorf("kind %d right %d: %v, want %v; seen %v", tt.kind, tt.right, have, want, open.Sees(stranger, now))
		}
		if got(private, stranger) != no || private.Sees(stranger, now) || !private.Sees(member, now) {
			t.Errorf("kind %d: a share of a workgroup is there for a stranger, or not for a member", tt.kind)
		}
	}
	hidden := Policy{share.Folder, []share.Grant{{Who: share.ToNobody}}}
	if hidden.Sees(member, now) || (Policy{share.Folder, []share.Grant{everyone(share.AddOnly, share.AskNever)}}).Sees(stranger, now) {
		t.Error("a share is there for who may do nothing with it")
	}
	if !(Policy{share.Folder, []share.Grant{everyone(share.AddOnly, share.AskNever)}}).Sees(member, now) || !(Policy{share.Folder, []share.Grant{everyone(share.Change, share.AskEach)}}).Sees(member, now) {
		t.Error("a share is not there for who may add to it, or ask")
	}
}

func TestCheck(t *testing.T) {
	good := share.Grant{Who: share.ToDevice, Device: phone, Level: share.Change, Ask: share.AskFirst, Until: now}
	if err := share.CheckGrants(slices.Repeat([]share.Grant{good}, share.MaxGrants)); err != nil {
		t.Error(err)
	}
	for name, list := range map[string][]share.Grant{
		"too many":             slices.Repeat([]share.Grant{good}, share.MaxGrants+1),
		"nobody in particular": {{Level: share.LookOnly}},
		"who 6":                {{Who: 6, Level: share.LookOnly}},
		"no level":             {nearby(0, 0)},
		"level 4":              {nearby(4, 0)},
		"ask 3":                {nearby(share.LookOnly, 3)},
		"everyone of nothing":  {{Who: share.ToEveryone, Level: share.LookOnly}},
		"a person of nothing":  {{Who: share.ToPerson, Person: bo, Level: share.LookOnly}},
		"no person":            {{Who: share.ToPerson, Workgroup: home, Level: share.LookOnly}},
		"no device":            {{Who: share.ToDevice, Workgroup: home, Level: share.LookOnly}},
		"nearby of a group":    {{Who: share.ToNearby, Workgroup: home, Level: share.LookOnly}},
		"a level for nobody":   {{Who: share.ToNobody, Level: share.LookOnly}},
		"a second row":         {good, {}},
	} {
		if err := share.CheckGrants(list); !errors.Is(err, share.ErrGrant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatNoListOutweighs: of lists by chance, who may never, and no answer by half.
func TestWhatNoListOutweighs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	allowed, refused := 0, 0
	for range 50_000 {
		var list []share.Grant
		for range r.IntN(5) {
			g := share.Grant{Who: share.Who(r.IntN(7)), Level: share.Level(r.IntN(5)), Ask: share.Ask(r.IntN(4))}
			switch g.Who {
			case share.ToEveryone:
				g.Workgroup = home
			case share.ToPerson:
				g.Workgroup, g.Person = home, bo
			case share.ToDevice:
				g.Device = phone
			case share.ToNobody:
				g.Level, g.Ask = 0, 0
			}
			list = append(list, g)
		}
		s := Subject{Device: phone, Blocked: r.IntN(8) == 0, Verified: r.IntN(2) == 0, Nearby: r.IntN(2) == 0}
		if r.IntN(2) == 0 {
			s.Members = []Member{{home, bo}}
		}
		right := Right(r.IntN(int(Use) + 2))
		d := Policy{share.Folder, list}.Allows(s, right, Answer{}, now)
		strange := len(s.Members) == 0 && !s.Verified
		switch {
		case d.Allowed && (s.Blocked || strange && right != Look || strange && !s.Nearby):
			t.Fatalf("%+v may %d, of %+v: %+v", s, right, list, d)
		case d.Allowed == (d.Why != Granted) && !d.Ask, d.Allowed && d.Ask:
			t.Fatalf("half an answer: %+v", d)
		case (d.Allowed || d.Ask) && len(list) > 0 && (d.Row < 0 || share.CheckGrants(list[d.Row:d.Row+1]) != nil):
			t.Fatalf("by row %d of %+v", d.Row, list)
		}
		if d.Allowed {
			allowed++
		} else {
			refused++
		}
	}
	t.Logf("%d allowed, %d not", allowed, refused)
	if allowed < 1000 || refused < 1000 {
		t.Errorf("%d allowed, %d not: the lists are too much alike", allowed, refused)
	}
}
