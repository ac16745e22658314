package desktop

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"porchlight/assets"
	"porchlight/discovery/calm"
)

// bus is a session bus with a desktop on it, in one: it understands what a Notifier says and no more.
type bus struct {
	t       *testing.T
	env     map[string]string
	can     []string
	silent  bool          // takes every call and answers none
	asked   chan struct{} // a call was taken that is not answered
	notes   chan *dbus.Message
	matched chan struct{} // a rule for signals was added

	mu   sync.Mutex // guards the field below
	conn net.Conn   // the last
}

func newBus(t *testing.T, can ...string) *bus {
	t.Helper()
	path := filepath.Join(short(t), "bus")
	l, err := net.Listen("unix", path) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	b := &bus{t: t, can: can, env: map[string]string{"DBUS_SESSION_BUS_ADDRESS": "unix:path=" + path}, asked: make(chan struct{}, 9), notes: make(chan *dbus.Message, 9), matched: make(chan struct{}, 9)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { b.serve(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); b.cut(); wg.Wait() })
	return b
}

// cut ends the connection, as a bus does that is started anew.
func (b *bus) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn != nil {
		b.conn.Close()
	}
}

// serve speaks the server's side of the D-Bus Specification 0.43: authentication, then messages.
func (b *bus) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	if _, err := r.ReadByte(); err != nil { // the first is empty; nothing at all comes from whoever only looks whether there is a bus
		return
	}
	b.mu.Lock()
	b.conn = conn
	b.mu.Unlock()
	for {
		line, err := r.ReadString('\n')
		answer := "ERROR\r\n"
		switch {
		case err != nil:
			return
		case strings.HasPrefix(line, "AUTH EXTERNAL"):
			answer = "OK 0123456789abcdef0123456789abcdef\r\n"
		case strings.HasPrefix(line, "AUTH"):
			answer = "REJECTED EXTERNAL\r\n"
		}
		if strings.HasPrefix(line, "BEGIN") {
			break
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
	for {
		m, err := dbus.DecodeMessage(r)
		if err != nil {
			return
		}
		if b.silent && m.Headers[dbus.FieldDestination].Value() != "org.freedesktop.DBus" {
			b.asked <- struct{}{}
			continue
		}
		b.answer(conn, m)
	}
}

func (b *bus) answer(conn net.Conn, m *dbus.Message) {
	var body []any
	switch name := m.Headers[dbus.FieldMember].Value().(string); name {
	case "Hello":
		body = []any{":1.1"}
	case "AddMatch":
		b.matched <- struct{}{}
	case "GetCapabilities":
		body = []any{b.can}
	case "Notify":
		b.notes <- m
		body = []any{uint32(40 + len(b.notes))}
	default:
		b.t.Errorf("%s was called", name)
	}
	b.send(conn, &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{dbus.FieldReplySerial: dbus.MakeVariant(m.Serial())}}, body...)
}

// send writes a message of the bus.
func (b *bus) send(conn net.Conn, m *dbus.Message, body ...any) {
	m.Headers[dbus.FieldSender] = dbus.MakeVariant(":1.0")
	if len(body) > 0 {
		m.Headers[dbus.FieldSignature], m.Body = dbus.MakeVariant(dbus.SignatureOf(body...)), body
	}
	if err := m.EncodeTo(conn, binary.LittleEndian); err != nil && !errors.Is(err, net.ErrClosed) {
		b.t.Error(err)
	}
}

// signal tells what happened to a note.
func (b *bus) signal(name string, body ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.send(b.conn, &dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath(notesPath)), dbus.FieldInterface: dbus.MakeVariant(notesName), dbus.FieldMember: dbus.MakeVariant(name),
	}}, body...)
}

