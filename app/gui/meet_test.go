//go:build !headless

package gui

import (
	"bytes"
	"context"
	"image"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// realLetters are letters as they stand on a sheet.
func realLetters(t *testing.T) string {
	t.Helper()
	var c ledger.RecoveryCode
	copy(c[:], "sixteen letters!")
	return c.String()
}

// meeting is two computers on one network, and a person at each who uses what is on screen and nothing else.
type meeting struct {
	t              *testing.T
	inviter        *stage
	joiner         *stage
	clicks, digits int

	mu     sync.Mutex // guards the fields below
	agreed int        // sides that said the pictures are the same
	let    chan workgroup.Workgroup
}

func newMeeting(t *testing.T, prepare func(inviter *house)) *meeting {
	t.Helper()
	a, b := newHouse(), newHouse()
	a.jobs, b.jobs, b.peers = nil, nil, b.peers[:2]
	b.self.ID, b.self.Name = device(21), "Bob-PC"
	b.peers[0].ID, b.peers[0].Name, b.peers[0].Inviting = device(1), a.self.Name, true
	prepare(a)
	m := &meeting{t: t, let: make(chan workgroup.Workgroup, 1)}
	b.join = func(ctx context.Context, code string) (workgroup.Workgroup, error) {
		a.mu.Lock()
		right := len(a.invites) > 0 && a.invites[0].Code == code
		a.mu.Unlock()
		if !right {
			return workgroup.Workgroup{}, pairing.ErrProof
		}
		m.knock(a, b)
		select {
		case w := <-m.let:
			return w, nil
		case <-ctx.Done():
			return workgroup.Workgroup{}, ctx.Err()
		}
	}
	m.pictures(a, b)
	a.approve = func(id string, as workgroup.Admission) {
		a.alter(groupID(1), func(w *workgroup.Workgroup) {
			w.Members = append(w.Members, workgroup.Member{ID: device(21), Name: as.Name, Role: as.Role, By: device(1), Since: time.Now()})
		})
		a.invited(id, func(x *discovery.Invitation) { x.State = discovery.InviteDone })
		a.mu.Lock()
		w := a.groups[0]
		a.mu.Unlock()
		w.Role = as.Role
		b.change(func() { b.groups = []workgroup.Workgroup{w} })
		m.let <- w
	}
	m.inviter = newStage(t, a, viewmodel.Look{}, 1100, 720)
	m.joiner = newStage(t, b, viewmodel.Look{}, 1100, 720)
	return m
}

// pictures lets the two compare pictures, from the joiner on.
func (m *meeting) pictures(a, b *house) {
	b.compare = func(discovery.DeviceID, pairing.Purpose) (string, error) {
		x := discovery.Comparison{ID: "c", Device: device(21), Name: b.self.Name, Join: true, Asked: true, SAS: [3]byte{1, 2, 3}, State: discovery.CompareShown}
		a.change(func() { a.compares = []discovery.Comparison{x} })
		x.Device, x.Name, x.Asked = device(1), a.self.Name, false
		b.change(func() { b.compares = []discovery.Comparison{x} })
		return "c", nil
	}
	answer := func(h *house) func(string, bool) {
		return func(_ string, same bool) {
			m.mu.Lock()
			m.agreed++
			both := m.agreed == 2
			m.mu.Unlock()
			switch {
			case !same:
				a.compared(discovery.CompareDifferent)
				b.compared(discovery.CompareDifferent)
			case both:
				a.compared(discovery.CompareSame)
				b.compared(discovery.CompareSame)
				m.knock(a, b)
			default:
				h.compared(discovery.CompareWaiting)
			}
		}
	}
	a.answer, b.answer = answer(a), answer(b)
}

// knock puts the joiner before the inviter's door.
func (m *meeting) knock(a, b *house) {
	a.invited("one", func(x *discovery.Invitation) {
		x.State, x.Device, x.Name = discovery.InviteAsking, b.self.ID, b.self.Name
	})
}

// until draws both windows until something is so.
func (m *meeting) until(what string, so func() bool) {
	m.t.Helper()
	m.inviter.until(what, func() bool { m.joiner.draw(); return so() })
}

// click presses a control that can be seen, and counts.
func (m *meeting) click(s *stage, o fyne.Tappable) {
	m.t.Helper()
	m.clicks++
	seen := false
	size := s.w.win.Canvas().Size()
	root := s.w.win.Canvas().Content()
	if top := s.w.win.Canvas().Overlays().Top(); top != nil {
		root = top
	}
	walk(root, fyne.Position{}, fyne.Position{}, size, false, func(x fyne.CanvasObject, at fyne.Position, _ fyne.Size, _ bool) {
		if any(x) == any(o) {
			seen = at.X >= 0 && at.Y >= 0 && at.X+x.Size().Width <= size.Width && at.Y+x.Size().Height <= size.Height
		}
	})
	if b, ok := o.(*widget.Button); !seen || ok && b.Disabled() {
		m.t.Fatalf("what is to be clicked cannot be: %T, seen %v", o, seen)
	}
	o.Tapped(&fyne.PointEvent{})
	s.draw()
}

// button clicks a button with a label as soon as there is one.
func (m *meeting) button(s *stage, label string) {
	m.t.Helper()
	there := func() *widget.Button {
		if top := s.w.win.Canvas().Overlays().Top(); top != nil {
			return findButton(top, label)
		}
		return findButton(s.w.root, label)
	}
	m.until("there is a button "+label, func() bool { return there() != nil })
	m.click(s, there()) // looked for again: the last drawing may have made another
}

func (m *meeting) line(s *stage, to viewmodel.Place) {
	m.t.Helper()
	m.until("the sidebar leads there", func() bool { return s.w.side.lines[to] != nil })
	m.click(s, s.w.side.lines[to].press)
}

// type types digits into whatever has the keyboard.
func (m *meeting) typeDigits(s *stage, digits string) {
	m.t.Helper()
	for _, r := range digits {
		f := s.w.win.Canvas().Focused()
		if f == nil {
			m.t.Fatal("nothing has the keyboard")
		}
		f.TypedRune(r)
		m.digits++
	}
	s.draw()
}

// atMost reports what it took.
func (m *meeting) atMost(clicks, digits int) {
	m.t.Helper()
	m.t.Logf("%d clicks and %d digits on both sides together", m.clicks, m.digits)
	if m.clicks > clicks || m.digits > digits {
		m.t.Errorf("%d clicks and %d digits; %d and %d are the most", m.clicks, m.digits, clicks, digits)
	}
}

// joined waits until the joiner looks at the workgroup it came into.
func (m *meeting) joined() {
	m.t.Helper()
	m.until("the joiner is in", func() bool {
		x, ok := m.joiner.w.set.Workgroups.Page(groupID(1))
		return ok && len(x.Members) > 0 && m.joiner.w.shown == viewmodel.Place{Page: viewmodel.PageWorkgroup, Group: groupID(1)}
	})
}

const mostClicks, mostDigits = 12, 8

// TestJoinByDigits: somebody who has a workgroup invites; the digits go over the telephone.
func TestJoinByDigits(t *testing.T) {
	m := newMeeting(t, func(h *house) { h.groups = []workgroup.Workgroup{h.home()} })
	m.line(m.inviter, viewmodel.Place{Page: viewmodel.PageWorkgroup, Group: groupID(1)})
	m.button(m.inviter, "Invite …")
	m.until("the digits show", func() bool { return m.inviter.w.set.Inviting.Page(groupID(1)).Digits == "27 · 482 913" })
	m.line(m.joiner, viewmodel.Place{Page: viewmodel.PageJoin})
	m.typeDigits(m.joiner, "27482913")
	m.button(m.joiner, "Join")
	m.button(m.inviter, "Add")
	m.joined()
	if !m.inviter.h.called("approve Bob-PC  1") {
		t.Errorf("let in as %q", m.inviter.h.calls)
	}
	m.atMost(mostClicks, mostDigits)
}

// TestJoinFromNothing: nobody has a workgroup yet, so one is made first.
func TestJoinFromNothing(t *testing.T) {
	m := newMeeting(t, func(*house) {})
	m.line(m.inviter, viewmodel.Place{Page: viewmodel.PageWorkgroup})
	m.button(m.inviter, "Make private …")
	m.button(m.inviter, "Make it")
	m.button(m.inviter, "Later")
	m.button(m.inviter, "Invite …")
	m.line(m.joiner, viewmodel.Place{Page: viewmodel.PageJoin})
	m.typeDigits(m.joiner, "27482913")
	m.button(m.joiner, "Join")
	m.button(m.inviter, "Add")
	m.joined()
	if !m.inviter.h.called("create Maple Street Anna’s desktop") || !m.inviter.h.called("remind later") {
		t.Errorf("%q", m.inviter.h.calls)
	}
	m.atMost(mostClicks, mostDigits)
}

// TestJoinByPictures: two people in one room look at two screens.
func TestJoinByPictures(t *testing.T) {
	m := newMeeting(t, func(h *house) { h.groups = []workgroup.Workgroup{h.home()} })
	m.line(m.inviter, viewmodel.Place{Page: viewmodel.PageWorkgroup, Group: groupID(1)})
	m.button(m.inviter, "Invite …")
	m.line(m.joiner, viewmodel.Place{Page: viewmodel.PageJoin})
	m.button(m.joiner, "Compare pictures")
	m.button(m.joiner, "They match")
	m.button(m.inviter, "They match")
	m.button(m.inviter, "Add")
	m.joined()
	m.atMost(mostClicks, 0)
}

// TestDifferentPictures: one no is enough, and nobody is asked to let anybody in.
func TestDifferentPictures(t *testing.T) {
	m := newMeeting(t, func(h *house) {
		h.groups = []workgroup.Workgroup{h.home()}
		h.invites = []discovery.Invitation{invitation(groupID(1), discovery.InviteOpen)}
	})
	m.line(m.joiner, viewmodel.Place{Page: viewmodel.PageJoin})
	m.button(m.joiner, "Compare pictures")
	m.button(m.inviter, "Different")
	for _, s := range []*stage{m.inviter, m.joiner} {
		m.until("it is said", func() bool { return strings.HasPrefix(s.w.set.Notices.Now().Text, "The pictures were different") })
		if s.w.win.Canvas().Overlays().Top() != nil {
			t.Error("a card is still up")
		}
	}
}

// TestDigitBoxes: digits only, at most eight, back and forth, and whole codes from the clipboard.
func TestDigitBoxes(t *testing.T) {
	h := newHouse()
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageJoin})
	d := s.w.pages[viewmodel.PageJoin].(*join).boxes
	if s.w.win.Canvas().Focused() != fyne.Focusable(d) {
		t.Fatal("the boxes do not have the keyboard")
	}
	shows := func(want string) {
		t.Helper()
		s.draw()
		got := ""
		for _, x := range d.texts {
			got += x.Text
		}
		if got != want {
			t.Errorf("the boxes show %q, want %q", got, want)
		}
	}
	for _, r := range "2x7 48291399" {
		d.TypedRune(r)
	}
	shows("27482913")
	s.key(fyne.KeyBackspace)
	shows("2748291")
	d.TypedShortcut(&fyne.ShortcutPaste{Clipboard: s.w.app.Clipboard()}) // nothing in it
	if s.w.set.Joining.Page().Trouble == "" {
		t.Error("an empty clipboard was taken for a code")
	}
	s.w.app.Clipboard().SetContent(" 11 · 222 333 ")
	d.TypedShortcut(&fyne.ShortcutPaste{Clipboard: s.w.app.Clipboard()})
	shows("11222333")
	s.key(fyne.KeyReturn)
	s.until("it is asked", func() bool { return h.called("join 11222333") })
	s.until("nobody was there", func() bool { return s.w.set.Joining.Page().Trouble != "" })
	text := pairing.Code{Digits: "27482913", Secret: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}.QR(nil)
	s.w.app.Clipboard().SetContent(text)
	test.Tap(findButton(s.w.pages[viewmodel.PageJoin].object(), "Paste"))
	s.until("the text of the picture is used", func() bool { return h.called("join " + text) })
}

