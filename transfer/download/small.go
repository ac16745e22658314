package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
	"porchlight/transfer/client"
)

// A pack that is not full goes to a worker that has nothing to do when it has fewItems, and twice as many each time after; or when it waited for packTime.
// The first files come at once, and a source is never asked more often than it allows, however slowly it lists and quickly it sends (wire.RequestsPerSecond).
const (
	fewItems = 64
	packTime = 20 * time.Millisecond
)

// fillPacks gathers small files into packs.
func (p *pull) fillPacks(ctx context.Context, packs chan<- []item) error {
	var pack []item
	var size int64
	few, waited := fewItems, false
	var ripe <-chan time.Time
	sent := func() { pack, size, few, waited, ripe = nil, 0, min(2*few, packItems), false, nil }
	for {
		var it item
		ok, more, wake, err := p.small.take(&it)
		if err != nil {
			return p.disk(err)
		}
		if !ok {
			if len(pack) == 0 && !more {
				return nil
			}
			full := packs
			if !more {
				wake = nil
			} else if len(pack) < few && !waited {
				full = nil
			}
			select {
			case full <- pack:
				sent()
			case <-wake:
			case <-ripe:
				waited = true
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		skipped, err := p.existing(ctx, &it)
		if err != nil {
			return err
		}
		if skipped {
			continue
		}
		if len(pack) == 0 {
			ripe = time.After(packTime)
		}
		pack, size = append(pack, it), size+it.size
		switch {
		case len(pack) == packItems || size > packBytes-smallFile:
			select {
			case packs <- pack:
				sent()
			case <-ctx.Done():
				return ctx.Err()
			}
		case len(pack) >= few && len(pack)%fewItems == 0:
			select {
			case packs <- pack:
				sent()
			default:
			}
		}
	}
}

// fetchPacks works packs off.
func (p *pull) fetchPacks(ctx context.Context, packs <-chan []item) error {
	buf := make([]byte, smallFile)
	for pack := range packs {
		if err := p.fetchPack(ctx, pack, buf); err != nil {
			return err
		}
	}
	return nil
}

// attempt is a small file and what went wrong with it.
type attempt struct {
	item
	tries
}

// fetchPack fetches one pack, and again what of it went wrong, until every file is there or given up.
func (p *pull) fetchPack(ctx context.Context, pack []item, buf []byte) error {
	todo := make([]attempt, len(pack))
	for i := range pack {
		todo[i].item = pack[i]
	}
	for len(todo) > 0 {
		bad, done, err := p.packOnce(ctx, todo, buf)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !haltFree(err) {
			return err
		}
		rest := todo[done:]
		todo = nil
		if err != nil && len(rest) > 0 { // the first file without an answer is the one to ask about: it may be why the rest did not come
			a := rest[0]
			if done > 0 {
				a.broken, a.lost = 0, 0
			}
			if todo, err = p.again(ctx, todo, a, err); err != nil {
				return err
			}
			rest = rest[1:]
		}
		for _, a := range bad {
			if todo, err = p.again(ctx, todo, a.attempt, a.err); err != nil {
				return err
			}
		}
		todo = append(todo, rest...)
	}
	return nil
}

// again puts a file back into the pack, or to the large ones if it grew, unless it is given up.
func (p *pull) again(ctx context.Context, todo []attempt, a attempt, why error) ([]attempt, error) {
	switch err := p.verdict(ctx, &a.item, why, &a.tries); {
	case errors.Is(err, errGiven):
		return todo, nil
	case err != nil:
		return nil, err
	case a.size > smallFile:
		return todo, p.disk(p.large.push(&a.item))
	}
	return append(todo, a), nil
}

// failure is a file of a pack that did not come as it should.
type failure struct {
	attempt
	err error
}

// packOnce asks for files once. It returns those that were answered badly, and how many were answered at all.
func (p *pull) packOnce(ctx context.Context, todo []attempt, buf []byte) (bad []failure, done int, err error) {
	want := make([]share.Entry, len(todo))
	for i := range todo {
		want[i] = todo[i].entry()
	}
	err = p.patient(ctx, func() error {
		if done > 0 {
			return fmt.Errorf("%w: busy in the middle of a pack", transfer.ErrAway)
		}
		if err := p.writers.Enter(ctx, p, nil); err != nil {
			return err
		}
		defer p.writers.Leave(p)
		return p.src.Pack(ctx, p.job.Request.Share, want, func(h client.Packed, body io.Reader) error {
			if h.Index != done || done >= len(todo) {
				return transfer.ErrProtocol
			}
			a := todo[done]
			err := p.packed(ctx, &a.item, h, body, buf)
			if err != nil && !errors.Is(err, transfer.ErrChanged) && !errors.Is(err, errBad) {
				return err
			}
			done++
			if err != nil {
				bad = append(bad, failure{a, err})
			}
			return nil
		})
	})
	if err == nil && done < len(todo) {
		err = transfer.ErrProtocol
	}
	return bad, done, err
}

// packed takes one file of a pack.
func (p *pull) packed(ctx context.Context, it *item, h client.Packed, body io.Reader, buf []byte) error {
	if h.Size < 0 {
		return transfer.ErrChanged
	}
	if h.Size != it.size || h.Size > int64(len(buf)) {
		return errBad
	}
	data := buf[:h.Size]
	if _, err := io.ReadFull(body, data); err != nil {
		return fmt.Errorf("%w: %w", transfer.ErrAway, err)
	}
	if content.Sum(data) != h.Root {
		return errBad
	}
	if err := p.nameless.add(ctx, it.size); err != nil {
		return err
	}
	name := "s" + strconv.FormatUint(p.number.Add(1), 36)
	if err := p.part.Put(name, data, it.mtime); err != nil {
		return p.disk(err)
	}
	p.tally.bytes.Add(it.size)
	p.tally.fetched.Add(it.size)
	p.tally.from(p.job.Request.Source, it.size)
	p.tally.arrived(p.tally.by(p.job.Request.Source), it.size)
	return p.hand(ctx, ready{part: name, item: *it})
}

// hand gives a whole file to the publisher.
func (p *pull) hand(ctx context.Context, r ready) error {
	if r.big != nil {
		if err := p.nameless.add(ctx, r.loose()); err != nil {
			return err
		}
	}
	select {
	case p.out <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
