package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/canon"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// asks is every question a client asks, by what it asks for. Each returns the error and how many items it was given.
func asks() map[string]func(context.Context, *Client) (int, error) {
	large := share.Entry{Path: "f", Kind: share.File, Size: wire.SwarmSize, Version: share.Version{1}}
	file := share.Entry{Path: "f", Kind: share.File, Size: 4, Version: share.Version{1}}
	return map[string]func(context.Context, *Client) (int, error){
		"shares": func(ctx context.Context, c *Client) (int, error) { o, err := c.Shares(ctx); return len(o), err },
		"hints":  func(ctx context.Context, c *Client) (int, error) { h, err := c.Hints(ctx); return len(h), err },
		"list": func(ctx context.Context, c *Client) (n int, err error) {
			err = c.List(ctx, share.ID{}, "d", share.ByName, func(e share.Entry) error { n++; return within(e) })
			return n, err
		},
		"manifest": func(ctx context.Context, c *Client) (n int, err error) {
			err = c.Manifest(ctx, share.ID{}, "d", func(e share.Entry) error { n++; return within(e) })
			return n, err
		},
		"read": func(ctx context.Context, c *Client) (int, error) {
			var b bytes.Buffer
			err := c.Read(ctx, share.ID{}, "f", file.Version, transfer.Range{Len: 4}, &b)
			return b.Len() / 4, err
		},
		"pack": func(ctx context.Context, c *Client) (n int, err error) {
			err = c.Pack(ctx, share.ID{}, []share.Entry{file, file}, func(p Packed, r io.Reader) error {
				n++
				got, err := io.ReadAll(r)
				if err == nil && int64(len(got)) > file.Size {
					return fmt.Errorf("%d bytes of a file of %d", len(got), file.Size)
				}
				return err
			})
			return n, err
		},
		"layer": func(ctx context.Context, c *Client) (int, error) {
			l, err := c.Layer(ctx, share.ID{}, "f", file.Version)
			return len(l.Pieces), err
		},
		"swarm": func(ctx context.Context, c *Client) (int, error) {
			s, err := c.Swarm(ctx, discovery.DeviceID{2}, share.ID{}, large, make([]byte, 2), true)
			return len(s.Peers), err
		},
		"find": func(ctx context.Context, c *Client) (int, error) {
			found, err := c.Find(ctx, []int64{large.Size})
			return len(found), err
		},
		"have": func(ctx context.Context, c *Client) (int, error) {
			h, err := c.Have(ctx, content.Hash{1}, large.Size, wire.Signed{}, 0)
			return len(h.Peers), err
		},
		"content": func(ctx context.Context, c *Client) (int, error) {
			var b bytes.Buffer
			err := c.Content(ctx, content.Hash{1}, wire.Signed{}, transfer.Range{Len: 4}, &b)
			return b.Len() / 4, err
		},
		"compare": func(ctx context.Context, c *Client) (int, error) {
			s, err := c.Compare(ctx, workgroup.ID{1}, workgroup.Summary{Count: 1})
			return len(s.IDs), err
		},
		"give": func(ctx context.Context, c *Client) (int, error) {
			missing, err := c.Give(ctx, workgroup.ID{1}, [][]byte{{1}})
			return len(missing), err
		},
		"take": func(ctx context.Context, c *Client) (int, error) {
			got, err := c.Take(ctx, workgroup.ID{1}, []ledger.Prefix{{1}})
			return len(got), err
		},
		"keys": func(ctx context.Context, c *Client) (int, error) {
			_, err := c.Keys(ctx, workgroup.ID{1})
			return 0, err
		},
		"offer": func(ctx context.Context, c *Client) (int, error) {
			return 0, c.Offer(ctx, workgroup.Welcome{Entries: [][]byte{{1}}})
		},
		"join": func(ctx context.Context, c *Client) (int, error) {
			b, err := meeting(ctx, c).Join(ctx, []byte{1})
			return len(b), err
		},
		"result": func(ctx context.Context, c *Client) (n int, err error) {
			_, err = meeting(ctx, c).JoinResult(ctx, func() { n++ })
			return n, err
		},
		"confirm": func(ctx context.Context, c *Client) (n int, err error) {
			_, err = meeting(ctx, c).Confirm(ctx, true, func() { n++ })
			return n, err
		},
		"recover": func(ctx context.Context, c *Client) (int, error) {
			w, err := meeting(ctx, c).Recover(ctx, make([]byte, 64))
			return len(w.Entries), err
		},
		"doctor": func(ctx context.Context, c *Client) (int, error) { _, err := c.Checkup(ctx); return 0, err },
		"watch":  func(ctx context.Context, c *Client) (int, error) { return 0, c.SetWatch(ctx, nil) },
		"events": func(ctx context.Context, c *Client) (n int, err error) {
			err = c.Events(ctx, func(wire.Event) { n++ }, func() {})
			return n, err
		},
	}
}

