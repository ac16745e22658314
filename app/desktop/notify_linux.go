package desktop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

// What the Desktop Notifications Specification 1.2 calls things.
// https://specifications.freedesktop.org/notification-spec/1.2/
const (
	notesName = "org.freedesktop.Notifications"
	notesPath = "/org/freedesktop/Notifications"
	iconSide  = 64 // pixels
	maxClicks = 64 // notes whose clicks are waited for
	asItDoes  = -1 // the desktop's own time for a note to stay; 0 would be for ever
	entryName = "org.porchlight.Porchlight"
)

// notifier talks to the desktop over the session bus, on one connection made when it is first needed.
type notifier struct {
	getenv func(string) string
	icon   func() (notePicture, error) // made when it is first needed: most days nobody is told anything

	mu     sync.Mutex // guards the fields below
	conn   *dbus.Conn // nil before the first note, and after the bus has gone
	clicks map[uint32]func()
}

// notePicture is the hint "image-data".
type notePicture struct {
	Width, Height, Stride int32
	Alpha                 bool
	Bits, Channels        int32
	Pixels                []byte
}

func (n *notifier) prepare(icon []byte, getenv func(string) string) error {
	if _, err := png.DecodeConfig(bytes.NewReader(icon)); err != nil {
		return fmt.Errorf("icon: %w", err)
	}
	n.getenv = getenv
	n.icon = sync.OnceValues(func() (notePicture, error) {
		img, err := png.Decode(bytes.NewReader(icon))
		if err != nil {
			return notePicture{}, fmt.Errorf("icon: %w", err)
		}
		return smaller(img), nil
	})
	return nil
}

// smaller brings a square picture to iconSide, each pixel the mean of those it stands for.
func smaller(img image.Image) notePicture {
	p := notePicture{Width: iconSide, Height: iconSide, Stride: 4 * iconSide, Alpha: true, Bits: 8, Channels: 4}
	step := img.Bounds().Dx() / iconSide
	for y := range iconSide {
		for x := range iconSide {
			var sum [4]uint64
			for i := range step * step {
				r, g, b, a := img.At(img.Bounds().Min.X+x*step+i%step, img.Bounds().Min.Y+y*step+i/step).RGBA()
				for c, v := range []uint32{r, g, b, a} {
					sum[c] += uint64(v)
				}
			}
			whole := max(sum[3], 1) // colours come multiplied by alpha, and are sent as they are
			for _, v := range sum[:3] {
				p.Pixels = append(p.Pixels, byte(v*255/whole))
			}
			p.Pixels = append(p.Pixels, byte(sum[3]/uint64(max(step*step, 1))>>8)) //nolint:gosec // at most 255
		}
	}
	return p
}

func (n *notifier) show(ctx context.Context, note Note) error {
	icon, err := n.icon()
	if err != nil {
		return err
	}
	conn, err := n.connect(ctx)
	if err != nil {
		return fmt.Errorf("notification: %w", err)
	}
	notes := conn.Object(notesName, notesPath)
	var can []string
	if err := notes.CallWithContext(ctx, notesName+".GetCapabilities", 0).Store(&can); err != nil {
		return fmt.Errorf("notification: %w", err)
	}
	text := note.Text
	if slices.Contains(can, "body-markup") { // a name may not set type, link or load pictures
		text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	}
	actions := []string{}
	if note.Clicked != nil && slices.Contains(can, "actions") {
		actions = []string{"default", note.Click} // a click on the note itself
	}
	hints := map[string]dbus.Variant{"image-data": dbus.MakeVariant(icon), "desktop-entry": dbus.MakeVariant(entryName)}
	n.mu.Lock() // so that a click is not heard before it is known whose it is
	defer n.mu.Unlock()
	var id uint32
	err = notes.CallWithContext(ctx, notesName+".Notify", 0, "Porchlight", uint32(0), "", note.Title, text, actions, hints, int32(asItDoes)).Store(&id)
	if err != nil {
		return fmt.Errorf("notification: %w", err)
	}
	if len(n.clicks) == maxClicks { // old ones that this desktop never takes away
		clear(n.clicks)
	}
	if len(actions) > 0 {
		n.clicks[id] = note.Clicked
	}
	return nil
}

// connect returns the connection to the session bus, made anew where there is none.
func (n *notifier) connect(ctx context.Context) (*dbus.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil && n.conn.Connected() {
		return n.conn, nil
	}
	address := sessionBus(ctx, n.getenv)
	if address == "" {
		return nil, errors.New("no session bus")
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end) // while it is made; made, it lives on
	conn, err := dbus.Connect(address, dbus.WithContext(life))
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		end()
		return nil, err
	}
	signals := make(chan *dbus.Signal, maxClicks)
	conn.Signal(signals)
	go func() {
		defer end()
		n.listen(signals)
	}()
	if err := conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(notesName), dbus.WithMatchInterface(notesName)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	n.conn, n.clicks = conn, map[uint32]func(){}
	return conn, nil
}

// listen hears of clicks until the connection ends, which closes signals.
func (n *notifier) listen(signals <-chan *dbus.Signal) {
	for s := range signals {
		var id uint32
		if len(s.Body) > 0 {
			id, _ = s.Body[0].(uint32)
		}
		n.mu.Lock()
		clicked := n.clicks[id]
		switch s.Name {
		case notesName + ".NotificationClosed":
			delete(n.clicks, id)
			clicked = nil
		case notesName + ".ActionInvoked":
		default:
			clicked = nil
		}
		n.mu.Unlock()
		if clicked != nil {
			clicked()
		}
	}
}

func (n *notifier) close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		return nil
	}
	return n.conn.Close()
}
