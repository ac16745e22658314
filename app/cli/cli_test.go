package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"porchlight/app/control"
	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// in returns the words of a language.
func in(t *testing.T, lang string) words {
	t.Helper()
	w, err := assets.Load(lang)
	if err != nil {
		t.Fatal(err)
	}
	return words{w}
}

// runLine runs a command line on an engine in this process.
func runLine(ctx context.Context, t *testing.T, e Engine, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(ctx, Env{Args: append(args, "--home", t.TempDir()), Stdout: &out, Stderr: &errs, Connect: func(context.Context, string) (Engine, error) { return e, nil }})
	return code, out.String(), errs.String()
}

func TestWaitingForPeersEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		code, out, errs := runLine(t.Context(), t, newFake(), "peers", "--wait", "3")
		if code != exitFailed || !strings.Contains(errs, "2 of 3 neighbours are online after 30 seconds") || !strings.Contains(out, "bo") {
			t.Error(code, out, errs)
		}
		if took := time.Since(began); took != waitPeers {
			t.Error("took", took)
		}
	})
}

func TestWaitingForAnEngineThatStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var out, errs bytes.Buffer
		env := Env{Stdout: &out, Stderr: &errs, Connect: func(context.Context, string) (Engine, error) {
			if time.Since(began) < 3*time.Second {
				return nil, control.ErrNoEngine
			}
			return newFake(), nil
		}}
		home := t.TempDir()
		env.Args = []string{"peers", "--home", home}
		if code := Run(t.Context(), env); code != exitNoEngine || time.Since(began) > 0 {
			t.Error(code, time.Since(began))
		}
		env.Args = []string{"peers", "--home", home, "--wait", "2"}
		if code := Run(t.Context(), env); code != exitOK {
			t.Error(code, errs.String())
		}
		began = time.Now().Add(time.Hour)
		if code := Run(t.Context(), env); code != exitNoEngine {
			t.Error(code, errs.String())
		}
	})
}

func TestCtrlCLeavesTheJob(t *testing.T) {
	for _, args := range [][]string{{"get", "bo:Music"}, {"get", "bo:Music", "bo:Music/old", "--json"}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.pull = "hang"
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for !f.did("waiting") {
					time.Sleep(time.Millisecond) // of the fake clock
				}
				cancel()
			}()
			code, out, errs := runLine(ctx, t, f, args...)
			if code != exitFailed || out != "" || !strings.Contains(errs, "job 1 goes on without you. Stop it with: porchlight cancel 1") || f.did("cancel 1") {
				t.Error(code, out, errs)
			}
			if strings.Contains(errs, "job 2") != (len(f.jobs) == 2) {
				t.Error("what is left is not told whole:", errs)
			}
		})
	}
}

func TestLinesOfProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		for range 600 { // looks for 12 seconds
			f.steps = append(f.steps, func() {})
		}
		f.pull = "hang"
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f.jobs = []transfer.Job{{ID: 1, Title: "old", State: transfer.Done}}
		f.steps = append(f.steps, func() { f.jobs[1].State = transfer.Done })
		f.jobs = append(f.jobs, transfer.Job{ID: 2, Title: "Film", From: "bo", State: transfer.Running, Bytes: 1_500_000, Total: 3_000_000, Listed: true, Rate: 100_000, Files: 2, Done: 1})
		var out, errs bytes.Buffer
		fo := &follower{call: &call{Env: Env{Stdout: &out, Stderr: &errs}, words: in(t, "en")}, engine: f, bar: &bar{w: &errs}}
		if err := fo.follow(ctx, 2); err != nil {
			t.Error(err)
		}
		want := "Film from bo (job 2)\nFilm: 1.5 MB of 3.0 MB, 1 of 2 files, 100 kB/s, 0:15 left\n"
		if got := errs.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 3 {
			t.Errorf("%q", got)
		}
	})
}

type endedEngine struct{ *fake }

