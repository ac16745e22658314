package whereabouts

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"porchlight/app/config"
	"porchlight/discovery"
	"porchlight/discovery/mdns"
)

// known says what the owner decided about a network, or what was assumed for want of somebody to ask. The caller holds mu.
func (w *Whereabouts) known(name string) (discovery.Network, bool) {
	if k, ok := w.cfg.Owner.Settings().Networks[name]; ok {
		return k.Network, true
	}
	kind, ok := w.assumed[name]
	return kind, ok
}

// settle decides what the networks count as, and has everything follow.
func (w *Whereabouts) settle(ctx context.Context, spots []spot, seen map[string]time.Time) error {
	err := w.answer(ctx, placesOf(spots, nil))
	ask := w.cfg.AskFirst || w.cfg.Owner.Attends()
	w.mu.Lock()
	for i, s := range spots {
		if s.place == "" {
			continue
		}
		kind, ok := w.known(s.place)
		if !ok && !ask {
			kind = w.cfg.Owner.Settings().Network
			w.assumed[s.place] = kind
			w.cfg.Log.Info("a new network", "interface", s.Name, "counts as", kind)
		}
		spots[i].kind = kind
	}
	same := w.looked && slices.EqualFunc(w.spots, spots, sameSpot)
	w.spots, w.since, w.looked = spots, seen, true
	w.mu.Unlock()
	if !same {
		w.cfg.OnChange()
	}
	return err
}

// answer keeps what was said of the networks before this computer was on them, if anything was.
func (w *Whereabouts) answer(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	kind, s := discovery.Unsaid, w.cfg.Owner.Settings()
	if s.FirstRunDone && s.Networks == nil {
		kind = s.Network // of a home that is older than the memory for networks, or met none in its first run
	}
	w.mu.Lock()
	if w.cfg.First != "" && !w.fixed {
		kind, w.fixed = w.cfg.First, true
	}
	w.mu.Unlock()
	if kind == discovery.Unsaid {
		return nil
	}
	return w.know(ctx, names, kind)
}

func sameSpot(a, b spot) bool {
	return a.place == b.place && a.kind == b.kind && a.Name == b.Name && a.Used == b.Used && a.Rule == b.Rule && a.Running == b.Running &&
		slices.Equal(a.Prefixes, b.Prefixes)
}

// placesOf lists the networks of the spots that match; all if match is nil.
func placesOf(spots []spot, match func(spot) bool) (out []string) {
	for _, s := range spots {
		if s.place != "" && (match == nil || match(s)) && !slices.Contains(out, s.place) {
			out = append(out, s.place)
		}
	}
	return out
}

// know keeps what was decided about networks.
func (w *Whereabouts) know(ctx context.Context, names []string, kind discovery.Network) error {
	return w.cfg.Owner.Change(ctx, func(s *config.Settings) {
		if len(names) == 0 { // on no network: what the next one counts as
			s.Network = kind
		}
		for _, name := range names {
			s.Know(name, kind, time.Now().UTC().Truncate(time.Second))
		}
	})
}

// SetNetwork says whom the network belongs to: the new ones if there are any; otherwise the one this computer is seen on, and
// for Public all it is on. On a public one this device neither announces itself nor answers.
func (w *Whereabouts) SetNetwork(ctx context.Context, kind discovery.Network) error {
	if !kind.Valid() {
		return fmt.Errorf("network %q is none of home, office and public", kind)
	}
	w.mu.Lock()
	names := placesOf(w.spots, func(s spot) bool { return s.kind == discovery.Unsaid })
	if len(names) == 0 {
		names = placesOf(w.spots, nil)
	}
	if main, ok := w.main(); ok && kind != discovery.Public && main.kind != discovery.Unsaid {
		names = []string{main.place}
	}
	w.mu.Unlock()
	if err := w.know(ctx, names, kind); err != nil {
		return err
	}
	w.recount()
	return nil
}

// FinishFirstRun notes that somebody has gone through the first steps: what they showed of the networks is the answer.
func (w *Whereabouts) FinishFirstRun(ctx context.Context) error {
	w.mu.Lock()
	names := placesOf(w.spots, nil)
	w.mu.Unlock()
	if err := w.cfg.Owner.Change(ctx, func(s *config.Settings) {
		s.FirstRunDone = true
		if s.Networks == nil {
			for _, name := range names {
				s.Know(name, s.Network, time.Now().UTC().Truncate(time.Second))
			}
		}
	}); err != nil {
		return err
	}
	w.recount()
	return nil
}

// recount has everything follow what was decided about networks.
func (w *Whereabouts) recount() {
	w.mu.Lock()
	spots := slices.Clone(w.spots)
	for i, s := range spots {
		if kind, ok := w.known(s.place); ok && s.place != "" {
			spots[i].kind = kind
		}
	}
	w.spots = spots
	w.mu.Unlock()
	w.lookNow()
	w.cfg.OnChange()
}

// SetInterface has neighbours looked for behind an interface, or not. It returns fs.ErrNotExist for one that is not there.
// The caller has the network begin anew.
func (w *Whereabouts) SetInterface(ctx context.Context, name string, use bool) error {
	list, err := mdns.Config{}.Interfaces()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(x mdns.Interface) bool { return x.Name == name })
	if i < 0 {
		return fmt.Errorf("interface %q: %w", name, fs.ErrNotExist)
	}
	err = w.cfg.Owner.Change(ctx, func(s *config.Settings) {
		other := func(x string) bool { return x == name }
		s.Also, s.Not = slices.DeleteFunc(slices.Clone(s.Also), other), slices.DeleteFunc(slices.Clone(s.Not), other)
		switch {
		case use && !list[i].Rule:
			s.Also = append(s.Also, name)
		case !use && list[i].Rule:
			s.Not = append(s.Not, name)
		}
	})
	if err != nil {
		return err
	}
	w.lookNow()
	return nil
}

// lookNow has Run look.
func (w *Whereabouts) lookNow() {
	select {
	case w.now <- struct{}{}:
	default:
	}
}
