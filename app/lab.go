package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"porchlight/app/cli"
	"porchlight/app/config"
	"porchlight/app/engine"
	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// lab is several computers on this machine that find only each other.
type lab struct {
	out   io.Writer
	words *assets.Words
	base  string
	nodes []*node
}

// node is one computer of the lab.
type node struct {
	*host
	name string
	dir  string // with home, Shared and Downloads in it
	id   discovery.DeviceID
}

// labNames are the names of the computers; after the last they are numbered.
func labName(i int) string {
	names := strings.Fields("Anna-PC Bert-Laptop Cleo-Mini Dana-Desktop Emil-Laptop Fay-PC Gus-Mini Hana-PC")
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("Computer-%d", i+1)
}

// labRoom makes the folder of a lab. On Windows temporary ones lie where programs keep private data, and nothing of that is ever shared.
func labRoom() (string, error) {
	in := ""
	if runtime.GOOS == "windows" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		in = home
	}
	return os.MkdirTemp(in, "porchlight-lab-")
}

// runLab makes o.N computers, each with its own folder and some files, and keeps them until ctx ends; with o.Demo one pulls
// from another first, and that is all.
func runLab(ctx context.Context, version string, o cli.LabOptions, out io.Writer) (err error) {
	base, err := labRoom()
	if err != nil {
		return fmt.Errorf("make room for the lab: %w", err)
	}
	l := &lab{out: out, words: o.Words, base: base}
	defer func() {
		err = errors.Join(err, os.RemoveAll(base))
	}()
	lctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i := range o.N {
		n, err := l.open(lctx, i, version)
		if err != nil {
			return err
		}
		l.nodes = append(l.nodes, n)
		wg.Go(func() {
			if err := n.run(lctx); err != nil && lctx.Err() == nil {
				l.say("lab.stopped", "Name", n.name, "Why", err)
			}
		})
	}
	if err := l.meet(lctx); err != nil {
		return err
	}
	if o.Demo {
		return l.demo(lctx)
	}
	l.explain()
	<-ctx.Done()
	return nil
}

// open makes one computer with something to share.
func (l *lab) open(ctx context.Context, i int, version string) (*node, error) {
	n := &node{name: labName(i)}
	n.dir = filepath.Join(l.base, n.name)
	shared, downloads := filepath.Join(n.dir, "Shared"), filepath.Join(n.dir, "Downloads")
	if err := makeFiles(shared, uint64(i)); err != nil {
		return nil, fmt.Errorf("make the files of %s: %w", n.name, err)
	}
	h, err := openHost(ctx, engine.Config{Home: filepath.Join(n.dir, "home"), Version: version, Loopback: true, Log: logger(), Change: func(s *config.Settings) error {
		s.Name, s.Network, s.Downloads, s.FirstRunDone = n.name, discovery.Home, downloads, true
		return s.Check()
	}})
	if err != nil {
		return nil, err
	}
	n.host = h
	self, err := h.engine.Self(ctx)
	if err != nil {
		return nil, err
	}
	n.id = self.ID
	_, err = h.engine.AddShare(ctx, shared, l.words.Text("lab.share", "Name", n.name))
	return n, err
}