func (endedEngine) Wait(context.Context, uint64) (uint64, error) {
	return 0, fmt.Errorf("%w: EOF", control.ErrNoEngine)
}

func TestTheEngineEndsMeanwhile(t *testing.T) {
	if code, _, errs := runLine(t.Context(), t, endedEngine{newFake()}, "get", "bo:Music"); code != exitNoEngine || !strings.Contains(errs, "job 1 goes on when it is started again") {
		t.Error(code, errs)
	}
}

func TestBar(t *testing.T) {
	j := transfer.Job{Title: "Holiday pictures of everybody", State: transfer.Running, Bytes: 450, Total: 1000, Listed: true, Rate: 50}
	for _, tt := range []struct {
		columns int
		want    string
	}{
		{79, "Holiday pictures o…  [######........]   45%  450 B of 1.0 kB  50 B/s  0:11 left"},
		{60, "Holiday pictur…  [####......]   45%  450 B of 1.0 kB  50 B/s"},
		{30, "Holiday…  [#####.......]   45%"},
		{5, "Holi…"},
	} {
		got := in(t, "en").bar(j, tt.columns)
		if n := utf8.RuneCountInString(got); n > tt.columns || got != tt.want {
			t.Errorf("%d columns: %d characters: %q", tt.columns, n, got)
		}
	}
	j.Listed = false
	if got := in(t, "en").bar(j, 79); strings.Contains(got, "%") || strings.Contains(got, "#") {
		t.Errorf("a part of an unknown whole: %q", got)
	}
	var out bytes.Buffer
	b := &bar{words: in(t, "en"), w: &out, on: true}
	b.draw(j)
	b.clear()
	b.clear()
	if s := out.String(); strings.Count(s, "\r") != 3 || strings.Contains(s, "\n") {
		t.Errorf("%q", s)
	}
}

func TestShowMakesTextsHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢": "plain ü 漢", "a\x1b[31m": `a\u001b[31m`, "x\u202egpj": `x\u202egpj`, "a\r\nb": `a\u000d\u000ab`, "\xff": `\xff`, "\u0085": `\u0085`, "": "",
	} {
		if got := show(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	w, de := in(t, "en"), in(t, "de")
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9999: "10 kB", 999_499: "999 kB", 999_999: "1.0 MB", 1 << 30: "1.1 GB", 1<<63 - 1: "9.2 EB"} {
		if got := w.size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := w.count(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	if w.left(65*time.Second) != "1:05 left" || w.left(2*time.Hour+3*time.Second) != "2:00:03 left" || w.left(0) != "" {
		t.Error(w.left(65*time.Second), w.left(2*time.Hour+3*time.Second))
	}
	if de.size(4_200_000) != "4,2 MB" || de.count(1234567) != "1.234.567" || de.left(time.Minute) != "noch 1:00" {
		t.Error(de.size(4_200_000), de.count(1234567), de.left(time.Minute))
	}
	if when(time.Time{}) != nil || when(time.Unix(1<<50, 0)) != nil || when(day) == nil {
		t.Error("a time JSON cannot write, or none at all")
	}
}

func TestDeviceAt(t *testing.T) {
	all := newFake().peers
	bo := all[1].ID.String()
	for _, tt := range []struct {
		text, name, rest string
		id               discovery.DeviceID
		bad              bool
	}{
		{"bo", "bo", "", deviceID(2), false}, // the candidate of that name counts for nothing
		{"BO:x/y", "bo", "x/y", deviceID(2), false},
		{strings.ToLower(bo[:9]) + ":Music", "bo", "Music", deviceID(2), false},
		{bo, "bo", "", deviceID(2), false},
		{"anna: work:Stuff", "anna: work", "Stuff", deviceID(3), false},
		{"anna", "", "", discovery.DeviceID{}, true},
		{"twin:x", "", "", discovery.DeviceID{}, true},
		{all[0].ID.String()[:9], "twin", "", deviceID(9), false},
		{"", "", "", discovery.DeviceID{}, true},
		{":x", "", "", discovery.DeviceID{}, true},
	} {
		p, rest, err := deviceAt(all, tt.text)
		if (err != nil) != tt.bad || p.ID != tt.id || !tt.bad && rest != tt.rest {
			t.Errorf("%q: %s %q %v", tt.text, p.Name, rest, err)
		}
		if tt.bad && err != nil {
			if _, code := in(t, "en").explain(err); code != exitNotFound {
				t.Errorf("%q: exit code %d", tt.text, code)
			}
		}
	}
}

func TestOfferAt(t *testing.T) {
	offers := []share.Offer{{ID: share.ID{1}, Name: "a"}, {ID: share.ID{2}, Name: "a/b"}, {ID: share.ID{3}, Name: "Z"}, {ID: share.ID{4}, Name: "z"}}
	for _, tt := range []struct {
		text, path string
		id         byte
	}{
		{"a", "", 1}, {"A/c/", "c", 1}, {"a/b", "", 2}, {"a/b/c", "c", 2}, {"a/bc", "bc", 1}, {"Z", "", 3}, {"z/x", "x", 4}, {share.ID{2}.String() + "/x", "x", 2}, {"ab", "", 0}, {"", "", 0},
	} {
		o, path, err := offerAt(offers, "bo", tt.text)
		if o.ID[0] != tt.id || path != tt.path || (err != nil) != (tt.id == 0) {
			t.Errorf("%q: %v %q %v", tt.text, o, path, err)
		}
	}
	if _, _, err := offerAt([]share.Offer{{ID: share.ID{3}, Name: "Z"}, {ID: share.ID{4}, Name: "z"}}[:2], "bo", "Z"); err != nil {
		t.Error(err)
	}
}

func TestEveryErrorHasWordsAndACode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		de   string
	}{
		{fmt.Errorf("x: %w", transfer.ErrAway), exitAway, "der andere Computer ist nicht da"},
		{transfer.ErrGone, exitNotFound, "nicht gefunden oder nicht erlaubt"},
		{transfer.ErrNoJob, exitNotFound, "diesen Auftrag gibt es nicht; siehe: porchlight jobs"},
		{control.ErrNoEngine, exitNoEngine, "der Dienst ist beendet"},
		{usage("cli.usage.too-few", "Command", "get"), exitUsage, "get braucht mehr Angaben\nSiehe: porchlight help"},
		{errors.New("odd\x1b"), exitFailed, `odd\u001b`},
		{errors.Join(notFound("cli.error.job-forgotten", "Job", 3), transfer.ErrAway), exitNotFound, "Auftrag 3 gibt es nicht mehr"},
		{context.Canceled, exitFailed, "unterbrochen"},
		{ErrNoWindow, exitFailed, "dieses Porchlight ist ohne Fenster gebaut; siehe: porchlight help"},
		{fmt.Errorf("x: %w", &safefs.Refusal{Place: "/etc", Why: safefs.WhySystem}), exitFailed, "/etc lässt sich nicht freigeben: er gehört zum System"},
		{fmt.Errorf("join: %w", pairing.ErrProof), exitFailed, "der Code ist falsch. Lass ihn noch einmal vorlesen; nach drei falschen Versuchen gilt er nicht mehr"},
		{errors.Join(transfer.ErrAway, discovery.ErrNobody), exitNotFound, "kein Computer hier zeigt diesen Code. Ist er im selben Netz, und steht der Code noch auf seinem Bildschirm?"},
		{fmt.Errorf("x: %w", workgroup.ErrNotAdmin), exitFailed, "das darf nur ein Admin der Arbeitsgruppe"},
		{ledger.ErrRecovery, exitUsage, "das ist kein Rettungscode: er hat 28 Buchstaben und Ziffern in vier Gruppen, und eines davon ist falsch oder fehlt"},
		{&safefs.Refusal{Place: "/x", Why: "new"}, exitFailed, "/x lässt sich nicht freigeben: new"},
	} {
		text, code := in(t, "en").explain(tt.err)
		if code != tt.code || text == "" || strings.Contains(text, "\x1b") || strings.Contains(text, "cli.") {
			t.Errorf("%v: %q %d", tt.err, text, code)
		}
		if text, code := in(t, "de").explain(tt.err); text != tt.de || code != tt.code {
			t.Errorf("%v: %q %d", tt.err, text, code)
		}
	}
}