func newNotifier(t *testing.T, b *bus) *Notifier {
	t.Helper()
	icon, err := assets.AppIcon()
	if err != nil {
		t.Fatal(err)
	}
	n, err := NewNotifier(icon, func(name string) string { return b.env[name] })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// TestNote: what a neighbour chose is shown as it is written, and a note goes when the desktop lets others go.
func TestNote(t *testing.T) {
	const name = `<b>Bo</b> & <a href="http://10.0.0.1/">$(id)</a>`
	for can, want := range map[string]string{"body": name, "body-markup": `&lt;b&gt;Bo&lt;/b&gt; &amp; &lt;a href="http://10.0.0.1/"&gt;$(id)&lt;/a&gt;`} {
		b := newBus(t, can)
		n := newNotifier(t, b)
		if err := n.Show(t.Context(), Note{Title: name, Text: name, Clicked: func() {}}); err != nil {
			t.Fatal(err)
		}
		got := (<-b.notes).Body
		hints := got[6].(map[string]dbus.Variant)
		if s := fmt.Sprint(got[:6]); s != fmt.Sprint([]any{"Porchlight", uint32(0), "", name, want, []string{}}) || got[7] != int32(-1) || hints["desktop-entry"].Value() != "org.porchlight.Porchlight" {
			t.Errorf("%s: %s, for %v", can, s, got[7])
		}
		picture := hints["image-data"].Value().([]any)
		if pixels := picture[6].([]byte); picture[0] != int32(64) || picture[1] != int32(64) || picture[2] != int32(256) || len(pixels) != 64*256 || pixels[3] != 0 || pixels[(32*64+32)*4+3] != 255 {
			t.Errorf("a picture of %v", picture[:6])
		}
	}
}

func TestClicks(t *testing.T) {
	b := newBus(t, "actions")
	n := newNotifier(t, b)
	clicked := make(chan int, 9)
	for i := range 3 {
		if err := n.Show(t.Context(), Note{Title: "x", Click: "Show", Clicked: func() { clicked <- i }}); err != nil {
			t.Fatal(err)
		}
	}
	if got := (<-b.notes).Body[5].([]string); len(got) != 2 || got[0] != "default" || got[1] != "Show" {
		t.Errorf("actions %q", got)
	}
	b.signal("NotificationClosed", uint32(41), uint32(2))
	b.signal("ActionInvoked", uint32(41), "default")
	b.signal("ActionInvoked", uint32(9999), "default") // another program's
	b.signal("ActionInvoked")
	b.signal("ActionInvoked", "41", int32(7))
	b.signal("ActivationToken", uint32(42), "x")
	b.signal("ActionInvoked", uint32(43), "default")
	if got := <-clicked; got != 2 || len(clicked) != 0 {
		t.Errorf("heard of a click on note %d, and %d more", got, len(clicked))
	}
}

// TestBusAnew: the bus goes, and with it the connection; the next note makes another.
func TestBusAnew(t *testing.T) {
	b := newBus(t, "actions")
	n := newNotifier(t, b)
	clicked := make(chan struct{}, 9)
	for range 2 {
		for end := time.Now().Add(calm.Most(5 * time.Second)); ; time.Sleep(5 * time.Millisecond) {
			err := n.Show(t.Context(), Note{Title: "x", Clicked: func() { clicked <- struct{}{} }})
			if err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		<-b.notes
		b.signal("ActionInvoked", uint32(41), "default")
		<-clicked
		b.cut()
	}
	if len(b.matched) != 2 {
		t.Errorf("signals asked for %d times", len(b.matched))
	}
}

// TestNoDesktop: nobody there, and somebody who never answers.
func TestNoDesktop(t *testing.T) {
	n := newNotifier(t, &bus{env: map[string]string{}})
	if err := n.Show(t.Context(), Note{Title: "x"}); err == nil {
		t.Error("shown without a bus")
	}
	b := newBus(t)
	b.silent = true
	n = newNotifier(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-b.asked; cancel() }()
	if err := n.Show(ctx, Note{Title: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a desktop that is silent: %v", err)
	}
}
