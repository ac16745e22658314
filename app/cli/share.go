package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"porchlight/app/control"
	"porchlight/share"
)

type shareRow struct {
	ID    string     `json:"id"`
	Name  string     `json:"name"`
	Kind  string     `json:"kind"`
	Path  string     `json:"path"`
	Added *time.Time `json:"added,omitempty"`
}

func rowOfShare(s share.Share) shareRow {
	return shareRow{ID: s.ID.String(), Name: s.Name, Kind: kindOfShare(s.Kind), Path: s.Path, Added: when(s.Added)}
}

func shareAdd(ctx context.Context, c *call, e control.Engine) error {
	path, err := filepath.Abs(c.args[0])
	if err != nil {
		return err
	}
	sh, err := e.AddShare(ctx, path, c.flags["--name"])
	if err != nil {
		return err
	}
	if c.json {
		return c.object(rowOfShare(sh))
	}
	_, err = fmt.Fprintf(c.Stdout, wordShareAdded+"\n", show(sh.Path), show(sh.Name))
	return err
}

func shareList(ctx context.Context, c *call, e control.Engine) error {
	all, err := e.Shares(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return list(c, all, rowOfShare)
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(c.Stdout, wordNoShares)
		return err
	}
	rows := [][]string{{wordColName, wordColKind, wordColPath}}
	for _, s := range all {
		rows = append(rows, []string{show(s.Name), kindOfShare(s.Kind), show(s.Path)})
	}
	return table(c.Stdout, rows)
}

func shareRemove(ctx context.Context, c *call, e control.Engine) error {
	all, err := e.Shares(ctx)
	if err != nil {
		return err
	}
	for _, same := range []func(s share.Share) bool{
		func(s share.Share) bool { return s.Name == c.args[0] },
		func(s share.Share) bool { return s.ID.String() == c.args[0] },
		func(s share.Share) bool { return strings.EqualFold(s.Name, c.args[0]) },
	} {
		for _, s := range all {
			if !same(s) {
				continue
			}
			if err := e.RemoveShare(ctx, s.ID); err != nil {
				return err
			}
			return c.done(wordShareRemoved, show(s.Name), show(s.Path))
		}
	}
	return notFound(wordNoOwnShare, show(c.args[0]))
}

func kindOfShare(k share.Kind) string {
	switch k {
	case share.Folder:
		return wordFolder
	case share.Drive:
		return wordDrive
	case share.Printer:
		return wordPrinter
	case share.Scanner:
		return wordScanner
	case share.Inbox:
		return wordInbox
	}
	return wordOther
}
