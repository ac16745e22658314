package download

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/canon"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/client"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// evil is a device that is asked by a real client, and answers with whatever bytes it likes; TLS and the hello are behind it.
type evil struct {
	files map[string][]byte // what it claims to have below the folder a
	// lie answers a question, list, file, pack, layer or shares, itself, and reports whether it did.
	lie func(what string, w io.Writer, r *http.Request) bool
}

func (e *evil) Source(discovery.DeviceID) (Source, error) {
	p := link.NewPeer(discovery.DeviceID{1}, &link.Dialer{}, func() []netip.AddrPort { return nil }, nil)
	for class := link.Quick; class <= link.Stream; class++ {
		transport := p.Client(class).Transport.(*http.Transport)
		transport.DisableKeepAlives = true // one that was made for nothing would wait for its question longer than the test
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go e.serve(theirs)
			return ours, nil
		}
	}
	return client.New(p), nil
}

func (e *evil) Up(discovery.DeviceID) <-chan struct{} {
	up := make(chan struct{})
	close(up)
	return up
}

// serve answers one request.
func (e *evil) serve(c net.Conn) {
	defer c.Close()
	br := bufio.NewReader(c)
	r, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	go io.Copy(io.Discard, br) //nolint:errcheck // nothing more is expected
	what := path.Base(r.URL.Path)
	if e.lie(what, c, r) {
		return
	}
	var out bytes.Buffer
	seq, status := canon.NewWriter(&out), "200 OK"
	name := strings.TrimPrefix(r.URL.Query().Get("path"), "a/")
	switch what {
	case "shares":
		err = seq.Write(wire.ShareItem{ID: make([]byte, 16), Kind: 1, Name: "Photos"})
	case "list":
		err = seq.Write(wire.EntryItem{P: "", K: uint8(share.Dir)})
		for name, data := range e.files {
			if err == nil {
				err = seq.Write(fileItem(name, len(data)))
			}
		}
	case "file":
		status = "206 OK"
		var first, last int
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last) //nolint:errcheck // of our own client
		out.Write(e.files[name][first : last+1])
	case "pack":
		err = e.pack(seq, &out, body)
	case "layer":
		err = e.layer(&out, name)
	}
	if err == nil && what != "file" && what != "layer" {
		err = seq.Close()
	}
	if err == nil {
		fmt.Fprintf(c, "HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", status, out.Len())
		c.Write(out.Bytes()) //nolint:errcheck // the client may hang up
	}
}

func (e *evil) pack(seq *canon.Writer, out *bytes.Buffer, body []byte) error {
	asked := canon.NewReader(bytes.NewReader(body))
	for i := 0; ; i++ {
		var it wire.PackItem
		if err := asked.Read(&it); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		data := e.files[strings.TrimPrefix(it.Path, "a/")]
		root := content.Sum(data)
		if err := seq.Write(wire.PackHead{I: i, Size: int64(len(data)), Root: root[:]}); err != nil {
			return err
		}
		out.Write(data)
	}
}

func (e *evil) layer(out *bytes.Buffer, name string) error {
	data := e.files[name]
	l, err := content.Build(context.Background(), bytes.NewReader(data), int64(len(data)), 1)
	if err != nil {
		return err
	}
	a := wire.LayerAnswer{Version: versionOf(name), Size: l.Size, Root: l.Root[:]}
	for _, p := range l.Pieces {
		a.Layer = append(a.Layer, p[:]...)
	}
	b, err := canon.Marshal(a)
	out.Write(b)
	return err
}

func versionOf(name string) []byte { h := content.Sum([]byte(name)); return h[:16] }

func fileItem(name string, size int) wire.EntryItem {
	return wire.EntryItem{P: name, K: uint8(share.File), S: int64(size), V: versionOf(name)}
}

// listing answers with a manifest of the folder a and these items in it.
func listing(w io.Writer, items ...wire.EntryItem) bool {
	var out bytes.Buffer
	seq := canon.NewWriter(&out)
	for _, i := range append([]wire.EntryItem{{P: "", K: uint8(share.Dir)}}, items...) {
		if seq.Write(i) != nil {
			return false
		}
	}
	if seq.Close() != nil {
		return false
	}
	fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", out.Len())
	w.Write(out.Bytes()) //nolint:errcheck // the client may hang up
	return true
}

// lie is an answer instead of the right one, and the files that cannot come for it; nil: none comes.
type lie struct {
	tell    func(what string, w io.Writer, r *http.Request) bool
	missing []string
}

