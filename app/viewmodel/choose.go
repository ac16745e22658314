package viewmodel

import (
	"context"
	"path"
	"slices"
	"strings"

	"porchlight/share"
	"porchlight/transfer"
)

// Keys are the keys held while a row is clicked or the cursor moves.
type Keys struct {
	Add    bool // Ctrl: one more, or one less
	Extend bool // Shift: all from where the range began
}

// choose makes entries the whole choice.
func (b *Browser) choose(entries []share.Entry) {
	b.chosen = make(map[share.Path]struct{}, len(entries))
	b.size, b.folders = 0, 0
	for _, e := range entries {
		b.add(e)
	}
}

func (b *Browser) add(e share.Entry) {
	if _, ok := b.chosen[e.Path]; ok || e.Kind == share.Other {
		return
	}
	b.chosen[e.Path] = struct{}{}
	b.size += e.Size
	if e.Kind == share.Dir {
		b.folders++
	}
}

func (b *Browser) drop(e share.Entry) {
	delete(b.chosen, e.Path)
	b.size -= e.Size
	if e.Kind == share.Dir {
		b.folders--
	}
}

// Click chooses row i: alone, or by the keys held.
func (b *Browser) Click(i int, k Keys) {
	b.mu.Lock()
	if i < 0 || i >= b.len() {
		b.mu.Unlock()
		return
	}
	e := b.at(i)
	_, chosen := b.chosen[e.Path]
	switch {
	case k.Extend:
		b.extend(i, k.Add)
	case k.Add && chosen:
		b.drop(e)
		b.anchor = i
	case k.Add:
		b.add(e)
		b.anchor = i
	default:
		b.choose([]share.Entry{e})
		b.anchor = i
	}
	b.cursor = i
	b.mu.Unlock()
	b.core.changed()
}

// Point chooses row i for a menu: a row that is chosen keeps the others chosen.
func (b *Browser) Point(i int) {
	if !b.Row(i).Selected {
		b.Click(i, Keys{})
	}
}

// extend chooses everything between the anchor and i; with keep, on top of what is chosen.
func (b *Browser) extend(i int, keep bool) {
	if !keep {
		b.choose(nil)
	}
	from := min(max(b.anchor, 0), b.len()-1)
	for j := min(from, i); j <= max(from, i); j++ {
		b.add(b.at(j))
	}
}

// Move moves the cursor by delta rows and chooses where it stops; it returns the row.
func (b *Browser) Move(delta int, k Keys) int {
	b.mu.Lock()
	n := b.len()
	if n == 0 {
		b.mu.Unlock()
		return -1
	}
	i := b.cursor + delta
	if b.cursor < 0 && delta < 0 {
		i = n - 1
	}
	i = min(max(i, 0), n-1)
	if k.Add && !k.Extend { // only the cursor moves
		b.cursor = i
		b.mu.Unlock()
		b.core.changed()
		return i
	}
	b.mu.Unlock()
	b.Click(i, k)
	return i
}

// SelectAll chooses every shown row.
func (b *Browser) SelectAll() {
	b.mu.Lock()
	for i := range b.len() {
		b.add(b.at(i))
	}
	b.mu.Unlock()
	b.core.changed()
}

// SelectNone chooses nothing.
func (b *Browser) SelectNone() {
	b.mu.Lock()
	b.choose(nil)
	b.mu.Unlock()
	b.core.changed()
}

// Type moves to the next row whose name starts with what was typed; it returns the row, or -1.
func (b *Browser) Type(start string) int {
	b.mu.Lock()
	n, found := b.len(), -1
	start = strings.ToLower(start)
	from := max(b.cursor, 0)
	if len([]rune(start)) == 1 {
		from++ // the same letter again goes to the next
	}
	for j := range n {
		i := (from + j) % n
		if strings.HasPrefix(strings.ToLower(b.at(i).Name()), start) {
			found = i
			break
		}
	}
	b.mu.Unlock()
	if found >= 0 {
		b.Click(found, Keys{})
	}
	return found
}

// Opens returns the folder row i stands for.
func (b *Browser) Opens(i int) (Place, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < 0 || i >= b.len() || b.at(i).Kind != share.Dir {
		return Place{}, false
	}
	p := b.place
	p.Path = b.full(b.at(i))
	return p, true
}

// full returns the path of an entry below the share's root: a plain listing may carry the name alone.
func (b *Browser) full(e share.Entry) share.Path {
	if e.Path.Under(b.place.Path) && e.Path != b.place.Path {
		return e.Path
	}
	p, err := b.place.Path.Join(e.Name())
	if err != nil {
		return e.Path
	}
	return p
}

// Cursor returns the row the keyboard is on, or -1.
func (b *Browser) Cursor() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cursor
}

// Fact is one line of the details.
type Fact struct{ Name, Value string }

// Details is what the pane beside the list shows.
type Details struct {
	Icon   string
	Folder bool
	Title  string
	Facts  []Fact
	Note   string // what one may do
	CanGet bool
	Get    string // label of the button
}

