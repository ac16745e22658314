package viewmodel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	machine "porchlight/discovery/calm"
	"porchlight/share"
	"porchlight/transfer"
)

func entry(name string, size int64) share.Entry {
	return share.Entry{Path: share.Path(name), Kind: share.File, Size: size, MTime: noon().AddDate(0, 0, -1)}
}

func folderEntry(name string) share.Entry {
	return share.Entry{Path: share.Path(name), Kind: share.Dir, MTime: noon()}
}

func someEntries() []share.Entry {
	return []share.Entry{folderEntry("Garden"), folderEntry("Norway"), entry("apple.jpg", 5_990_112), entry("banana.txt", 12), entry("cherry.mp4", 1_482_113_024),
		{Path: "link", Kind: share.Other, Reason: "link"}}
}

func browse(t *testing.T, f *fake) *Set {
	t.Helper()
	s := run(t, f, "en")
	s.Nav.Go(Place{Page: PageFolder, Device: device(2), Share: share.ID{7}})
	until(t, "the listing is whole", func() bool { return !s.Browser.Loading() })
	return s
}

func names(b *Browser) string {
	var out []string
	for i := range b.Len() {
		r := b.Row(i)
		n := r.Name
		if r.Selected {
			n = "[" + n + "]"
		}
		out = append(out, n)
	}
	return strings.Join(out, " ")
}

func TestBrowserRows(t *testing.T) {
	f := newFake()
	f.entries = someEntries()
	b := browse(t, f).Browser
	if got := b.Row(0); got != (Row{Icon: "folder", Name: "Garden", Changed: "Today 12:00", Kind: "Folder", Folder: true}) {
		t.Errorf("folder: %+v", got)
	}
	if got := b.Row(2); got != (Row{Icon: "image", Name: "apple.jpg", Size: "5.99\u00a0MB", Changed: "Yesterday 12:00", Kind: "Picture"}) {
		t.Errorf("file: %+v", got)
	}
	if got := b.Row(5); !got.Blocked || got.Kind != "Link" {
		t.Errorf("link: %+v", got)
	}
	if b.Row(-1) != (Row{}) || b.Row(6) != (Row{}) {
		t.Error("there are rows outside of the list")
	}
	if got := b.Status(); got != "6 items" {
		t.Errorf("status %q", got)
	}
}

