//go:build linux && lab

package labtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"porchlight/app/control"
	"porchlight/share"
	"porchlight/transfer"
)

// pull asks one node for what another has, again and again, and takes each pull away when it has ended and is judged.
func (s *storm) pull(ctx context.Context, dice *rand.Rand, to, from *node) {
	for ctx.Err() == nil {
		i, path, file := choose(dice, from)
		into := to.Path("in", fmt.Sprintf("%s-%d", from.Name, dice.Uint32()))
		id, err := s.ask(to, from, i, path, file, into)
		if err == nil {
			s.follow(ctx, dice, to, id)
		}
		pass(ctx, s.lull+between(dice, 200*time.Millisecond, 3*time.Second))
	}
}

// choose picks something that a node has: mostly single files, sometimes a folder, a whole share, something large if there is any.
func choose(dice *rand.Rand, from *node) (i int, path share.Path, file string) {
	kind := dice.IntN(20)
	name := "small"
	switch {
	case kind < 2:
		name = "large"
	case kind < 8:
		name = "mid"
	}
	i = max(0, slices.IndexFunc(from.stocks, func(st *stock) bool { return filepath.Base(st.dir) == name }))
	st := from.stocks[i]
	switch names := st.names(); {
	case kind < 2 || kind%3 != 0:
		file = names[dice.IntN(len(names))]
		return i, share.Path(file), file
	case kind == 3 || kind == 12:
		return i, "", ""
	default:
		return i, share.Path(filepath.Dir(names[dice.IntN(len(names))])), ""
	}
}

// ask asks for a pull. What was accepted is remembered, and must come to its end.
func (s *storm) ask(to, from *node, i int, path share.Path, file, into string) (id transfer.JobID, err error) {
	err = to.call(func(ctx context.Context, c *control.Client) error {
		sh := from.shares[i]
		id, err = c.Pull(ctx, transfer.Request{Source: from.self.ID, Share: sh.ID, ShareName: sh.Name, Paths: []share.Path{path}, Into: into})
		return err
	})
	if err != nil {
		return 0, err
	}
	s.count("pulls asked for")
	to.mu.Lock()
	defer to.mu.Unlock()
	to.pulls[id] = request{from: from, stock: from.stocks[i], into: into, file: file}
	return id, nil
}

// follow looks at a pull until it has ended or ctx has. Some are canceled on the way, some paused for a while.
func (s *storm) follow(ctx context.Context, dice *rand.Rand, to *node, id transfer.JobID) {
	fate, when := dice.IntN(10), time.Now().Add(between(dice, 0, 3*time.Second))
	for ctx.Err() == nil {
		pass(ctx, 400*time.Millisecond)
		all, err := to.jobs()
		if err != nil {
			continue
		}
		i := slices.IndexFunc(all, func(j transfer.Job) bool { return j.ID == id })
		if i < 0 {
			s.t.Errorf("%s has lost its pull %d", to.Name, id)
			return
		}
		if all[i].State.Ended() {
			s.take(to, all[i])
			return
		}
		if fate > 1 || time.Now().Before(when) {
			continue
		}
		if fate == 0 {
			to.mu.Lock()
			r := to.pulls[id]
			r.canceled = true
			to.pulls[id] = r
			to.mu.Unlock()
			s.count("canceled")
		}
		_ = to.call(func(ctx context.Context, c *control.Client) error { // it may have ended, or the process
			switch {
			case fate == 0:
				return c.CancelJob(ctx, id)
			case all[i].State == transfer.Paused:
				return c.ResumeJob(ctx, id)
			}
			s.count("paused")
			return c.PauseJob(ctx, id)
		})
		when = time.Now().Add(between(dice, time.Second, 5*time.Second))
	}
}

// take judges a pull that has ended, deletes what it brought, and has it forgotten.
func (s *storm) take(n *node, j transfer.Job) {
	n.mu.Lock()
	r, mine := n.pulls[j.ID]
	delete(n.pulls, j.ID)
	n.mu.Unlock()
	if mine { // otherwise the process died before it said that it had accepted the pull
		if err := r.ended(j); err != nil {
			s.t.Errorf("pull %d of %s, %q of %s from %s: %v", j.ID, n.Name, j.Request.Paths[0], j.Request.ShareName, r.from.Name, err)
		}
		s.count("pulls " + string(j.State))
	}
	s.judgeBelow(n, j.Request.Into)
	if err := os.RemoveAll(j.Request.Into); err != nil {
		s.t.Error(err)
	}
	// If the process dies just now the list keeps it, and it is taken once more.
	_ = n.call(func(ctx context.Context, c *control.Client) error { return c.ForgetJob(ctx, j.ID) })
}

// ended says what is wrong with the end of a pull: the source may have changed or deleted its files, and nothing else is a reason.
func (r request) ended(j transfer.Job) error {
	excused := func(path string, why transfer.Trouble) bool {
		return why == transfer.SourceChanged || why == transfer.SourceGone && r.stock.gone(path)
	}
	switch j.State {
	case transfer.Canceled:
		if !r.canceled {
			return fmt.Errorf("was canceled by nobody")
		}
	case transfer.Failed:
		if r.file == "" || !excused(r.file, j.Trouble) {
			return fmt.Errorf("failed: %s %s", j.Trouble, j.Detail)
		}
	}
	for _, p := range j.Problems {
		if p.As == "" && !excused(string(p.Path), p.Trouble) {
			return fmt.Errorf("did not bring %s: %s", p.Path, p.Trouble)
		}
	}
	return nil
}

