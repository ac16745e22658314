package viewmodel

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/assets"
	"porchlight/transfer"
)

func TestQueueBar(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	if b := s.Transfers.Queue(); b != (QueueBar{}) {
		t.Errorf("of nothing: %+v", b)
	}
	f.change(func() { f.jobs = []transfer.Job{{ID: 1, From: "Bo", Title: "x", State: transfer.Waiting}} })
	until(t, "all can be paused", func() bool { return s.Transfers.Queue() == QueueBar{Action: "Pause all"} })
	s.Transfers.Hold()
	until(t, "it is held", func() bool { return f.called("hold true") && s.Transfers.Queue().Held })
	if b := s.Transfers.Queue(); b.Text != "Everything is paused. What you get meanwhile waits." || b.Action != "Go on with all" {
		t.Errorf("held: %+v", b)
	}
	if r := s.Transfers.Rows()[0]; r.Text != "Waits until you go on with all, from Bo" || r.Icon != "pause" {
		t.Errorf("a row of a held queue: %+v", r)
	}
	s.Transfers.Hold()
	until(t, "it goes on", func() bool { return f.called("hold false") && !s.Transfers.Queue().Held })
	for _, tt := range []struct {
		limits transfer.Limits
		text   string
	}{
		{transfer.Limits{Up: 1_500_000}, "At most 1.50\u00a0MB/s to others."}, {transfer.Limits{Down: 2_000_000}, "At most 2.00\u00a0MB/s to here."},
		{transfer.Limits{Up: 1_500_000, Down: 2_000_000}, "At most 2.00\u00a0MB/s to here and 1.50\u00a0MB/s to others."},
	} {
		f.change(func() { f.queue.Now = tt.limits })
		until(t, tt.text, func() bool { return s.Transfers.Queue().Text == tt.text })
	}
}

