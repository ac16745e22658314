package viewmodel

import (
	"context"
	"strings"
	"sync"
	"time"

	"porchlight/share"
)

// Column is a column of the list.
type Column string

// The columns.
const (
	ColName    Column = "name"
	ColSize    Column = "size"
	ColChanged Column = "changed"
	ColKind    Column = "kind"
)

// Row is one line of the list, ready to show.
type Row struct {
	Icon     string
	Name     string
	Size     string
	Changed  string
	Kind     string
	Folder   bool
	Blocked  bool // listed, and cannot be opened or pulled
	Selected bool
	Cursor   bool // where the keyboard is
}

// Browser shows one folder of a neighbour. Rows keep the order of the source and may be many: nothing here looks at all of
// them but a filter, and a listing grows while it is shown.
type Browser struct {
	core *core

	mu       sync.Mutex // guards the fields below
	place    Place
	sort     share.Sort
	visit    int // counts up with every listing asked for; answers of older ones are dropped
	visiting bool
	stop     context.CancelFunc // ends the visit; nil before it has begun
	rows     []share.Entry
	shown    []int32 // indices of the rows that pass the filter; nil without one
	filter   string
	chosen   map[share.Path]struct{}
	size     int64 // of the chosen files, in bytes
	folders  int   // chosen
	cursor   int   // index among the shown rows, -1 for none
	anchor   int   // where a range begins
	loading  bool
	trouble  string // words
}

func newBrowser(c *core) *Browser {
	return &Browser{core: c, sort: share.ByName, chosen: map[share.Path]struct{}{}, cursor: -1}
}

// Loading reports whether the listing is still coming.
func (b *Browser) Loading() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.loading
}

// Len returns how many rows are shown.
func (b *Browser) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.len()
}

func (b *Browser) len() int {
	if b.shown != nil {
		return len(b.shown)
	}
	return len(b.rows)
}

func (b *Browser) at(i int) share.Entry {
	if b.shown != nil {
		return b.rows[b.shown[i]]
	}
	return b.rows[i]
}

// Row returns the i-th shown row, and an empty one when there is none any more.
func (b *Browser) Row(i int) Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < 0 || i >= b.len() {
		return Row{}
	}
	e := b.at(i)
	r := b.core.row(e)
	_, r.Selected = b.chosen[e.Path]
	r.Cursor = i == b.cursor
	return r
}

func (c *core) row(e share.Entry) Row {
	kind := kindOf(e)
	r := Row{Icon: iconOf(kind), Name: e.Name(), Kind: c.words.Text(kindKey(e)), Folder: e.Kind == share.Dir,
		Blocked: e.Kind == share.Other, Changed: c.fmt.When(e.MTime, c.cfg.Now())}
	if e.Kind == share.File {
		r.Size = c.fmt.Size(e.Size)
	}
	return r
}

// Sort returns the column the list is sorted by, and whether downwards.
func (b *Browser) Sort() (Column, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name, down := strings.CutPrefix(string(b.sort), "-")
	if name == string(share.ByMTime) {
		name = string(ColChanged)
	}
	return Column(name), down
}

// SortBy sorts by a column, the other way round if it is sorted by it already. The source sorts.
func (b *Browser) SortBy(c Column) {
	now, down := b.Sort()
	s := share.Sort(c)
	if c == ColChanged {
		s = share.ByMTime
	}
	if now == c && !down {
		s = "-" + s
	}
	b.mu.Lock()
	b.sort = s
	b.mu.Unlock()
	b.reload()
}

// Filter shows only rows whose name contains text, without regard to case.
func (b *Browser) Filter(text string) {
	b.mu.Lock()
	b.filter = strings.ToLower(strings.TrimSpace(text))
	b.refilter(0)
	b.cursor, b.anchor = -1, 0
	b.mu.Unlock()
	b.core.changed()
}

// refilter brings shown up to date with the rows from index from on.
func (b *Browser) refilter(from int) {
	if b.filter == "" {
		b.shown = nil
		return
	}
	if from == 0 || b.shown == nil {
		b.shown, from = []int32{}, 0
	}
	for i := from; i < len(b.rows); i++ {
		if strings.Contains(strings.ToLower(b.rows[i].Name()), b.filter) {
			b.shown = append(b.shown, int32(i))
		}
	}
}

// open begins a visit of a place.
func (b *Browser) open(p Place) {
	b.mu.Lock()
	if b.place == p && b.visiting {
		b.mu.Unlock()
		return
	}
	b.place, b.filter, b.shown, b.rows = p, "", nil, nil
	b.choose(nil)
	b.cursor, b.anchor = -1, 0
	b.mu.Unlock()
	b.visitNow()
}

// close ends the visit and keeps nothing.
func (b *Browser) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leave()
	b.rows, b.shown, b.place, b.filter, b.loading, b.trouble = nil, nil, Place{}, "", false, ""
	b.choose(nil)
}

// reload asks for the listing anew; the old rows stay until the first new ones are there.
func (b *Browser) reload() { b.visitNow() }

// visitNow starts the work of a visit: it lists, then watches and lists again after each change.
func (b *Browser) visitNow() {
	b.mu.Lock()
	if b.place.Page != PageFolder {
		b.mu.Unlock()
		return
	}
	b.leave()
	visit := b.visit
	b.visiting, b.loading, b.trouble = true, true, ""
	b.mu.Unlock()
	b.core.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if b.enter(visit, cancel) {
			b.stay(ctx, visit)
		}
	})
	b.core.changed()
}

// enter notes how to end a visit; false when it was over before it began.
func (b *Browser) enter(visit int, cancel context.CancelFunc) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.visit != visit {
		return false
	}
	b.stop = cancel
	return true
}

