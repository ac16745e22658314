package cli

import (
	"context"
	"path/filepath"
	"slices"
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
	Away  bool       `json:"away,omitempty"`
	To    []string   `json:"to"`
	Lost  bool       `json:"to_lost,omitempty"`
	Left  bool       `json:"to_left,omitempty"` // some of it is for a workgroup this computer is not in any more
}

func rowOfShare(s share.Share) shareRow {
	return shareRow{ID: s.ID.String(), Name: s.Name, Kind: kindOfShare(s.Kind), Path: s.Path, Added: when(s.Added), Away: s.Away, To: toValues(s), Lost: s.Lost, Left: s.Left}
}

func shareAdd(ctx context.Context, c *call, e control.Engine) error {
	path, err := filepath.Abs(c.args[0])
	if err != nil {
		return err
	}
	to, err := audience(ctx, c, e)
	if err != nil {
		return err
	}
	sh, err := e.AddShare(ctx, path, c.flags["--name"], to...)
	if err != nil {
		return err
	}
	if c.json {
		return c.object(rowOfShare(sh))
	}
	return c.say("cli.share.added", "Path", show(sh.Path), "Name", show(sh.Name))
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
		return c.say("cli.share.none")
	}
	peers, err := e.Peers(ctx)
	if err != nil {
		return err
	}
	groups, err := e.Workgroups(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{c.words.columns("name", "kind", "to", "path")}
	for _, s := range all {
		path := show(s.Path)
		if s.Away {
			path += "  " + c.words.Text("cli.share.away")
		}
		rows = append(rows, []string{show(s.Name), c.words.Text("cli.kind." + kindOfShare(s.Kind)), c.words.toWords(s, peers, groups), path})
	}
	return table(c.Stdout, rows)
}

func shareRemove(ctx context.Context, c *call, e control.Engine) error {
	s, err := ownShare(ctx, c, e)
	if err != nil {
		return err
	}
	if err := e.RemoveShare(ctx, s.ID); err != nil {
		return err
	}
	return c.done("cli.share.removed", "Name", show(s.Name), "Path", show(s.Path))
}

// ownShare finds the share of this computer that is named, by its name or its ID.
func ownShare(ctx context.Context, c *call, e control.Engine) (share.Share, error) {
	all, err := e.Shares(ctx)
	if err != nil {
		return share.Share{}, err
	}
	for _, same := range []func(s share.Share) bool{
		func(s share.Share) bool { return s.Name == c.args[0] },
		func(s share.Share) bool { return s.ID.String() == c.args[0] },
		func(s share.Share) bool { return strings.EqualFold(s.Name, c.args[0]) },
	} {
		if i := slices.IndexFunc(all, same); i >= 0 {
			return all[i], nil
		}
	}
	return share.Share{}, notFound("cli.error.no-own-share", "Name", show(c.args[0]))
}

// kindOfShare is the kind as JSON has it; its words are under "cli.kind.".
func kindOfShare(k share.Kind) string {
	switch k {
	case share.Folder:
		return "folder"
	case share.Drive:
		return "drive"
	case share.Printer:
		return "printer"
	case share.Scanner:
		return "scanner"
	case share.Inbox:
		return "inbox"
	}
	return "other"
}