// meet waits until each computer has found all others by their announcements. Where the system does not carry those on one
// machine, it tells them each other's address, and says so.
func (l *lab) meet(ctx context.Context) error {
	began := time.Now()
	for _, n := range l.nodes {
		self, err := n.ready(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(l.out, "%-14s %s\n", n.name, l.words.Text("lab.listens", "Port", self.Port, "Folder", filepath.Join(n.dir, "Shared")))
	}
	if l.complete(ctx, 4*time.Second) {
		l.say("lab.met", "N", len(l.nodes), "Milliseconds", time.Since(began).Milliseconds())
		l.line("")
		return nil
	}
	l.say("lab.told")
	for _, n := range l.nodes {
		for _, m := range l.nodes {
			if self, err := m.engine.Self(ctx); err == nil && m != n {
				if err := n.engine.AddPeer(ctx, fmt.Sprintf("127.0.0.1:%d", self.Port)); err != nil {
					return fmt.Errorf("%s: %w", l.words.Text("lab.not-reached", "Name", n.name, "Other", m.name), err)
				}
			}
		}
	}
	if !l.complete(ctx, 10*time.Second) {
		return errors.New(l.words.Text("lab.not-met"))
	}
	return nil
}

// complete waits until everybody sees everybody.
func (l *lab) complete(ctx context.Context, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for _, n := range l.nodes {
		for since := uint64(0); ; {
			online := 0
			peers, err := n.engine.Peers(ctx)
			for _, p := range peers {
				if p.State == discovery.Online {
					online++
				}
			}
			if err == nil && online >= len(l.nodes)-1 {
				break
			}
			if since, err = n.engine.Wait(ctx, since); err != nil {
				return false
			}
		}
	}
	return true
}

// demo lets the second computer pull all that the first offers, and compares what arrived.
func (l *lab) demo(ctx context.Context) error {
	if len(l.nodes) < 2 {
		return errors.New(l.words.Text("lab.two"))
	}
	from, to := l.nodes[0], l.nodes[1]
	offers, err := to.engine.Offers(ctx, from.id)
	if err != nil || len(offers) == 0 {
		return errors.Join(errors.New(l.words.Text("lab.nothing", "Name", from.name, "Other", to.name)), err)
	}
	offer := offers[0]
	l.say("lab.sees", "Name", to.name, "Other", from.name)
	if err := l.show(ctx, to, from, offer); err != nil {
		return err
	}
	l.line("")
	l.say("lab.takes", "Name", to.name, "Folder", offer.Name)
	began := time.Now()
	job, err := l.pull(ctx, to, transfer.Request{Source: from.id, Share: offer.ID, ShareName: offer.Name, Paths: []share.Path{""}})
	if err != nil {
		return err
	}
	took := time.Since(began)
	files, err := sameTree(filepath.Join(from.dir, "Shared"), job.Result)
	if err != nil {
		return fmt.Errorf("%s: %w", l.words.Text("lab.differs"), err)
	}
	l.line("")
	l.say("lab.arrived", "Where", job.Result, "Count", files, "N", files, "Size", l.megabytes(job.Bytes), "Seconds", l.decimal(took.Seconds()))
	return l.next()
}

// next says how to go on with real computers.
func (l *lab) next() error {
	l.line("")
	l.say("lab.next")
	l.line("")
	t := tabwriter.NewWriter(l.out, 0, 8, 2, ' ', 0)
	program := os.Args[0] // as it was called, so that the lines can be copied
	for _, row := range [][]string{
		{l.words.Text("lab.next.each"), program + " serve &"},
		{l.words.Text("lab.next.one"), program + " share add ~/Pictures"},
		{l.words.Text("lab.next.other"), program + " peers"},
		{"", program + " ls"},
		{"", program + " get NAME:Pictures -o ~/Downloads"},
		nil,
		{l.words.Text("lab.next.window"), "make run", l.words.Text("lab.next.window.text")},
		{l.words.Text("lab.next.more"), program + " lab 3", l.words.Text("lab.next.more.text")},
		{l.words.Text("lab.next.else"), program + " help"},
	} {
		fmt.Fprintln(t, strings.TrimRight("  "+strings.Join(row, "\t"), " "))
	}
	return t.Flush()
}

// show lists the top of an offer.
func (l *lab) show(ctx context.Context, to, from *node, offer share.Offer) error {
	return to.engine.List(ctx, from.id, offer.ID, "", share.ByName, func(entries []share.Entry) error {
		for _, e := range entries {
			size := l.megabytes(e.Size)
			if e.Kind == share.Dir {
				size = l.words.Text("cli.kind.folder")
			}
			fmt.Fprintf(l.out, "  %-24s %10s\n", e.Name(), size)
		}
		return nil
	})
}

// pull waits for a pull to end and shows how it goes.
func (l *lab) pull(ctx context.Context, to *node, r transfer.Request) (transfer.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	id, err := to.engine.Pull(ctx, r)
	if err != nil {
		return transfer.Job{}, err
	}
	shown := time.Time{}
	for since := uint64(0); ; {
		jobs, err := to.engine.Jobs(ctx)
		if err != nil {
			return transfer.Job{}, err
		}
		for _, j := range jobs {
			if j.ID != id {
				continue
			}
			if j.State.Ended() || time.Since(shown) > 200*time.Millisecond {
				shown = time.Now()
				l.line(fmt.Sprintf("  %-10s ", l.words.Text("cli.job."+string(j.State))) + l.words.Text("lab.goes", "Done", fmt.Sprintf("%4d", j.Done),
					"Count", j.Files, "N", j.Files, "Bytes", l.megabytes(j.Bytes), "Total", l.megabytes(j.Total)))
			}
			if j.State == transfer.Done && j.Failed == 0 {
				return j, nil
			}
			if j.State.Ended() {
				return j, errors.New(l.words.Text("lab.ended", "State", l.words.Text("cli.job."+string(j.State)), "Why", j.Trouble))
			}
		}
		if since, err = to.engine.Wait(ctx, since); err != nil {
			return transfer.Job{}, err
		}
	}
}

// explain says how to play with computers that stay.
func (l *lab) explain() {
	program, a := os.Args[0], l.nodes[0]
	l.say("lab.stay")
	for _, n := range l.nodes {
		fmt.Fprintf(l.out, "  %s --home %s peers\n", program, filepath.Join(n.dir, "home"))
	}
	if len(l.nodes) > 1 {
		b := l.nodes[1]
		home := filepath.Join(b.dir, "home")
		fmt.Fprintf(l.out, "  %s --home %s ls\n", program, home)
		fmt.Fprintf(l.out, "  %s --home %s get %q -o %s\n", program, home, a.name+":"+l.words.Text("lab.share", "Name", a.name), filepath.Join(b.dir, "Downloads"))
		fmt.Fprintf(l.out, "  %s --home %s  %s\n", program, home, l.words.Text("lab.stay.window"))
	}
}

// makeFiles fills a folder with what people have: some texts, many pictures, one film. The bytes are random, the same for
// each seed.
func makeFiles(dir string, seed uint64) error {
	var key [32]byte
	key[0] = byte(seed)
	random := rand.NewChaCha8(key)
	put := func(name string, size int64) error {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		_, err = io.CopyN(f, random, size)
		return errors.Join(err, f.Close())
	}
	errs := []error{put("Film.mp4", 48<<20), put("Empty note.txt", 0)}
	for i := range 60 {
		errs = append(errs, put(fmt.Sprintf("Pictures/Summer/IMG_%04d.jpg", i+1), int64(40_000+i*1_000)))
	}
	for i := range 200 {
		errs = append(errs, put(fmt.Sprintf("Letters/%d/Letter %d.txt", 2020+i%6, i+1), int64(i*17)))
	}
	return errors.Join(errs...)
}

// sameTree compares two folders byte by byte and returns how many files they have.
func sameTree(want, got string) (files int, err error) {
	sums := func(root string) (map[string][]byte, error) {
		m := map[string][]byte{}
		return m, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			rel, err := filepath.Rel(root, p)
			m[rel] = h.Sum(nil)
			return err
		})
	}
	a, err := sums(want)
	if err != nil {
		return 0, err
	}
	b, err := sums(got)
	if err != nil {
		return 0, err
	}
	for name, sum := range a {
		if !bytes.Equal(sum, b[name]) {
			return 0, fmt.Errorf("%s differs", name)
		}
	}
	if len(a) != len(b) {
		return 0, fmt.Errorf("%d files instead of %d", len(b), len(a))
	}
	return len(a), nil
}

func (l *lab) say(key string, params ...any) { l.line(l.words.Text(key, params...)) }

func (l *lab) line(text string) { fmt.Fprintln(l.out, text) }

func (l *lab) megabytes(n int64) string { return l.decimal(float64(n)/1e6) + " MB" }

// decimal writes a number with one digit behind the point of the language.
func (l *lab) decimal(x float64) string {
	return strings.Replace(strconv.FormatFloat(x, 'f', 1, 64), ".", l.words.Text("format.decimal"), 1)
}
