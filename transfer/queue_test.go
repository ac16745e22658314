package transfer

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLimitsHoldBetweenTheirTimes(t *testing.T) {
	at := func(h, m int) time.Time { return time.Date(2026, 11, 22, h, m, 59, 0, time.UTC) }
	for _, tt := range []struct {
		name        string
		from, until int
		now         time.Time
		in          bool
	}{
		{"always", 0, 0, at(13, 0), true},
		{"always, whatever the hour", 600, 600, at(3, 0), true},
		{"before", 8 * 60, 18 * 60, at(7, 59), false},
		{"first minute", 8 * 60, 18 * 60, at(8, 0), true},
		{"last minute", 8 * 60, 18 * 60, at(17, 59), true},
		{"after", 8 * 60, 18 * 60, at(18, 0), false},
		{"over midnight, evening", 22 * 60, 6 * 60, at(23, 30), true},
		{"over midnight, night", 22 * 60, 6 * 60, at(5, 59), true},
		{"over midnight, morning", 22 * 60, 6 * 60, at(6, 0), false},
		{"over midnight, day", 22 * 60, 6 * 60, at(21, 59), false},
		{"until midnight", 18 * 60, 0, at(23, 59), true},
		{"from midnight", 0, 6 * 60, at(0, 0), true},
	} {
		l := Limits{Up: MinLimit, Down: 2 * MinLimit, From: tt.from, Until: tt.until}
		want := Limits{}
		if tt.in {
			want = Limits{Up: MinLimit, Down: 2 * MinLimit}
		}
		if got := l.At(tt.now); got != want {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestLimitsAsTheyAreTyped(t *testing.T) {
	for s, want := range map[string]int64{"": 0, " ": 0, "0": 0, "2": 2_000_000, "1.5": 1_500_000, "1,5": 1_500_000, "0.5": 500_000, "1000000": 1_000_000_000_000} {
		if got, err := ParseLimit(s); got != want || err != nil {
			t.Errorf("%q: %d, %v", s, got, err)
		}
		if again, err := ParseLimit(LimitText(want)); again != want || err != nil {
			t.Errorf("%q: written as %q", s, LimitText(want))
		}
	}
	for _, s := range []string{"-1", "0.4", "x", "1.5.5", "1e99", "NaN", "Inf", "1000001"} {
		if n, err := ParseLimit(s); !errors.Is(err, ErrLimits) {
			t.Errorf("%q is %d, %v", s, n, err)
		}
	}
	for s, want := range map[string]int{"": 0, "7": 420, "07:05": 425, "22:00": 1320, "24:00": 0, "0": 0} {
		if got, err := ParseClock(s); got != want || err != nil {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"25", "24:01", "7:60", "-1", "7.30", "noon"} {
		if n, err := ParseClock(s); !errors.Is(err, ErrLimits) {
			t.Errorf("%q is %d, %v", s, n, err)
		}
	}
	if got := ClockText(425); got != "07:05" {
		t.Error(got)
	}
}

func TestJobsInOrder(t *testing.T) {
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	jobs := []Job{
		{ID: 1, State: Done, Ended: day}, {ID: 2, State: Waiting, Order: 9}, {ID: 3, State: Failed, Ended: day}, {ID: 4, State: Away, Order: 2}, {ID: 5, State: Running, Order: 8},
		{ID: 6, State: Canceled, Ended: day.Add(time.Hour)}, {ID: 7, State: Paused, Order: 5}, {ID: 8, State: Failed, Ended: day.Add(time.Hour)}, {ID: 9, State: Running, Order: 7},
		{ID: 10, State: Waiting, Order: 1, Background: true},
	}
	var got []JobID
	for _, j := range InOrder(jobs) {
		got = append(got, j.ID)
	}
	if d := cmp.Diff([]JobID{9, 5, 4, 7, 2, 10, 8, 3, 6, 1}, got); d != "" {
		t.Error(d)
	}
}