// meeting is one with the device that c asks.
func meeting(ctx context.Context, c *Client) *Meeting {
	return &Meeting{http: c.peer.Client(link.Slow), ctx: ctx}
}

// ok is the head of a good answer with a body of n bytes, or one that ends with the connection if n is negative.
func ok(n int) string {
	if n < 0 {
		return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
	}
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n)
}

// whole is a good answer with this body.
func whole(body []byte) string { return ok(len(body)) + string(body) }

// items is a sequence of these items, with its end.
func items(vs ...any) []byte {
	var b bytes.Buffer
	w := canon.NewWriter(&b)
	for _, v := range vs {
		if err := w.Write(v); err != nil {
			panic(err) // of the test itself
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// raw is one item of a sequence that is no message, and nothing after it.
func raw(length uint64, data ...byte) []byte {
	return append(binary.AppendUvarint(nil, length), data...)
}

func entry(p string, change func(*wire.EntryItem)) wire.EntryItem {
	i := wire.EntryItem{P: p, K: 1, S: 4, V: make([]byte, 16)}
	if change != nil {
		change(&i)
	}
	return i
}

func message(v any) []byte {
	b, err := canon.Marshal(v)
	if err != nil {
		panic(err) // of the test itself
	}
	return b
}

// hostile is one answer to one kind of question; to all kinds if to is empty.
type hostile struct{ name, to, answer string }

// hostileAnswers is what a hostile neighbour may answer.
func hostileAnswers() []hostile {
	return slices.Concat(hostileBytes(), hostileEntries(), hostileItems(), hostilePacks(), hostileGroups(), hostileHTTP())
}

// hostileBytes is what is no message.
func hostileBytes() (out []hostile) {
	add := func(to, name, answer string) { out = append(out, hostile{name, to, answer}) }
	for name, body := range map[string][]byte{
		"nothing": nil, "zeros": make([]byte, 100), "item of 2^63": raw(1 << 63), "empty item": raw(0), "item one over the limit": raw(canon.MaxItem + 1),
		"item cut": raw(100, 1, 2, 3), "endless length": bytes.Repeat([]byte{0xff}, 20), "no end": raw(1, 0xa0), "wrong end": raw(6, 0xa1, 0x63, 'e', 'n', 'd', 5),
		"nested": raw(200, bytes.Repeat([]byte{0x81}, 200)...), "huge array": raw(9, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "huge map": raw(5, 0xba, 0x7f, 0xff, 0xff, 0xff),
		"huge text": raw(9, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "indefinite": raw(3, 0x9f, 0x01, 0xff), "tag": raw(2, 0xc0, 0x60), "float": raw(9, 0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0),
		"duplicate keys": raw(9, 0xa2, 0x61, 'p', 0x61, 'a', 0x61, 'p', 0x61, 'b'), "a list for a message": raw(1, 0x80),
	} {
		for _, to := range []string{"shares", "hints", "list", "manifest", "pack", "events"} {
			add(to, name, whole(body))
		}
		add("layer", name, whole(body))
		for _, to := range []string{"doctor", "swarm", "have", "find", "content", "compare", "give", "take", "keys", "result", "confirm", "recover"} {
			add(to, name, whole(body))
		}
	}
	return out
}

// hostileEntries is entries that no listing may have.
func hostileEntries() (out []hostile) {
	add := func(to, name, answer string) { out = append(out, hostile{name, to, answer}) }
	long := strings.Repeat("x", 300)
	deep := strings.Repeat("d/", share.MaxDepth) + "d"
	for name, i := range map[string]wire.EntryItem{
		"dots": entry("..", nil), "up": entry("../x", nil), "absolute": entry("/etc/passwd", nil), "NUL": entry("a\x00b", nil), "private": entry(".porchlight-part", nil),
		"private below": entry("x/.Porchlight-part/y", nil), "300 bytes": entry(long, nil), "backslash": entry(`a\b`, nil), "deep": entry(deep, nil), "newline": entry("a\nb", nil),
		"negative size": entry("a", func(i *wire.EntryItem) { i.S = -1 }), "no kind": entry("a", func(i *wire.EntryItem) { i.K = 0 }), "unknown kind": entry("a", func(i *wire.EntryItem) { i.K = 9 }),
		"no version": entry("a", func(i *wire.EntryItem) { i.V = nil }), "long version": entry("a", func(i *wire.EntryItem) { i.V = make([]byte, 17) }),
		"long reason": entry("a", func(i *wire.EntryItem) { i.K, i.R = 3, long }), "endless name of a thing": entry(strings.Repeat("x", 5000), func(i *wire.EntryItem) { i.K = 3 }),
	} {
		add("list", name, whole(items(i)))
		add("manifest", name, whole(items(i)))
	}
	add("list", "a path for a name", whole(items(entry("a/b", nil))))
	add("list", "the folder itself", whole(items(entry("", nil))))
	add("manifest", "text that is none", whole(raw(7, 0xa1, 0x61, 'p', 0x63, 0xff, 0xfe, 0xfd)))
	return out
}

// hostileItems is shares and hints over their limits.
func hostileItems() (out []hostile) {
	add := func(to, name, answer string) { out = append(out, hostile{name, to, answer}) }
	long := strings.Repeat("x", 300)
	add("shares", "257 shares", whole(items(many(257, wire.ShareItem{ID: make([]byte, 16), Kind: 1, Name: "s"})...)))
	add("shares", "a share with a long name", whole(items(wire.ShareItem{ID: make([]byte, 16), Kind: 1, Name: long})))
	add("shares", "a share without a name", whole(items(wire.ShareItem{ID: make([]byte, 16), Kind: 1})))
	add("shares", "a share with a short ID", whole(items(wire.ShareItem{ID: make([]byte, 3), Kind: 1, Name: "s"})))
	add("hints", "10,000 hints", whole(items(many(10_000, wire.PeerHint{ID: make([]byte, 32)})...)))
	add("hints", "a hint with 4 addresses", whole(items(wire.PeerHint{ID: make([]byte, 32), Addrs: make([]string, 4)})))
	add("hints", "a hint with a long address", whole(items(wire.PeerHint{ID: make([]byte, 32), Addrs: []string{long}})))
	add("hints", "a hint without a device", whole(items(wire.PeerHint{})))
	return out
}

// hostilePacks is small files and layers that were not asked for.
func hostilePacks() (out []hostile) {
	add := func(to, name, answer string) { out = append(out, hostile{name, to, answer}) }
	head := func(h wire.PackHead, data string) []byte {
		b := message(h)
		return append(raw(uint64(len(b)), b...), data...)
	}
	root := make([]byte, 32)
	add("pack", "wrong order", whole(head(wire.PackHead{I: 1, Size: 4, Root: root}, "abcd")))
	add("pack", "the same twice", whole(append(head(wire.PackHead{I: 0, Size: 4, Root: root}, "abcd"), head(wire.PackHead{I: 0, Size: 4, Root: root}, "abcd")...)))
	add("pack", "another size", whole(head(wire.PackHead{I: 0, Size: 5, Root: root}, "abcde")))
	add("pack", "huge size", whole(head(wire.PackHead{I: 0, Size: 1 << 62, Root: root}, "abcd")))
	add("pack", "size -2", whole(head(wire.PackHead{I: 0, Size: -2, Root: root}, "")))
	add("pack", "no root", whole(head(wire.PackHead{I: 0, Size: 4}, "abcd")))
	add("pack", "cut in a file", whole(head(wire.PackHead{I: 0, Size: 4, Root: root}, "ab")))
	add("pack", "an item too few", whole(items(wire.PackHead{I: 0, Size: -1})))
	add("pack", "an item too many", whole(items(wire.PackHead{I: 0, Size: -1}, wire.PackHead{I: 1, Size: -1}, wire.PackHead{I: 2, Size: -1})))
	v := share.Version{1}
	add("layer", "another version", whole(message(wire.LayerAnswer{Version: make([]byte, 16), Size: 4, Root: root})))
	add("layer", "a piece too many", whole(message(wire.LayerAnswer{Version: v[:], Size: 4, Root: root, Layer: make([]byte, 64)})))
	add("layer", "pieces too few", whole(message(wire.LayerAnswer{Version: v[:], Size: 9 << 20, Root: root, Layer: make([]byte, 64)})))
	add("layer", "half a piece", whole(message(wire.LayerAnswer{Version: v[:], Size: 4, Root: root, Layer: make([]byte, 33)})))
	add("layer", "negative size", whole(message(wire.LayerAnswer{Version: v[:], Size: -4, Root: root})))
	add("layer", "a root that is not of its pieces", whole(message(wire.LayerAnswer{Version: v[:], Size: 2 << 20, Root: root, Layer: make([]byte, 64)})))
	return out
}

// hostileGroups is what no device says of a workgroup, and no meeting ends with.
func hostileGroups() (out []hostile) {
	add := func(to, name string, answer []byte) { out = append(out, hostile{name, to, whole(answer)}) }
	id, ring := make([]byte, 32), message(map[string][]int{"keys": {}})
	add("compare", "a summary of nothing", message(map[string]int{"count": 0}))
	add("compare", "a summary of too much", message(map[string]int{"count": ledger.MaxEntries + 1}))
	add("compare", "half a hash", message(map[string]any{"count": 1, "heads": make([]byte, 33)}))
	add("compare", "a summary that never ends", make([]byte, workgroup.MaxSummary+1))
	add("give", "half an ID", message(wire.EntryIDs{IDs: make([]byte, 9)}))
	add("give", "more IDs than asked for at once", message(wire.EntryIDs{IDs: make([]byte, 8*workgroup.MaxBatch+8)}))
	add("take", "an empty entry", items(wire.LedgerEntry{}))
	add("take", "a long entry", items(wire.LedgerEntry{Entry: make([]byte, ledger.MaxEntry+1)}))
	add("take", "too many entries", items(many(workgroup.MaxBatch+1, wire.LedgerEntry{Entry: []byte{1}})...))
	add("take", "too many bytes", items(many(workgroup.MaxBatchBytes/ledger.MaxEntry+1, wire.LedgerEntry{Entry: make([]byte, ledger.MaxEntry)})...))
	add("keys", "not a ring", []byte("x"))
	add("keys", "a long ring", make([]byte, wire.MaxKeyRing+1))
	add("join", "a long message", message(wire.PairMessage{Msg: make([]byte, wire.MaxPairMessage)}))
	welcome := wire.MeetItem{Kind: wire.MeetWelcome, Workgroup: id, Keys: ring, Count: 2}
	one := wire.MeetItem{Kind: wire.MeetEntry, Entry: []byte{1}}
	bent := func(f func(*wire.MeetItem)) wire.MeetItem { w := welcome; f(&w); return w }
	for _, to := range []string{"result", "confirm", "recover"} {
		add(to, "nothing but beats", items(many(3, wire.MeetItem{Kind: wire.MeetBeat})...))
		add(to, "beats for hours", items(many(wire.MaxBeats+1, wire.MeetItem{Kind: wire.MeetBeat})...))
		add(to, "too few entries", items(welcome, one))
		add(to, "too many entries", items(welcome, one, one, one))
		add(to, "entries of nothing", items(one))
		add(to, "two welcomes", items(welcome, one, one, welcome, one, one))
		add(to, "a no after a yes", items(welcome, one, one, wire.MeetItem{Kind: wire.MeetNo, Why: wire.KindDeclined}))
		add(to, "a no that is none", items(wire.MeetItem{Kind: wire.MeetNo, Why: "x"}))
		add(to, "no entries", items(bent(func(w *wire.MeetItem) { w.Count = 0 })))
		add(to, "fewer than none", items(bent(func(w *wire.MeetItem) { w.Count = -1 })))
		add(to, "a ledger without end", items(bent(func(w *wire.MeetItem) { w.Count = ledger.MaxEntries + 1 })))
		add(to, "half a workgroup", items(bent(func(w *wire.MeetItem) { w.Workgroup = id[:16] })))
		add(to, "a long ring", items(bent(func(w *wire.MeetItem) { w.Keys = make([]byte, wire.MaxKeyRing+1) })))
		add(to, "a long entry", items(welcome, wire.MeetItem{Kind: wire.MeetEntry, Entry: make([]byte, ledger.MaxEntry+1)}))
		add(to, "an empty entry", items(welcome, wire.MeetItem{Kind: wire.MeetEntry}))
	}
	for _, to := range []string{"result", "recover"} {
		add(to, "the same pictures", items(wire.MeetItem{Kind: wire.MeetSame}))
	}
	return out
}

// hostileHTTP is answers that are not of this protocol.
func hostileHTTP() (out []hostile) {
	add := func(to, name, answer string) { out = append(out, hostile{name, to, answer}) }
	long := strings.Repeat("x", 300)
	partial := "HTTP/1.1 206 Partial Content\r\n"
	add("read", "shorter", partial+"Content-Length: 4\r\n\r\nab")
	add("read", "longer", partial+"Content-Length: 5\r\n\r\nabcde")
	add("read", "chunked", partial+"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n")
	add("read", "until the end", partial+"Connection: close\r\n\r\nabcd")
	add("read", "not partial", whole([]byte("abcd")))
	add("read", "negative length", partial+"Content-Length: -4\r\n\r\nabcd")
	add("read", "two lengths", partial+"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde")
	for name, answer := range map[string]string{
		"no HTTP": "\x16\x03\x01\x00\x00", "another version": "HTTP/2.0 200 OK\r\n\r\n\xff", "redirect": "HTTP/1.1 307 X\r\nLocation: http://10.0.0.1/v1/shares\r\nContent-Length: 0\r\n\r\n",
		"redirect without end": "HTTP/1.1 301 X\r\nLocation: /v1/shares\r\n\r\n" + long, "takes over": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + string(items()),
		"gzip":         "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff",
		"huge headers": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "many headers": "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n",
		"flood of 1xx": strings.Repeat("HTTP/1.1 103 X\r\nLink: x\r\n\r\n", 5000), "wrong length": "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"huge chunk extension": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("x", 64<<10) + "\r\nhello\r\n0\r\n\r\n",
		"huge chunk":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "negative chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
		"trailers":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\n\xff\r\n0\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"an error without an end": "HTTP/1.1 500 X\r\nConnection: close\r\n\r\n" + strings.Repeat("x", 1<<20), "an error that is none": "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n",
		"a success that is none": "HTTP/1.1 299 X\r\nContent-Length: 1\r\n\r\n\x80", "closed": "",
	} {
		add("", name, answer)
	}
	return out
}

func many(n int, v any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// clear are the errors that say what is the matter.
func isClear(err error) bool {
	for _, e := range []error{transfer.ErrProtocol, transfer.ErrLimit, transfer.ErrAway, transfer.ErrChanged, transfer.ErrBroken} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// TestHostileAnswers: whatever a neighbour answers, the question ends at once with a clear error, in little memory.
func TestHostileAnswers(t *testing.T) {
	const most = 512 << 10 // bytes: the buffers of a connection and 64 KiB, four times over; not one of the answers is worth more
	questions := asks()
	worst, slowest := uint64(0), time.Duration(0)
	for _, h := range hostileAnswers() {
		for to, ask := range questions {
			if h.to != "" && h.to != to || to == "watch" && (h.to != "" || strings.Contains(h.answer[:min(len(h.answer), 12)], " 200")) {
				continue // whatever is said to a watch besides, it is said
			}
			e := newEvil(t, func(w io.Writer, _ *http.Request) { io.WriteString(w, h.answer) }) //nolint:errcheck // the client may hang up
			ctx, cancel := context.WithTimeout(t.Context(), calm.Most(5*time.Second))
			var err error
			began := time.Now()
			used := allocated(func() { _, err = ask(ctx, e.Client) })
			took := time.Since(began) / 3
			cancel()
			if !isClear(err) {
				t.Errorf("%s answered with %s: %v", to, h.name, err)
			}
			if used > most+4*uint64(len(h.answer)) || took > calm.Most(time.Second) {
				t.Errorf("%s answered with %s: %d bytes for %d, %v", to, h.name, used, len(h.answer), took)
			}
			worst, slowest = max(worst, used), max(slowest, took)
		}
	}
	t.Logf("at most %d KiB allocated, %v taken", worst>>10, slowest)
}

// TestEndlessAnswers: an answer that goes on for ever is given up at its limit.
func TestEndlessAnswers(t *testing.T) {
	for to, item := range map[string]any{
		"take": wire.LedgerEntry{Entry: []byte{1}}, "result": wire.MeetItem{Kind: wire.MeetBeat}, "confirm": wire.MeetItem{Kind: "of a later version"},
		"shares": wire.ShareItem{ID: make([]byte, 16), Kind: 1, Name: "s"}, "hints": wire.PeerHint{ID: make([]byte, 32)}, "list": entry("f", nil),
	} {
		m := message(item)
		block := bytes.Repeat(raw(uint64(len(m)), m...), 1000)
		e := newEvil(t, func(w io.Writer, _ *http.Request) {
			_, err := io.WriteString(w, ok(-1))
			for err == nil {
				_, err = w.Write(block)
			}
		})
		n, err := asks()[to](t.Context(), e.Client)
		if !errors.Is(err, transfer.ErrLimit) || n > wire.MaxListed {
			t.Errorf("%s: %d items, %v", to, n, err)
		}
	}
}

// TestSlowAnswers: a neighbour that says nothing, or a byte a second, is given up after 30 s, at whatever point it stops.
func TestSlowAnswers(t *testing.T) {
	one := raw(uint64(len(message(entry("f", nil)))), message(entry("f", nil))...)
	for name, begin := range map[string]string{
		"silence": "", "half a header": "HTTP/1.1 200 OK\r\nX: ", "no body": ok(100_000), "half an item": ok(100_000) + string(one[:10]), "a length": ok(100_000) + "\xff",
		"one item": ok(100_000) + string(one), "chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "an error": "HTTP/1.1 404 X\r\nContent-Length: 900\r\n\r\n",
		"1xx": "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 103 X\r\nY: ",
	} {
		for _, drip := range []bool{false, true} {
			for to, ask := range asks() {
				if to == "watch" && begin != "" && !strings.HasPrefix(name, "1xx") && name != "half a header" && name != "silence" {
					continue // its answer has no body
				}
				synctest.Test(t, func(t *testing.T) {
					gone := make(chan struct{})
					e := newEvil(t, func(w io.Writer, _ *http.Request) {
						io.WriteString(w, begin) //nolint:errcheck // likewise
						for drip {
							if _, err := io.WriteString(w, "1"); err != nil {
								return
							}
							time.Sleep(time.Second)
						}
						<-gone
					})
					began := time.Now()
					_, err := ask(t.Context(), e.Client)
					if took := time.Since(began); !isClear(err) && !errors.Is(err, transfer.ErrGone) || took > 61*time.Second {
						t.Errorf("%s to %s, drip %v: %v after %v", name, to, drip, err, took)
					}
					close(gone)
					time.Sleep(time.Minute)
				})
			}
		}
	}
}

// within fails for an entry that lies outside of the folder d, which was asked for.
func within(e share.Entry) error {
	if e.Kind != share.Other && !e.Path.Under("d") || strings.ContainsAny(string(e.Path), "\x00\n") {
		return fmt.Errorf("%q was let through", e.Path)
	}
	return nil
}

// isKind reports whether err is what a neighbour said in so many words.
func isKind(err error) bool {
	for _, e := range []error{transfer.ErrGone, transfer.ErrBusy, transfer.ErrFull, transfer.ErrUnsupported, workgroup.ErrSync, pairing.ErrProof,
		pairing.ErrOver, pairing.ErrOften, pairing.ErrBlocked, discovery.ErrDeclined, discovery.ErrDifferent} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