// Details tells about what is chosen; with nothing chosen, about the folder itself.
func (b *Browser) Details() Details {
	b.mu.Lock()
	defer b.mu.Unlock()
	w, f := b.core.words, b.core.fmt
	d := Details{Note: w.Text("details.may"), Get: w.Text("action.get")}
	switch len(b.chosen) {
	case 0:
		b.describePlace(&d)
		return d
	case 1:
		for i := range b.rows {
			if _, ok := b.chosen[b.rows[i].Path]; ok {
				b.describe(&d, b.rows[i])
				break
			}
		}
	default:
		n := len(b.chosen)
		d.Icon, d.Title = "file", w.Text("details.many", "Count", n, "N", f.Count(n))
		if files := n - b.folders; files > 0 {
			d.Facts = append(d.Facts, Fact{w.Text("details.files"), w.Text("details.files-of", "N", f.Count(files), "Size", f.Size(b.size))})
		}
		if b.folders > 0 {
			d.Icon, d.Folder = "folder", true
			d.Facts = append(d.Facts, Fact{w.Text("details.folders"), f.Count(b.folders)})
		}
	}
	d.CanGet = true
	return d
}

func (b *Browser) describe(d *Details, e share.Entry) {
	w := b.core.words
	r := b.core.row(e)
	d.Icon, d.Folder, d.Title = r.Icon, r.Folder, r.Name
	d.Facts = []Fact{{w.Text("column.kind"), r.Kind}}
	if ext := strings.TrimPrefix(path.Ext(r.Name), "."); !r.Folder && ext != "" && len(ext) <= 5 {
		d.Facts[0].Value += " (" + strings.ToUpper(ext) + ")"
	}
	if r.Size != "" {
		d.Facts = append(d.Facts, Fact{w.Text("column.size"), r.Size})
	}
	if r.Changed != "" {
		d.Facts = append(d.Facts, Fact{w.Text("column.changed"), r.Changed})
	}
	d.Facts = append(d.Facts, Fact{w.Text("details.on"), b.core.deviceName(b.place.Device)})
	if e.Cloud {
		d.Note = w.Text("details.cloud")
	}
}

func (b *Browser) describePlace(d *Details) {
	w := b.core.words
	d.Icon, d.Folder, d.Title = "folder", true, b.place.Path.Base()
	if b.place.Path == "" {
		d.Title = b.core.shareName(b.place.Device, b.place.Share)
	}
	d.Facts = []Fact{
		{w.Text("details.content"), w.Text("browser.count", "Count", len(b.rows), "N", b.core.fmt.Count(len(b.rows)))},
		{w.Text("details.on"), b.core.deviceName(b.place.Device)},
	}
	d.CanGet = b.trouble == "" && b.place.Page == PageFolder
	d.Get = w.Text("action.get-all")
}

// Get pulls what is chosen, or the whole folder when nothing is, into a folder of this computer; "" means the folder for
// downloads.
func (b *Browser) Get(into string) {
	b.mu.Lock()
	p := b.place
	r := transfer.Request{Source: p.Device, Share: p.Share, Into: into}
	for _, e := range b.rows { // in the order of the screen
		if _, ok := b.chosen[e.Path]; ok {
			r.Paths = append(r.Paths, b.full(e))
			if len(r.Paths) == len(b.chosen) {
				break
			}
		}
	}
	everything := len(r.Paths) == len(b.rows) && len(b.rows) > 0 && !b.loading && b.filter == "" && len(r.Paths) > manyPaths
	b.mu.Unlock()
	if len(r.Paths) == 0 || everything {
		r.Paths = []share.Path{p.Path}
	}
	if p.Page != PageFolder {
		return
	}
	r.ShareName = b.core.shareName(p.Device, p.Share)
	b.core.pull(r)
}

// manyPaths is from how many chosen rows on "all of this folder" is asked for as the folder: the request stays small.
const manyPaths = 4096

// GetShare pulls a whole share.
func (n *Neighbourhood) GetShare(to Place, into string) {
	n.core.pull(transfer.Request{Source: to.Device, Share: to.Share, ShareName: n.core.shareName(to.Device, to.Share), Paths: []share.Path{to.Path}, Into: into})
}

// pull starts a pull and says so.
func (c *core) pull(r transfer.Request) {
	if r.Into == "" {
		r.Into = c.now().self.Downloads
	}
	r.Paths = slices.Clone(r.Paths)
	c.work.do(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if _, err := c.eng().Pull(ctx, r); err != nil {
			c.note.say(Bad, c.words.Text("pull.not-started", "Why", c.errorWords(err)))
			return
		}
		what := r.Paths[0].Base()
		if what == "" {
			what = r.ShareName
		}
		text := c.words.Text("pull.started", "What", what, "Into", r.Into)
		if n := len(r.Paths); n > 1 {
			text = c.words.Text("pull.started-many", "Count", n, "N", c.fmt.Count(n), "Into", r.Into)
		}
		c.note.put(Notice{Tone: Good, Text: text, Action: c.words.Text("action.show-folder"), Do: func() { c.open(r.Into) }})
	})
}