func TestLanguage(t *testing.T) {
	for _, tt := range []struct{ all, messages, lang, want string }{
		{"", "", "", "en"}, {"", "", "de_DE.UTF-8", "de"}, {"", "de_AT", "en_GB", "de"}, {"C", "de_AT", "de_DE", "en"}, {"POSIX", "", "de", "en"}, {"fr_FR", "", "de_DE", "en"}, {"de", "C", "C", "de"},
	} {
		env := map[string]string{"LC_ALL": tt.all, "LC_MESSAGES": tt.messages, "LANG": tt.lang}
		if got := language(func(name string) string { return env[name] }); got != tt.want {
			t.Errorf("%v: %s", tt, got)
		}
	}
	if got := language(nil); got != "en" {
		t.Error(got)
	}
}

func TestSeveralThingsAreCounted(t *testing.T) {
	j := transfer.Job{Request: transfer.Request{ShareName: "Music", Paths: make([]share.Path, 1200)}}
	if en, de := in(t, "en").title(j), in(t, "de").title(j); en != "1,200 items" || de != "1.200 Einträge" {
		t.Error(en, de)
	}
	if got := in(t, "en").title(transfer.Job{Title: "a\x1b", Request: transfer.Request{Paths: []share.Path{"a\x1b"}}}); got != `a\u001b` {
		t.Error(got)
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	for _, lang := range assets.Languages() {
		w := in(t, lang)
		for _, c := range commands() {
			brief := "cli.brief." + key(c.name)
			if c.run == nil || !w.Has(brief) || !strings.Contains(w.top(), c.short()+" ") || !strings.HasPrefix(w.about(c), c.line()) {
				t.Errorf("%s has no help", c.name)
			}
			for _, o := range c.options {
				if !w.Has(w.optionKey(c, o)) {
					t.Errorf("nothing explains %s of %s", o.name, c.name)
				}
			}
			if strings.Contains(w.about(c), "cli.") {
				t.Error(w.about(c))
			}
		}
		if text := w.top() + w.exits(); strings.Contains(text, "cli.") {
			t.Error(text)
		}
	}
	known := map[string]bool{"cli.brief.window": true, "cli.about.anywhere": true, "cli.about.device": true, "cli.option.home": true, "cli.option.json": true, "cli.option.help": true}
	for _, c := range commands() {
		known["cli.brief."+key(c.name)], known["cli.about."+key(c.name)] = true, true
		for _, o := range c.options {
			known["cli.option."+key(c.name)+"."+key(o.name)], known["cli.option."+key(o.name)] = true, true
		}
	}
	for _, k := range in(t, "en").Keys() {
		for _, list := range []string{"cli.brief.", "cli.about.", "cli.option."} {
			if strings.HasPrefix(k, list) && !known[k] {
				t.Errorf("%s is of no command", k)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("ä", 60)
	if got, want := wrap("a "+long+" "+long+"\nb", "  "), "  a "+long+"\n  "+long+"\n  b"; got != want {
		t.Errorf("%q", got)
	}
}

// TestForWhomInWords: names, IDs where there is no name or two have it, and what is lost.
func TestForWhomInWords(t *testing.T) {
	w := in(t, "en")
	peers := newFake().peers
	to := func(devs ...byte) (list []share.Grant) {
		for _, d := range devs {
			list = append(list, share.Grant{Who: share.ToDevice, Device: deviceID(d), Level: share.LookOnly})
		}
		return list
	}
	for _, tt := range []struct {
		s    share.Share
		json string
		want string
	}{
		{share.Share{}, "nearby", "everyone nearby"},
		{share.Share{Audience: []share.Grant{{Who: share.ToNearby, Level: share.LookOnly}}}, "nearby", "everyone nearby"},
		{share.Share{Audience: []share.Grant{{Who: share.ToNobody}}}, "nobody", "nobody"},
		{share.Share{Audience: to(2, 9)}, deviceID(2).String() + " " + deviceID(9).String(), "bo, twin (" + deviceID(9).Short() + ")"},
		{share.Share{Audience: to(77)}, deviceID(77).String(), deviceID(77).Short()},
		{share.Share{Audience: []share.Grant{{Who: share.ToEveryone, Workgroup: homeID, Level: share.LookOnly}}}, "workgroup:" + homeID.String(), "everyone in Home"},
		{share.Share{Audience: []share.Grant{{Who: share.ToPerson, Workgroup: homeID, Person: ledger.Person{2}, Level: share.LookOnly}}},
			"person:" + homeID.String() + "/02000000000000000000000000000000", "Bo in Home"},
		{share.Share{Audience: []share.Grant{{Who: share.ToPerson, Workgroup: [32]byte{99}, Person: ledger.Person{98}, Level: share.LookOnly}}},
			"person:63" + strings.Repeat("0", 62) + "/62000000000000000000000000000000", "62000000 in " + shortOf(workgroup.ID{99})},
		{share.Share{Left: true, Audience: []share.Grant{{Who: share.ToPerson, Workgroup: [32]byte{99}, Person: ledger.Person{98}, Level: share.LookOnly}}},
			"person:63" + strings.Repeat("0", 62) + "/62000000000000000000000000000000", "nobody (this computer is not in the workgroup it was for any more: see porchlight share allow)"},
		{share.Share{Audience: []share.Grant{{Who: share.ToPerson, Workgroup: homeID, Person: ledger.Person{98}, Level: share.LookOnly}}},
			"person:" + homeID.String() + "/62000000000000000000000000000000", "nobody (whoever it was for does not belong to the workgroup any more: see porchlight share allow)"},
		{share.Share{Audience: []share.Grant{{Who: share.ToDevice, Workgroup: homeID, Device: deviceID(77), Level: share.LookOnly}, {Who: share.ToEveryone, Workgroup: homeID, Level: share.LookOnly}}},
			deviceID(77).String() + " workgroup:" + homeID.String(), "everyone in Home"},
		{share.Share{Audience: []share.Grant{{Who: 99, Level: share.LookOnly}}}, "other", "others"},
		{share.Share{Lost: true}, "nobody", "nobody (for whom it was cannot be read any more: see porchlight share allow)"},
	} {
		if got := w.toWords(tt.s, peers, newFake().groups); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.s.Audience, got, tt.want)
		}
		if got := rowOfShare(tt.s); strings.Join(got.To, " ") != tt.json || got.Lost != tt.s.Lost || got.Left != tt.s.Left {
			t.Errorf("%+v: %q, want %q", tt.s.Audience, got.To, tt.json)
		}
	}
}

// TestAQuestionEndsWithTheCommand: nobody has to press a key after Ctrl-C.
func TestAQuestionEndsWithTheCommand(t *testing.T) {
	in, typing := io.Pipe()
	defer typing.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var errs bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- Run(ctx, Env{Args: []string{"workgroup", "contest", "--workgroup", "Home", "--home", t.TempDir()}, Stdin: in, Stdout: io.Discard, Stderr: &errs,
			Connect: func(context.Context, string) (Engine, error) { return newFake(), nil }})
	}()
	if _, err := typing.Write([]byte("perhaps\n")); err != nil { // read whole: the question is asked again
		t.Fatal(err)
	}
	cancel()
	select {
	case got := <-code:
		if got != exitFailed || strings.Count(errs.String(), "and be back in it?") < 1 || !strings.Contains(errs.String(), "interrupted") {
			t.Error(got, errs.String())
		}
	case <-time.After(calm.Most(10 * time.Second)):
		t.Error("it waits for an answer")
	}
}