func TestBrowserChoice(t *testing.T) {
	f := newFake()
	f.entries = someEntries()
	b := browse(t, f).Browser
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"click", func() { b.Click(2, Keys{}) }, "Garden Norway [apple.jpg] banana.txt cherry.mp4 link"},
		{"ctrl adds", func() { b.Click(4, Keys{Add: true}) }, "Garden Norway [apple.jpg] banana.txt [cherry.mp4] link"},
		{"ctrl again drops", func() { b.Click(2, Keys{Add: true}) }, "Garden Norway apple.jpg banana.txt [cherry.mp4] link"},
		{"shift takes the range from there", func() { b.Click(0, Keys{Extend: true}) }, "[Garden] [Norway] [apple.jpg] banana.txt cherry.mp4 link"},
		{"click forgets", func() { b.Click(1, Keys{}) }, "Garden [Norway] apple.jpg banana.txt cherry.mp4 link"},
		{"shift down", func() { b.Click(3, Keys{Extend: true}) }, "Garden [Norway] [apple.jpg] [banana.txt] cherry.mp4 link"},
		{"shift shrinks", func() { b.Move(-1, Keys{Extend: true}) }, "Garden [Norway] [apple.jpg] banana.txt cherry.mp4 link"},
		{"arrow", func() { b.Move(1, Keys{}) }, "Garden Norway apple.jpg [banana.txt] cherry.mp4 link"},
		{"arrow stops at the end", func() { b.Move(100, Keys{}) }, "Garden Norway apple.jpg banana.txt cherry.mp4 link"},
		{"all but what cannot be had", b.SelectAll, "[Garden] [Norway] [apple.jpg] [banana.txt] [cherry.mp4] link"},
		{"pointing at one of them keeps all", func() { b.Point(3) }, "[Garden] [Norway] [apple.jpg] [banana.txt] [cherry.mp4] link"},
		{"none", b.SelectNone, "Garden Norway apple.jpg banana.txt cherry.mp4 link"},
		{"pointing chooses", func() { b.Point(3) }, "Garden Norway apple.jpg [banana.txt] cherry.mp4 link"},
		{"typing", func() { b.Type("ch") }, "Garden Norway apple.jpg banana.txt [cherry.mp4] link"},
		{"outside", func() { b.Click(99, Keys{}) }, "Garden Norway apple.jpg banana.txt [cherry.mp4] link"},
	} {
		tt.do()
		if got := names(b); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestBrowserDetailsAndGet(t *testing.T) {
	f := newFake()
	f.entries = someEntries()
	f.offers = []share.Offer{{ID: share.ID{7}, Kind: share.Folder, Name: "Photos"}}
	s := browse(t, f)
	b := s.Browser
	until(t, "the share has a name", func() bool { return b.Details().Title == "Photos" })
	if d := b.Details(); !d.CanGet || d.Get != "Get everything" {
		t.Errorf("nothing chosen: %+v", d)
	}
	b.Click(0, Keys{})
	b.Click(2, Keys{Extend: true})
	d := b.Details()
	if d.Title != "3 items" || !slices.Equal(d.Facts, []Fact{{"Files", "1, 5.99\u00a0MB"}, {"Folders", "2"}}) {
		t.Errorf("three chosen: %+v", d)
	}
	b.Get("")
	until(t, "the pull has begun", func() bool { return s.Notices.Now().Text != "" })
	want := transfer.Request{Source: device(2), Share: share.ID{7}, ShareName: "Photos", Paths: []share.Path{"Garden", "Norway", "apple.jpg"}, Into: "/home/anna/Downloads"}
	if got := f.pulls[0]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("asked for %+v, want %+v", got, want)
	}
	n := s.Notices.Now()
	if n.Tone != Good || n.Text != "Getting 3 items into /home/anna/Downloads" || n.Action != "Open folder" {
		t.Errorf("notice %+v", n)
	}
	n.Do()
	until(t, "the folder opens", func() bool { return f.called("open /home/anna/Downloads") })
	b.SelectNone()
	b.Get("/tmp/else")
	until(t, "the whole folder is asked for", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.pulls) == 2 })
	if got := f.pulls[1]; got.Into != "/tmp/else" || len(got.Paths) != 1 || got.Paths[0] != "" {
		t.Errorf("whole folder: %+v", got)
	}
}

func TestBrowserSortFilterOpen(t *testing.T) {
	f := newFake()
	f.entries = someEntries()
	s := browse(t, f)
	b := s.Browser
	for _, tt := range []struct {
		col  Column
		want string
	}{{ColSize, "list  size"}, {ColSize, "list  -size"}, {ColChanged, "list  mtime"}, {ColChanged, "list  -mtime"}, {ColName, "list  name"}} {
		b.SortBy(tt.col)
		until(t, tt.want, func() bool { return f.called(tt.want) && !b.Loading() })
		if c, _ := b.Sort(); c != tt.col {
			t.Errorf("sorted by %s, want %s", c, tt.col)
		}
	}
	b.Filter("AN")
	if got := names(b); got != "banana.txt" {
		t.Errorf("filtered: %s", got)
	}
	if got := b.Status(); got != "1 of 6 items" {
		t.Errorf("status %q", got)
	}
	b.Filter("nothing")
	if b.Empty().Title != "Nothing has that name" {
		t.Errorf("%+v", b.Empty())
	}
	b.Filter("")
	if _, ok := b.Opens(2); ok {
		t.Error("a file opens as a folder")
	}
	p, ok := b.Opens(1)
	if !ok || p.Path != "Norway" {
		t.Fatalf("opens %+v %v", p, ok)
	}
	f.mu.Lock()
	f.entries = []share.Entry{entry("Norway/fjord.jpg", 3)}
	f.mu.Unlock()
	s.Nav.Go(p)
	until(t, "the folder below is listed", func() bool { return names(b) == "fjord.jpg" })
	if got := b.full(b.rows[0]); got != "Norway/fjord.jpg" {
		t.Errorf("full path %q", got)
	}
	if got := b.full(entry("fjord.jpg", 1)); got != "Norway/fjord.jpg" {
		t.Errorf("full path of a bare name %q", got)
	}
	s.Nav.Up()
	if s.Nav.Place().Path != "" {
		t.Errorf("up leads to %+v", s.Nav.Place())
	}
}