// judgeAll judges whatever has a name in any target.
func (s *storm) judgeAll() {
	for _, n := range s.nodes {
		targets, _ := os.ReadDir(n.Path("in")) // there is none at first
		for _, e := range targets {
			s.judgeBelow(n, n.Path("in", e.Name()))
		}
	}
}

// judgeBelow judges whatever has a name in one target, which is named after the source.
func (s *storm) judgeBelow(n *node, into string) {
	source, _, _ := strings.Cut(filepath.Base(into), "-")
	from := s.nodes[slices.IndexFunc(s.nodes, func(n *node) bool { return n.Name == source })]
	err := filepath.WalkDir(into, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // it was taken away meanwhile
		case d.IsDir() && d.Name() == ".porchlight-part":
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		key := sight{path, info.Sys().(*syscall.Stat_t).Ino, info.Size(), info.ModTime().UnixNano()}
		s.mu.Lock()
		known := s.seen[key]
		s.seen[key] = true
		s.mu.Unlock()
		if known {
			return nil
		}
		rel, err := filepath.Rel(into, path)
		if err != nil {
			return err
		}
		err = from.judge(rel, path)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.judged++
		if err != nil { // the first one need not be the only one
			s.wrong++
			s.t.Errorf("%s of %s on %s is wrong: %v", rel, source, n.Name, err)
		}
		return nil
	})
	if err != nil {
		s.t.Errorf("look at %s: %v", into, err)
	}
}

// judge finds whose copy a file is. A pull of a share makes a folder of that name, one of a folder or file does not.
func (n *node) judge(rel, path string) error {
	var errs []error
	for _, st := range n.stocks {
		for _, name := range st.couldBe(rel) {
			err := st.judge(name, path)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, errors.New("no state of any file of this name"))...)
}

// couldBe lists the names in a stock that a copy may have come from.
func (s *stock) couldBe(rel string) []string {
	if below, ok := strings.CutPrefix(rel, filepath.Base(s.dir)+"/"); ok {
		return []string{below}
	}
	plain := numbered.ReplaceAllString(rel, "$1")
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name := range s.files {
		if name == plain || filepath.Base(name) == plain {
			out = append(out, name)
		}
	}
	return out
}

// settle waits, after a spell, until every node sees all others and every pull has ended, and takes the pulls away.
func (s *storm) settle() {
	const seen, done = time.Minute, 5 * time.Minute
	took := eventually(s.t, seen, "all see each other", func() bool {
		return !slices.ContainsFunc(s.nodes, func(n *node) bool { return !n.sees(s.nodes) })
	})
	start := time.Now()
	for _, n := range s.nodes {
		eventually(s.t, done, "the pulls of "+n.Name+" end", func() bool { return s.allEnded(n) })
		all, err := n.jobs()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, j := range all {
			s.take(n, j)
		}
		n.mu.Lock()
		for id := range n.pulls {
			s.t.Errorf("%s has lost its pull %d", n.Name, id)
		}
		clear(n.pulls)
		n.mu.Unlock()
		if left, err := os.ReadDir(n.Path("in")); err == nil && len(left) > 0 {
			s.t.Errorf("%s has %d targets of no pull, as %s", n.Name, len(left), left[0].Name())
		}
	}
	figure(s.t, "all see each other %v after it ended, all pulls are done %v later", ms(took), ms(time.Since(start)))
}

// allEnded reports whether no pull of a node goes on; what was left paused goes on now.
func (s *storm) allEnded(n *node) bool {
	all, err := n.jobs()
	if err != nil {
		return false
	}
	for _, j := range all {
		if j.State == transfer.Paused {
			_ = n.call(func(ctx context.Context, c *control.Client) error { return c.ResumeJob(ctx, j.ID) })
		}
		if !j.State.Ended() {
			pass(context.Background(), 200*time.Millisecond) // asked at a pace that costs nothing
			return false
		}
	}
	return true
}

// last pulls every share of every node once more, and compares.
func (s *storm) last() {
	start, n := time.Now(), 0
	for _, to := range s.nodes {
		for _, from := range s.nodes {
			if from == to {
				continue
			}
			for i, st := range from.stocks {
				into := to.Path("in", from.Name+"-last")
				if _, err := s.ask(to, from, i, "", "", into); err != nil {
					s.t.Fatal(err)
				}
				eventually(s.t, 5*time.Minute, "a last pull ends", func() bool { return s.allEnded(to) })
				mustEqual(s.t, st.dir, filepath.Join(into, filepath.Base(st.dir)))
				n++
				all, err := to.jobs()
				if err != nil {
					s.t.Fatal(err)
				}
				for _, j := range all {
					if j.State != transfer.Done || j.Failed > 0 {
						s.t.Errorf("the last pull of %s from %s by %s: %s %s", j.Title, from.Name, to.Name, j.State, j.Trouble)
					}
					s.take(to, j)
				}
			}
		}
	}
	figure(s.t, "%d last pulls of whole shares, all equal, in %v", n, ms(time.Since(start)))
}