// leave ends the visit; the caller holds the lock.
func (b *Browser) leave() {
	if b.stop != nil {
		b.stop()
	}
	b.stop, b.visiting = nil, false
	b.visit++
}

// stay lists the place, then again after each change, until ctx ends.
func (b *Browser) stay(ctx context.Context, visit int) {
	dirty := make(chan struct{}, 1)
	mark := func() {
		select {
		case dirty <- struct{}{}:
		default:
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { b.watch(ctx, visit, mark) })
	for streamed := true; ; streamed = false {
		began := time.Now()
		b.list(ctx, visit, streamed)
		if !pause(ctx, min(time.Since(began), maxRest)) { // a long listing that changes all the time gets half of the time at most
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-dirty:
		}
	}
}

// maxRest is the longest pause between two listings of a folder that keeps changing.
const maxRest = 5 * time.Second

// watch calls changed after each change; when watching ends, it is tried again, at longer and longer intervals while it
// ends at once.
func (b *Browser) watch(ctx context.Context, visit int, changed func()) {
	for wait := rewatch; ctx.Err() == nil; wait = min(2*wait, maxRewatch) {
		p, _, ok := b.current(visit)
		if !ok {
			return
		}
		began := time.Now()
		err := b.core.eng().Watch(ctx, p.Device, p.Share, p.Path, changed)
		if ctx.Err() != nil {
			return
		}
		b.core.cfg.Log.Debug("watch ended", "path", p.Path, "error", err)
		if time.Since(began) > maxRewatch {
			wait = rewatch
		}
		if !pause(ctx, wait) {
			return
		}
		changed() // what happened while nobody watched
	}
}

// A folder whose watch ended, mostly because its computer went away, is watched again after rewatch, later after maxRewatch.
const (
	rewatch    = 2 * time.Second
	maxRewatch = 30 * time.Second
)

func (b *Browser) current(visit int) (Place, share.Sort, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.place, b.sort, b.visit == visit
}

// list reads the listing. A streamed one is shown as it comes; otherwise it takes the place of the rows when it is whole,
// so that nothing moves but what changed.
func (b *Browser) list(ctx context.Context, visit int, streamed bool) {
	p, order, ok := b.current(visit)
	if !ok {
		return
	}
	var whole []share.Entry
	first := true
	err := b.core.eng().List(ctx, p.Device, p.Share, p.Path, order, func(batch []share.Entry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !streamed {
			whole = append(whole, batch...)
			return nil
		}
		err := b.grow(visit, batch, first)
		first = false
		return err
	})
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	if b.visit == visit {
		switch {
		case err == nil && (!streamed || first):
			b.replace(whole)
		case err == nil:
			b.rechoose()
		}
		b.loading, b.trouble = false, ""
		if err != nil {
			b.trouble = b.core.errorWords(err)
		}
	}
	b.mu.Unlock()
	b.core.changed()
}

// grow adds a batch to the rows on screen; the first of a listing takes the place of the rows before.
func (b *Browser) grow(visit int, batch []share.Entry, first bool) error {
	b.mu.Lock()
	if b.visit != visit {
		b.mu.Unlock()
		return context.Canceled
	}
	if first {
		b.rows, b.cursor, b.anchor = nil, -1, 0
	}
	from := len(b.rows)
	b.rows = append(b.rows, batch...)
	b.refilter(from)
	b.mu.Unlock()
	b.core.changed()
	return nil
}

// replace puts a new listing in place of the old one. What was chosen and is still there stays chosen, and the cursor
// stays on its name.
func (b *Browser) replace(rows []share.Entry) {
	var under share.Path
	if b.cursor >= 0 && b.cursor < b.len() {
		under = b.at(b.cursor).Path
	}
	b.rows = rows
	b.refilter(0)
	b.cursor = -1
	b.rechoose()
	for i := 0; under != "" && i < b.len(); i++ {
		if b.at(i).Path == under {
			b.cursor, b.anchor = i, i
			break
		}
	}
}

// rechoose drops from the choice what is not in the rows any more.
func (b *Browser) rechoose() {
	if len(b.chosen) == 0 {
		return
	}
	keep := make([]share.Entry, 0, len(b.chosen))
	for _, e := range b.rows {
		if _, ok := b.chosen[e.Path]; ok {
			keep = append(keep, e)
		}
	}
	b.choose(keep)
}

// Status is the quiet line under the list: how many, how many chosen.
func (b *Browser) Status() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	w, f := b.core.words, b.core.fmt
	switch n := len(b.chosen); {
	case n > 0:
		return w.Text("browser.chosen", "Count", n, "N", f.Count(n), "All", f.Count(b.len()))
	case b.loading && len(b.rows) == 0:
		return w.Text("browser.loading")
	case b.loading:
		return w.Text("browser.coming", "N", f.Count(b.len()))
	case b.filter != "":
		return w.Text("browser.found", "Count", b.len(), "N", f.Count(b.len()), "All", f.Count(len(b.rows)))
	}
	return w.Text("browser.count", "Count", b.len(), "N", f.Count(b.len()))
}

// Empty says why there is no row; no title means there are some, or they are coming.
func (b *Browser) Empty() Empty {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.core.words
	switch {
	case b.len() > 0 || b.loading:
		return Empty{}
	case b.trouble != "":
		return Empty{w.Text("browser.trouble"), b.trouble}
	case b.filter != "":
		return Empty{w.Text("browser.none.title"), w.Text("browser.none.text")}
	}
	return Empty{w.Text("browser.empty.title"), w.Text("browser.empty.text")}
}

// Trouble says in words why the rows on screen may be old; "" when they are not.
func (b *Browser) Trouble() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.len() == 0 {
		return "" // Empty says it
	}
	return b.trouble
}