func TestBrowserLiveChange(t *testing.T) {
	f := newFake()
	f.entries = someEntries()
	b := browse(t, f).Browser
	b.Click(3, Keys{})
	f.mu.Lock()
	f.entries = append([]share.Entry{folderEntry("Attic")}, f.entries...)
	f.entries = slices.DeleteFunc(f.entries, func(e share.Entry) bool { return e.Path == "apple.jpg" })
	f.mu.Unlock()
	until(t, "it is watched", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.changed != nil })
	f.changed()
	until(t, "the change shows", func() bool { return b.Row(0).Name == "Attic" })
	if got := names(b); got != "Attic Garden Norway [banana.txt] cherry.mp4 link" {
		t.Errorf("after the change: %s", got)
	}
	if b.Cursor() != 3 {
		t.Errorf("the cursor moved to %d", b.Cursor())
	}
}

func TestBrowserTrouble(t *testing.T) {
	f := newFake()
	f.listErr = fmt.Errorf("list: %w", transfer.ErrAway)
	s := browse(t, f)
	if got := s.Browser.Empty(); got != (Empty{"This folder cannot be shown", "That computer is not here right now."}) {
		t.Errorf("%+v", got)
	}
	f.mu.Lock()
	f.listErr, f.entries = nil, nil
	f.mu.Unlock()
	s.Reload()
	until(t, "it is empty", func() bool { return s.Browser.Empty().Title == "This folder is empty" })
}

func TestBrowserStreamsAndStops(t *testing.T) {
	f := newFake()
	f.hold = make(chan struct{})
	for i := range 1000 {
		f.entries = append(f.entries, entry(fmt.Sprintf("%05d.jpg", i), 1))
	}
	s := run(t, f, "en")
	s.Nav.Go(Place{Page: PageFolder, Device: device(2), Share: share.ID{7}})
	until(t, "the first rows are there", func() bool { return s.Browser.Len() == 256 })
	if got := s.Browser.Status(); got != "256 so far …" {
		t.Errorf("status %q", got)
	}
	s.Browser.Filter("00001")
	f.hold <- struct{}{}
	until(t, "more rows were filtered", func() bool { return s.Browser.Status() != "" && s.Browser.Len() == 1 })
	s.Nav.Go(Place{Page: PageShares})
	if s.Browser.Len() != 0 || s.Browser.Loading() {
		t.Error("a browser that was left keeps rows")
	}
}

func TestBrowserHundredThousand(t *testing.T) {
	f := newFake()
	for i := range 100_000 {
		f.entries = append(f.entries, entry(fmt.Sprintf("%06d.jpg", i), 1))
	}
	b := browse(t, f).Browser
	for _, tt := range []struct {
		name string
		do   func()
		max  time.Duration
	}{
		{"a screen of rows", func() {
			for i := range 40 {
				b.Row(50_000 + i)
			}
		}, 200 * time.Millisecond},
		{"a click", func() { b.Click(99_999, Keys{}) }, 200 * time.Millisecond},
		{"all", b.SelectAll, 3 * time.Second},
		{"details of all", func() { b.Details() }, 200 * time.Millisecond},
		{"filter", func() { b.Filter("0999") }, 3 * time.Second},
	} {
		began := time.Now()
		tt.do()
		if took := time.Since(began); took > machine.Most(tt.max) {
			t.Errorf("%s took %v", tt.name, took)
		}
	}
}