func TestOpenTransfer(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	f.change(func() {
		f.jobs = []transfer.Job{
			{ID: 1, From: "Bo", Title: "film", State: transfer.Running, Created: noon(), Result: "/dl/film",
				Sources: []transfer.SourceRate{{Device: device(2), Name: "Bo", Bytes: 4_000_000, Rate: 2_000_000}, {Device: device(3), Bytes: 7, Bad: 3}}},
			{ID: 2, From: "Bo", Title: "b", State: transfer.Paused, Order: 7, Request: transfer.Request{Into: "/dl"}},
			{ID: 3, From: "Bo", Title: "c", State: transfer.Done, Ended: noon(), Took: 200 * time.Second, Fetched: 600_000_000, Done: 1, Files: 1},
		}
		f.maps = []transfer.FileMap{{Path: "a/film.mkv", Pieces: 1430, Have: 312, Parts: []uint8{255, 0}}}
	})
	until(t, "they show", func() bool { return len(s.Transfers.Rows()) == 3 })
	if f.called("pieces 1") {
		t.Error("a map was asked for that nobody looks at")
	}
	s.Transfers.Toggle(1)
	until(t, "it is open", func() bool { r := s.Transfers.Rows()[0]; return r.Open && len(r.Details.Maps) == 1 })
	d := s.Transfers.Rows()[0].Details
	want := JobDetails{
		Facts: []Fact{{"From", "Bo"}, {"Asked for", "Today 12:00"}, {"Goes to", "/dl/film"},
			{"Look at", device(3).Short() + " sent damaged data 3 times (its disk or memory may be failing). It was fetched again from others."}},
		Moves:   []MoveAct{{transfer.MoveBack, "In the background"}},
		Sources: []SourceLine{{"Bo", "4.00\u00a0MB · 2.00\u00a0MB/s"}, {device(3).Short(), "7 bytes"}},
		Maps:    []MapLine{{"film.mkv", "312 of 1,430 pieces", []uint8{255, 0}}},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	f.change(func() {
		f.maps = []transfer.FileMap{{Path: "a/film.mkv", Pieces: 1430, Have: 400, Parts: []uint8{255, 9}}}
	})
	until(t, "the map moves", func() bool { return s.Transfers.Rows()[0].Details.Maps[0].Text == "400 of 1,430 pieces" })
	s.Transfers.Toggle(2)
	rows := s.Transfers.Rows()
	if rows[0].Open || !rows[1].Open || !rows[1].Moves || len(rows[1].Details.Moves) != 5 || rows[1].Details.Moves[1] != (MoveAct{transfer.MoveUp, "Earlier"}) {
		t.Errorf("the second: %+v", rows[1])
	}
	s.Transfers.Move(2, transfer.MoveUp)
	until(t, "it is moved", func() bool { return f.called("move 2 up") })
	s.Transfers.Toggle(3)
	if d := s.Transfers.Rows()[2].Details; cmp.Diff([]Fact{{"From", "Bo"}, {"Ended", "Today 12:00"}, {"Took", "3 min 20 s"}, {"On average", "3.00\u00a0MB/s"}}, d.Facts) != "" || d.Moves != nil {
		t.Errorf("one that is over: %+v", d)
	}
	if text := s.Transfers.Rows()[2].Text; text != "1 file from Bo, Today 12:00 · 3 min 20 s, 3.00\u00a0MB/s" {
		t.Errorf("history: %q", text)
	}
	s.Transfers.Toggle(3)
	if s.Transfers.Rows()[2].Open {
		t.Error("it does not close")
	}
}

func TestSectionsOfTransfers(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	f.change(func() {
		f.jobs = []transfer.Job{{ID: 1, State: transfer.Done}, {ID: 2, State: transfer.Failed}, {ID: 3, State: transfer.Canceled}, {ID: 4, State: transfer.Running}, {ID: 5, State: transfer.Failed}}
	})
	until(t, "they show", func() bool { return len(s.Transfers.Rows()) == 5 })
	var got []string
	for _, r := range s.Transfers.Rows() {
		got = append(got, r.Above.Title+"/"+r.Above.Action)
	}
	if d := cmp.Diff([]string{"/", "Did not arrive/Try all again", "/", "History/Clear history", "/"}, got); d != "" {
		t.Error(d)
	}
	s.Transfers.RetryFailed()
	until(t, "both are tried again", func() bool { return f.called("retry 2") && f.called("retry 5") })
	if f.called("retry 3") {
		t.Error("a canceled one is tried again unasked")
	}
}

func TestHistoryShowsTheNewest(t *testing.T) {
	f := newFake()
	s := run(t, f, "en")
	f.change(func() {
		for i := range 100 {
			f.jobs = append(f.jobs, transfer.Job{ID: transfer.JobID(i + 1), State: transfer.Done, Ended: noon().Add(time.Duration(i) * time.Minute)})
		}
		f.jobs = append(f.jobs, transfer.Job{ID: 200, State: transfer.Running})
	})
	until(t, "they show", func() bool { return len(s.Transfers.Rows()) == 31 })
	if rows := s.Transfers.Rows(); rows[0].ID != 200 || rows[1].ID != 100 || rows[30].ID != 71 || s.Transfers.More() != "Show 70 older ones" {
		t.Errorf("%d, %d to %d, %q", rows[0].ID, rows[1].ID, rows[30].ID, s.Transfers.More())
	}
	s.Transfers.ShowMore()
	if n := len(s.Transfers.Rows()); n != 101 || s.Transfers.More() != "" {
		t.Errorf("%d rows, %q", n, s.Transfers.More())
	}
}

func TestLimitsInWords(t *testing.T) {
	f := newFake()
	s := run(t, f, "de")
	for _, tt := range []struct {
		fields LimitFields
		wrong  string
	}{
		{LimitFields{}, ""}, {LimitFields{Down: "2,5", Up: "0.5", From: "22", Until: "6:30"}, ""},
		{LimitFields{Down: "0.1"}, "Eine Grenze ist eine Zahl in MB/s, mindestens 500\u00a0kB/s. Leer heißt keine."}, {LimitFields{Up: "viel"}, "Eine Grenze ist eine Zahl in MB/s, mindestens 500\u00a0kB/s. Leer heißt keine."},
		{LimitFields{From: "abends"}, "Eine Uhrzeit ist etwa 22:00."},
	} {
		if got := s.Settings.CheckLimits(tt.fields); got != tt.wrong {
			t.Errorf("%+v: %q", tt.fields, got)
		}
	}
	s.Settings.SetLimits(LimitFields{Down: "0.1"})
	s.Settings.SetLimits(LimitFields{Down: "2,5", From: "22", Until: "6:30"})
	until(t, "they are kept", func() bool { return f.called("limits 0 2500000 1320 390") })
	until(t, "they show as one types them", func() bool { return s.Settings.Limits() == LimitFields{Down: "2,5", From: "22:00", Until: "06:30"} })
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.calls, func(c string) bool { return c == "limits 0 100000 0 0" }) {
		t.Error("a limit that is too low was set")
	}
}

func TestTook(t *testing.T) {
	words, err := assets.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	for d, want := range map[time.Duration]string{0: "0 s", -time.Second: "0 s", 42400 * time.Millisecond: "42 s", 59900 * time.Millisecond: "1 min 0 s", 200 * time.Second: "3 min 20 s", 2*time.Hour + 5*time.Minute + 7*time.Second: "2 h 5 min"} {
		if got := NewFormat(words).Took(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}