func lies() map[string]lie {
	say := func(what, answer string) func(string, io.Writer, *http.Request) bool {
		return func(asked string, w io.Writer, _ *http.Request) bool {
			if asked != what {
				return false
			}
			io.WriteString(w, answer) //nolint:errcheck // the client may hang up
			return true
		}
	}
	list := func(items ...wire.EntryItem) func(string, io.Writer, *http.Request) bool {
		return func(asked string, w io.Writer, _ *http.Request) bool { return asked == "list" && listing(w, items...) }
	}
	long := strings.Repeat("x", 300)
	file, pack, layer := []string{"big"}, []string{"small"}, []string{"big"} // what cannot come
	return map[string]lie{
		"up":                       {list(fileItem("../x", 6)), nil},
		"far up":                   {list(fileItem("../../../../x", 6)), nil},
		"absolute":                 {list(fileItem("/etc/x", 6)), nil},
		"NUL":                      {list(fileItem("x\x00y", 6)), nil},
		"private":                  {list(fileItem(".porchlight-part/x", 6)), nil},
		"300 bytes":                {list(fileItem(long, 6)), nil},
		"65 levels":                {list(fileItem(strings.Repeat("d/", 64)+"x", 6)), nil},
		"no folder before it":      {list(fileItem("d/x", 6)), nil},
		"the folder again":         {list(wire.EntryItem{P: "", K: uint8(share.Dir)}), nil},
		"negative size":            {list(fileItem("x", -6)), nil},
		"listing cut":              {say("list", "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n\x01\xa0"), nil},
		"listing of garbage":       {say("list", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xff\xff"), nil},
		"redirected listing":       {say("list", "HTTP/1.1 302 X\r\nLocation: /v1/shares\r\nContent-Length: 0\r\n\r\n"), nil},
		"other bytes":              {say("file", "HTTP/1.1 206 OK\r\nContent-Length: 3145728\r\n\r\n"+strings.Repeat("evil", 3<<18)), file},
		"a longer range":           {say("file", "HTTP/1.1 206 OK\r\nContent-Length: 3145729\r\n\r\n"+strings.Repeat("evil", 3<<18)+"x"), file},
		"not the range":            {say("file", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), file},
		"compressed":               {say("file", "HTTP/1.1 206 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"), file},
		"pack of garbage":          {say("pack", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), pack},
		"pack in order of its own": {say("pack", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n\x0b\xa2\x61i\x01\x64size\x20\x00"), pack},
		"layer of garbage":         {say("layer", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), layer},
		"layer of nothing":         {say("layer", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xa0"), layer},
	}
}

// TestPullFromEvil: whatever a device answers to a real client, nothing but what it has proved stands under a final name,
// nothing outside of the folder, and the job says that something is wrong.
func TestPullFromEvil(t *testing.T) {
	for name, tt := range lies() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &evil{files: map[string][]byte{"big": random("big", 3<<20), "small": []byte("little")}, lie: tt.tell}
			w := newWorld(t, newFake(), func(c *Config) { c.Sources = e })
			j := w.until(w.pull("a"), "given up", func(j transfer.Job) bool {
				return j.State == transfer.Failed || j.State == transfer.Away || j.State == transfer.Done && j.Failed > 0
			})
			w.stop()
			want := map[string]string{}
			if tt.missing != nil && j.State == transfer.Done {
				want["a/"] = ""
				for name, data := range e.files {
					if name != tt.missing[0] {
						want["a/"+name] = string(data)
					}
				}
			}
			for name, data := range tree(t, w.into) {
				if !strings.HasSuffix(name, "/") && data != string(e.files[path.Base(name)]) {
					t.Errorf("%s stands there with %d bytes", name, len(data))
				}
				delete(want, name)
			}
			if len(want) > 0 {
				t.Errorf("what was good did not come: %d", len(want))
			}
			for _, bad := range append(tt.missing, "x") {
				if _, err := os.Lstat(filepath.Join(w.into, "a", bad)); !os.IsNotExist(err) {
					t.Errorf("%s stands there: %v", bad, err)
				}
			}
			if around, err := os.ReadDir(filepath.Dir(w.into)); err != nil || len(around) > 1 {
				t.Errorf("beside the folder there is %v, %v", around, err)
			}
		})
	}
}

// TestPullFromEvilThatIsGood: without a lie everything comes; else the test above would say nothing.
func TestPullFromEvilThatIsGood(t *testing.T) {
	e := &evil{files: map[string][]byte{"big": random("big", 3<<20), "small": []byte("little")}, lie: func(string, io.Writer, *http.Request) bool { return false }}
	w := newWorld(t, newFake(), func(c *Config) { c.Sources = e })
	if j := w.state(w.pull("a"), transfer.Done); j.Failed > 0 {
		t.Errorf("%+v", j)
	}
	for name, data := range e.files {
		if tree(t, w.into)["a/"+name] != string(data) {
			t.Errorf("%s did not come", name)
		}
	}
}

// TestPullEndlessListing: a listing that never ends is given up at its limit, in bounded memory.
func TestPullEndlessListing(t *testing.T) {
	if os.Getenv("PORCHLIGHT_KILLS") == "" {
		t.Skip("a million entries take most of a minute: make release-check tries them")
	}
	e := &evil{lie: func(what string, w io.Writer, _ *http.Request) bool {
		if what != "list" {
			return false
		}
		io.WriteString(w, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") //nolint:errcheck // the next write tells
		buf := bufio.NewWriterSize(w, 64<<10)
		seq := canon.NewWriter(buf)
		if seq.Write(wire.EntryItem{P: "", K: uint8(share.Dir)}) != nil {
			return true
		}
		item := fileItem("f", 1)
		for i := 0; ; i++ {
			item.P = fmt.Sprintf("f%d", i)
			if seq.Write(item) != nil {
				return true
			}
		}
	}}
	w := newWorld(t, newFake(), func(c *Config) { c.Sources = e })
	id := w.pull("a")
	for end := time.Now().Add(calm.Most(2 * time.Minute)); !w.job(id).State.Ended(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it goes on: %+v", w.job(id))
		}
	}
	if j := w.job(id); j.State != transfer.Failed || j.Done > 0 {
		t.Errorf("%+v", j)
	}
}
