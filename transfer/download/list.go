package download

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"strings"

	"porchlight/share"
	"porchlight/share/content"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// maxEntries bounds the listing of one pull: two shares of a million files in as many folders. The names of one folder are held while it is listed.
const maxEntries = 4 << 20

// maxNumber is the last number tried behind a name that is taken.
const maxNumber = 1000

// lister turns the manifest of the source into folders here and items to fetch. For one goroutine.
type lister struct {
	*pull
	names   *safefs.Names
	seed    maphash.Seed
	entries int
	stack   []*level // from the target folder down to the folder whose content is being listed
}

// level is a folder whose content is being listed.
type level struct {
	src   share.Path
	local string
	fresh bool           // made just now, so nothing can be in it
	lost  bool           // it could not be made, so nothing can be put in it
	used  map[uint64]int // names given in it, by their key's hash, and the number to try next
}

// list reads the manifests of all that was asked for, one after another.
func (p *pull) list(ctx context.Context) error {
	l := &lister{pull: p, names: p.dest.Names(), seed: maphash.MakeSeed()}
	top := &level{used: map[uint64]int{}}
	gone := 0
	for _, path := range p.job.Request.Paths {
		l.stack = []*level{top}
		err := p.whether(ctx, l.listOne(ctx, path))
		if errors.Is(err, transfer.ErrGone) && haltFree(err) {
			p.tally.files.Add(1)
			p.tally.lose(path, transfer.SourceGone)
			gone++
			continue
		}
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
	}
	if gone == len(p.job.Request.Paths) {
		return transfer.ErrGone
	}
	p.tally.listed.Store(true)
	return p.checkSpace()
}

// listOne reads the manifest of one request path.
func (l *lister) listOne(ctx context.Context, path share.Path) error {
	first := true
	return l.patient(ctx, func() error {
		err := l.src.Manifest(ctx, l.job.Request.Share, path, func(e share.Entry) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if l.entries++; l.entries > maxEntries {
				return &halt{state: transfer.Failed, trouble: transfer.TooMany, err: fmt.Errorf("%w: more than %d entries", transfer.ErrLimit, maxEntries)}
			}
			was := first
			first = false
			return l.entry(e, path, was)
		})
		if !first && errors.Is(err, transfer.ErrBusy) {
			return fmt.Errorf("%w: busy in the middle of a listing", transfer.ErrAway) // not to be begun again in place
		}
		return err
	})
}

// entry takes one line of the manifest of path.
func (l *lister) entry(e share.Entry, path share.Path, first bool) error {
	if e.Kind == share.Other {
		l.other(e)
		return nil
	}
	if _, err := share.ParsePath(string(e.Path)); err != nil || !e.Path.Under(path) || e.Size < 0 {
		return fmt.Errorf("%w: entry outside of what was asked", transfer.ErrProtocol)
	}
	if (e.Path == path) != first {
		return fmt.Errorf("%w: listing does not begin with what was asked", transfer.ErrProtocol)
	}
	name := e.Path.Base()
	if e.Path == "" {
		name = l.job.Request.ShareName
	}
	if !first {
		for len(l.stack) > 1 && l.stack[len(l.stack)-1].src != e.Path.Dir() {
			l.stack = l.stack[:len(l.stack)-1]
		}
		if len(l.stack) == 1 {
			return fmt.Errorf("%w: listing is not in order", transfer.ErrProtocol)
		}
	}
	up := l.stack[len(l.stack)-1]
	if e.Kind == share.Dir && up.lost {
		l.stack = append(l.stack, &level{src: e.Path, lost: true})
		return nil
	}
	if e.Kind == share.Dir {
		return l.folder(e, up, name)
	}
	return l.file(e, up, name)
}

// other is what cannot be fetched. Links and devices are no content; what has no usable name or could not be read is told.
func (l *lister) other(e share.Entry) {
	why := transfer.SourceBroken
	switch e.Reason {
	case safefs.ReasonLink, safefs.ReasonDevice, safefs.ReasonPipe, safefs.ReasonSocket:
		return
	case safefs.ReasonMount:
		why = transfer.OtherDisk
	case safefs.ReasonName:
		why = transfer.NameTrouble
	case safefs.ReasonDeep:
		why = transfer.TooDeep
	}
	l.tally.files.Add(1)
	l.tally.lose(share.Path(strings.ToValidUTF8(string(e.Path), "\uFFFD")), why)
}

// pick chooses a local name in a folder that nothing of this pull has, from number k on.
func (l *lister) pick(up *level, name string, k int) (string, int, error) {
	local, err := l.names.Adapt(name)
	if err != nil {
		return "", 0, err
	}
	base := maphash.String(l.seed, l.names.Key(local))
	for k = max(k, up.used[base], 1); k <= maxNumber; k++ {
		try := l.names.Numbered(local, k)
		h := maphash.String(l.seed, l.names.Key(try))
		if _, taken := up.used[h]; !taken {
			up.used[h] = 1
			up.used[base] = k + 1
			return try, k, nil
		}
	}
	return "", 0, safefs.ErrName
}

// folder makes a folder, or finds it; the next free number if something else has its name.
func (l *lister) folder(e share.Entry, up *level, name string) error {
	if len(l.stack) > share.MaxDepth+1 { // the target folder and the root of a share are no levels of a path
		return fmt.Errorf("%w: too deep", transfer.ErrProtocol)
	}
	for k := 1; ; k++ {
		local, used, err := l.pick(up, name, k)
		if err != nil {
			return l.unnamed(e)
		}
		k = used
		fresh, err := l.dest.MakeFolder(up.local, local)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if errors.Is(err, safefs.ErrName) {
			return l.unnamed(e)
		}
		if err != nil {
			return l.disk(err)
		}
		if local != name {
			l.tally.adapt(e.Path, local)
		}
		if len(l.stack) == 1 {
			l.shown(local)
		}
		l.stack = append(l.stack, &level{src: e.Path, local: join(up.local, local), fresh: fresh, used: map[uint64]int{}})
		return nil
	}
}

// unnamed gives up an entry that can have no name here, and with a folder all that is in it.
func (l *lister) unnamed(e share.Entry) error {
	if e.Kind == share.Dir {
		l.tally.problem(e.Path, transfer.NameTrouble, "")
		l.stack = append(l.stack, &level{src: e.Path, lost: true})
		return nil
	}
	l.tally.lose(e.Path, transfer.NameTrouble)
	return nil
}

// file spools a file, unless it is there already.
func (l *lister) file(e share.Entry, up *level, name string) error {
	l.tally.files.Add(1)
	if e.Size > l.dest.MaxFile() || content.PieceCount(e.Size) > maxPieces { // before the space for it is looked for
		l.tally.lose(e.Path, transfer.FileTooLarge)
		return nil
	}
	l.tally.total.Add(e.Size)
	if up.lost {
		return l.unnamed(e)
	}
	local, _, err := l.pick(up, name, 1)
	if err != nil {
		return l.unnamed(e)
	}
	if local != name {
		l.tally.adapt(e.Path, local)
	}
	if len(l.stack) == 1 {
		l.shown(local)
	}
	it := item{src: e.Path, dir: up.local, name: local, size: e.Size, mtime: e.MTime, version: e.Version}
	if !up.fresh {
		there, same, err := l.there(&it)
		if err != nil {
			return err
		}
		if same {
			l.skip(&it)
			return nil
		}
		it.look = there
	}
	if it.size > smallFile {
		return l.disk(l.large.push(&it))
	}
	return l.disk(l.small.push(&it))
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
