package server

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/share/safefs"
	"porchlight/transfer"
	"porchlight/transfer/link"
	"porchlight/transfer/wire"
)

// surveys are what is known of the large files of each share: made when somebody first asks for files by size, beside the
// request, and made anew when they have grown old. They are hints: whoever acts on one looks at the file again.
type surveys struct {
	mu     sync.Mutex // guards the field below
	shares map[share.ID]*survey
}

// survey is one share's. It holds the tree it was made of, so that another folder under the same ID is not taken for it.
type survey struct {
	tree *safefs.Tree
	made time.Time
	done chan struct{} // closed when the field below is set
	size map[int64][]share.Path
}

const (
	surveyAge  = 10 * time.Minute // new files are found so late at worst
	surveyTime = time.Minute      // for walking a share: of a larger one less is known
	surveyMost = 1 << 16          // large files of one share
)

// of returns the survey of a share, made anew if there is none or it is old.
func (v *surveys) of(s *Server, id share.ID, tree *safefs.Tree) *survey {
	v.mu.Lock()
	defer v.mu.Unlock()
	old := v.shares[id]
	if old != nil && old.tree == tree && time.Since(old.made) < surveyAge {
		return old
	}
	n := &survey{tree: tree, made: time.Now(), done: make(chan struct{}), size: map[int64][]share.Path{}}
	if s.life == nil || s.life.Err() != nil {
		close(n.done)
		return n
	}
	if len(v.shares) > share.MaxShares { // of shares that are gone
		clear(v.shares)
	}
	v.shares[id] = n
	s.running.Go(func() {
		defer close(n.done)
		ctx, cancel := context.WithTimeout(s.life, surveyTime)
		defer cancel()
		n.fill(ctx)
	})
	return n
}

// fill notes the large files; what a walk that broke off has not seen is not known.
func (n *survey) fill(ctx context.Context) {
	seen := 0
	n.tree.Walk(ctx, "", func(e share.Entry) error { //nolint:errcheck // see above
		if e.Kind != share.File || e.Size < wire.SwarmSize || e.Cloud {
			return nil
		}
		if seen++; seen > surveyMost {
			return transfer.ErrLimit
		}
		n.size[e.Size] = append(n.size[e.Size], e.Path)
		return nil
	})
}

// find names files of given sizes that the asker may see, as other sources of what it pulls: only their content says whether they are.
func (s *Server) find(w http.ResponseWriter, r *http.Request) {
	var ask wire.FindAsk
	if !s.message(w, r, wire.MaxFindAsk, &ask) {
		return
	}
	if len(ask.Sizes) > wire.MaxFind {
		s.refuse(w, r, transfer.ErrLimit)
		return
	}
	dev := link.SessionOf(r.Context()).ID
	done, ok := s.beginList(dev)
	if !ok {
		s.refuse(w, r, transfer.ErrBusy)
		return
	}
	defer done()
	ctx, cancel := context.WithTimeout(r.Context(), wire.FindTime)
	defer cancel()
	seq := s.sequence(w, 4<<10)
	told := map[int64]int{}
	for _, o := range s.cfg.Shares.Offers(dev) {
		for _, it := range s.findIn(ctx, dev, o, ask.Sizes) {
			if told[it.Size]++; told[it.Size] > wire.MaxFound {
				continue
			}
			if err := seq.Write(it); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	}
	seq.end()
}

// findIn looks in one share, and at the files themselves.
func (s *Server) findIn(ctx context.Context, dev discovery.DeviceID, o share.Offer, sizes []int64) (out []wire.FindItem) {
	if o.Away || o.Kind != share.Folder && o.Kind != share.Drive {
		return nil
	}
	tree, err := s.cfg.Shares.Tree(dev, o.ID)
	if err != nil {
		return nil
	}
	v := s.surveys.of(s, o.ID, tree)
	select {
	case <-v.done:
	case <-ctx.Done():
		return nil
	}
	slices.Sort(sizes)
	for _, size := range slices.Compact(sizes) {
		paths := v.size[size]
		for _, p := range paths[:min(len(paths), wire.MaxFound)] {
			e, err := tree.Stat(p)
			if err != nil || e.Kind != share.File || e.Size != size {
				continue
			}
			it := wire.FindItem{Share: bytes.Clone(o.ID[:]), Path: string(p), Size: size, Version: bytes.Clone(e.Version[:])}
			if l, ok, err := s.cfg.Layers.Layer(e.Version); ok && err == nil {
				it.Root = bytes.Clone(l.Root[:])
			}
			out = append(out, it)
		}
	}
	return out
}