// TestSheetIsSaved: into a file that only its owner reads, through the browser for paper, and never for longer than needed.
func TestSheetIsSaved(t *testing.T) {
	h := newHouse()
	family(h)
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	atGroup(viewmodel.PageSheet, 1)(s)
	page := s.w.pages[viewmodel.PageSheet].(*recoverySheet)
	file := filepath.Join(t.TempDir(), "sheet.html")
	to, err := storage.Writer(storage.NewFileURI(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := page.write(to); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(data, []byte("<svg")) {
		t.Errorf("%v: %s", err, data)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	test.Tap(findButton(page.object(), "Print …"))
	printed, err := os.ReadFile(filepath.Join(page.print, "sheet.html"))
	if err != nil || !bytes.Equal(data, printed) {
		t.Errorf("what is printed is not what is saved: %v", err)
	}
	folder := page.print
	test.Tap(findButton(page.object(), "I have it"))
	test.Tap(findButton(s.popup(), "I have it"))
	s.until("the letters are erased", func() bool {
		w := s.w.set.Workgroups
		x, _ := w.Page(groupID(1))
		return len(x.Notes) == 0 && h.isErased()
	})
	s.until("the page is left", func() bool { return s.w.shown.Page == viewmodel.PageWorkgroup })
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the page to print is still there: %v", err)
	}
	if p := s.w.set.Sheet.Page(); len(p.Groups) > 0 {
		t.Error("the letters are still in memory")
	}
}

// TestRemoveWithWhomItLetIn: the menu of a member, the question, and a tick for one more.
func TestRemoveWithWhomItLetIn(t *testing.T) {
	h := newHouse()
	family(h)
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	atGroup(viewmodel.PageWorkgroup, 1)(s)
	var cards []*press
	walk(s.groupPage().object(), fyne.Position{}, fyne.Position{}, fyne.NewSize(2000, 2000), false, func(o fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
		if c, ok := o.(*press); ok && c.keys[fyne.KeyDelete] != nil {
			cards = append(cards, c)
		}
	})
	if len(cards) != 3 {
		t.Fatalf("%d of four members can be removed: all but this computer", len(cards))
	}
	s.w.win.Canvas().Focus(cards[0])
	s.key(fyne.KeyDelete)
	s.until("it is asked", func() bool { return s.w.win.Canvas().Overlays().Top() != nil })
	var ticks []*widget.Check
	walk(s.popup(), fyne.Position{}, fyne.Position{}, fyne.NewSize(2000, 2000), false, func(o fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
		if c, ok := o.(*widget.Check); ok {
			ticks = append(ticks, c)
		}
	})
	if len(ticks) != 3 {
		t.Fatalf("%d ticks: two that it let in, and one for lost", len(ticks))
	}
	test.Tap(ticks[1])
	test.Tap(ticks[2])
	test.Tap(findButton(s.popup(), "Remove"))
	s.until("both are removed as lost", func() bool { return h.called("remove 2 for 3") })
	s.until("the page shows it", func() bool { return len(s.groupPage().now.Members) == 2 })
}

// TestEveryPictureCanBeSeen: the 64 symbols are drawn, and each looks different from all others.
func TestEveryPictureCanBeSeen(t *testing.T) {
	newStage(t, newHouse(), viewmodel.Look{}, 640, 420)
	seen := map[string]string{}
	for i := range 64 {
		x := pairing.SAS{byte(i << 2)}.Pictures()[0]
		label := widget.NewLabel(x.Symbol)
		w := test.NewTempWindow(t, label)
		w.Resize(fyne.NewSize(60, 40))
		im, ok := w.Canvas().Capture().(*image.NRGBA)
		if !ok {
			t.Fatalf("%T", w.Canvas().Capture())
		}
		if other := seen[string(im.Pix)]; other != "" {
			t.Errorf("%s looks like %s", x.English, other)
		}
		seen[string(im.Pix)] = x.English
	}
	if len(seen) != 64 {
		t.Errorf("%d different pictures", len(seen))
	}
}

// TestQRIsSharp: whole pixels, dark on white, with a quiet zone, at any size.
func TestQRIsSharp(t *testing.T) {
	h := newHouse()
	family(h)
	h.invites = []discovery.Invitation{invitation(groupID(1), discovery.InviteOpen)}
	s := newStage(t, h, viewmodel.Look{Theme: "dark"}, 1100, 720)
	q := s.w.set.Inviting.Page(groupID(1)).QR
	if q.Size() < 21 || q.Text() != h.invites[0].QR {
		t.Fatalf("a picture of %d modules says %q", q.Size(), q.Text())
	}
	side := q.Size() + 2*viewmodel.QuietZone
	for _, size := range []int{qrSide, qrSide * 2, 333} {
		im := drawQR(q, size, size)
		scale := size / side
		if scale < 2 {
			t.Errorf("%d pixels for a module at %d", scale, size)
		}
		off := (size - scale*side) / 2
		for y := range size {
			for x := range size {
				mx, my := (x-off)/scale-viewmodel.QuietZone, (y-off)/scale-viewmodel.QuietZone
				dark := x >= off && y >= off && q.Dark(mx, my)
				if r, g, b, _ := im.At(x, y).RGBA(); r != g || g != b || dark != (r == 0) || !dark != (r == 0xffff) {
					t.Fatalf("at %d,%d of %d: %x, dark %v", x, y, size, r, dark)
				}
			}
		}
	}
}

// TestCardComesAgainInNewColours: a question that is up stays up, once, when light and dark change places.
func TestCardComesAgainInNewColours(t *testing.T) {
	h := newHouse()
	comparing(false, true, discovery.CompareShown)(h)
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.until("the card is up", func() bool { return s.w.cards.pop != nil })
	before := s.w.cards.pop
	s.w.set.Settings.SetLook(viewmodel.Look{Theme: "dark", Language: "en"})
	s.until("it is another one", func() bool { return s.w.cards.pop != nil && s.w.cards.pop != before })
	if n := len(s.w.win.Canvas().Overlays().List()); n != 1 {
		t.Errorf("%d cards are up", n)
	}
	test.Tap(findButton(s.popup(), "Digits instead"))
	s.draw()
	test.Tap(findButton(s.popup(), "They match"))
	s.until("the answer arrives", func() bool { return h.called("answer c true") })
	h.compared(discovery.CompareSame)
	s.until("the card is gone", func() bool { return s.w.win.Canvas().Overlays().Top() == nil })
}

// TestShareWithAWorkgroup: by the dialog of a card, and the sentence says it before and after.
func TestShareWithAWorkgroup(t *testing.T) {
	h := newHouse()
	family(h)
	s := newStage(t, h, viewmodel.Look{}, 1100, 720)
	s.goTo(viewmodel.Place{Page: viewmodel.PageShares})
	s.w.pages[viewmodel.PageShares].(*shares).audience(s.w.set.Shares.Rows()[0])
	way, _ := find[*widget.RadioGroup](s.popup())
	says := func(want string) (said bool) {
		walk(s.popup(), fyne.Position{}, fyne.Position{}, fyne.NewSize(2000, 2000), false, func(o fyne.CanvasObject, _ fyne.Position, _ fyne.Size, _ bool) {
			if r, ok := o.(*widget.RichText); ok {
				said = said || r.String() == want
			}
		})
		return said
	}
	for label, want := range map[string]string{"Everyone in “Home”": "Everyone in “Home” may look and get (3 other computers now)", "Nobody for the moment": "For nobody right now",
		"Only the people I choose": "Tick at least one person, or choose nobody."} {
		way.SetSelected(label)
		if !says(want) {
			t.Errorf("%s does not say %q", label, want)
		}
	}
	way.SetSelected("Everyone in “Home”")
	test.Tap(findButton(s.popup(), "Save"))
	s.until("it is for the workgroup", func() bool {
		return s.w.set.Shares.Rows()[0].Who == "Everyone in “Home” may look and get (3 other computers now)"
	})
}
