package cli

import (
	"context"
	"errors"
	"slices"
	"strings"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// deviceAt finds the device a text begins with: its whole name or the start of its device ID, up to the end or a colon.
// Names go before IDs and exact names before others; the longest name wins, as a name may contain a colon. Whoever only
// claims a name (a candidate) is taken when nobody else has it.
func deviceAt(peers []discovery.Peer, text string) (peer discovery.Peer, rest string, err error) {
	name, rest, _ := strings.Cut(text, ":")
	known := slices.DeleteFunc(slices.Clone(peers), func(p discovery.Peer) bool { return p.State == discovery.Candidate })
	for _, among := range [][]discovery.Peer{known, peers} {
		if found, n := named(among, text); len(found) > 0 {
			p, err := only(found, text[:n])
			return p, strings.TrimPrefix(text[n:], ":"), err
		}
		start := discovery.FoldIDText(name)
		var found []discovery.Peer
		for _, p := range among {
			if start != "" && !p.ID.IsZero() && strings.HasPrefix(strings.ReplaceAll(p.ID.String(), "-", ""), start) {
				found = append(found, p)
			}
		}
		if len(found) > 0 {
			p, err := only(found, name)
			return p, rest, err
		}
	}
	return discovery.Peer{}, "", notFound("cli.error.no-device", "Name", show(name))
}

// named returns the peers whose name text begins with, and the length of the name.
func named(peers []discovery.Peer, text string) (found []discovery.Peer, n int) {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for _, p := range peers {
			l := len(p.Name)
			if l == 0 || l < n || len(text) < l || !same(text[:l], p.Name) || len(text) > l && text[l] != ':' {
				continue
			}
			if l > n {
				found, n = nil, l
			}
			found = append(found, p)
		}
		if len(found) > 0 {
			return found, n
		}
	}
	return nil, 0
}

// only returns the one device, or names the candidates.
func only(found []discovery.Peer, text string) (discovery.Peer, error) {
	if len(found) == 1 {
		return found[0], nil
	}
	f := failed(exitNotFound, nil, "cli.error.ambiguous", "Name", show(text))
	for _, p := range found {
		f.said = append(f.said, sentence{"cli.error.candidate", []any{"ID", p.ID.String()[:15], "Name", show(p.Name), "State", term{"cli.peer.", string(p.State)}}})
	}
	return discovery.Peer{}, f
}

// offerAt finds the share a text begins with: its whole name, or its ID, up to the end or a slash. The longest name wins.
func offerAt(offers []share.Offer, device, text string) (share.Offer, string, error) {
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		best, n, twice := share.Offer{}, 0, false
		for _, o := range offers {
			for _, name := range []string{o.Name, o.ID.String()} {
				l := len(name)
				if l == 0 || l < n || len(text) < l || !same(text[:l], name) || len(text) > l && text[l] != '/' {
					continue
				}
				best, twice, n = o, l == n && o.ID != best.ID, l
			}
		}
		if twice {
			return share.Offer{}, "", notFound("cli.error.two-shares", "Device", show(device), "Share", show(text[:n]))
		}
		if n > 0 {
			return best, strings.Trim(text[n:], "/"), nil
		}
	}
	name, _, _ := strings.Cut(text, "/")
	return share.Offer{}, "", notFound("cli.error.no-share", "Device", show(device), "Share", show(name))
}

// place is a resolved DEVICE[:SHARE[/PATH]].
type place struct {
	peer    discovery.Peer
	offers  []share.Offer
	offer   share.Offer
	path    share.Path
	inShare bool // a share was named
}

// resolver finds places, and asks for peers once and for the offers of each device once.
type resolver struct {
	engine control.Engine
	peers  []discovery.Peer
	offers map[discovery.DeviceID][]share.Offer
}

func newResolver(ctx context.Context, e control.Engine) (*resolver, error) {
	peers, err := e.Peers(ctx)
	return &resolver{engine: e, peers: peers, offers: map[discovery.DeviceID][]share.Offer{}}, err
}

// device is deviceAt, and says so when somebody means this computer.
func (r *resolver) device(ctx context.Context, text string) (discovery.Peer, string, error) {
	p, rest, err := deviceAt(r.peers, text)
	if err == nil {
		return p, rest, nil
	}
	self, errSelf := r.engine.Self(ctx)
	if errSelf == nil {
		me := discovery.Peer{ID: self.ID, Name: self.Name, State: discovery.Online}
		if _, _, notMe := deviceAt([]discovery.Peer{me}, text); notMe == nil && !isAmbiguous(r.peers, text) {
			return p, "", notFound("cli.error.this-computer", "Name", show(self.Name))
		}
	}
	return p, rest, err
}

func isAmbiguous(peers []discovery.Peer, text string) bool {
	found, _ := named(peers, text)
	return len(found) > 1
}

func (r *resolver) place(ctx context.Context, text string) (place, error) {
	var at place
	var rest string
	var err error
	if at.peer, rest, err = r.device(ctx, text); err != nil {
		return place{}, err
	}
	if at.peer.Newer && at.peer.State != discovery.Online {
		return place{}, failed(exitAway, transfer.ErrAway, "cli.error.device-newer", "Device", show(at.peer.Name))
	}
	offers, ok := r.offers[at.peer.ID]
	if !ok {
		if offers, err = r.engine.Offers(ctx, at.peer.ID); err != nil {
			return place{}, about(at.peer.Name, err)
		}
		r.offers[at.peer.ID] = offers
	}
	at.offers = offers
	if rest == "" {
		return at, nil
	}
	at.inShare = true
	var path string
	if at.offer, path, err = offerAt(offers, at.peer.Name, rest); err != nil {
		return place{}, err
	}
	if at.path, err = share.ParsePath(path); err != nil {
		return place{}, notFound("cli.error.no-path", "Path", show(rest), "Device", show(at.peer.Name))
	}
	if at.offer.Away {
		return place{}, failed(exitAway, transfer.ErrAway, "cli.error.share-away", "Share", show(at.offer.Name), "Device", show(at.peer.Name))
	}
	return at, nil
}

// about adds the name of the device to the words where it is the matter.
func about(device string, err error) error {
	switch {
	case errors.Is(err, transfer.ErrAway):
		return failed(exitAway, err, "cli.error.device-away", "Device", show(device))
	case errors.Is(err, transfer.ErrBusy):
		return failed(exitFailed, err, "cli.error.device-busy", "Device", show(device))
	}
	return err
}
