package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"porchlight/app/control"
	"porchlight/discovery"
)

type networkRow struct {
	Network    discovery.Network `json:"network"`
	Ask        bool              `json:"ask"`
	Interfaces []interfaceRow    `json:"interfaces"`
}

type interfaceRow struct {
	Name      string            `json:"name"`
	Used      bool              `json:"used"`
	Chosen    bool              `json:"chosen"`
	Network   discovery.Network `json:"network"`
	Addresses []netip.Addr      `json:"addresses"`
}

// network shows where this computer is, and changes what that counts as.
func network(ctx context.Context, c *call, e control.Engine) error {
	for _, o := range []struct {
		flag string
		use  bool
	}{{"--use", true}, {"--leave", false}} {
		name, given := c.flags[o.flag]
		if !given {
			continue
		}
		if err := e.SetInterface(ctx, name, o.use); errors.Is(err, fs.ErrNotExist) {
			return notFound("cli.error.no-interface", "Name", show(name))
		} else if err != nil {
			return err
		}
	}
	if len(c.args) == 1 {
		kind := discovery.Network(c.args[0])
		if !kind.Valid() {
			return usage("cli.usage.network-kind", "Value", show(c.args[0]))
		}
		if err := e.SetNetwork(ctx, kind); err != nil {
			return err
		}
	}
	self, err := e.Self(ctx)
	if err != nil {
		return err
	}
	if c.json {
		row := networkRow{Network: self.Network, Ask: self.Ask, Interfaces: []interfaceRow{}}
		for _, i := range self.Interfaces {
			row.Interfaces = append(row.Interfaces, interfaceRow{i.Name, i.Used, i.Chosen, i.Network, nonNil(i.Addresses)})
		}
		return c.object(row)
	}
	if _, err := fmt.Fprintln(c.Stdout, c.words.network(self.Network)); err != nil || len(self.Interfaces) == 0 {
		return err
	}
	rows := [][]string{c.words.columns("interface", "network", "address")}
	for _, i := range self.Interfaces {
		says := c.words.network(i.Network)
		switch {
		case !i.Used && i.Chosen:
			says = c.words.Text("cli.interface.left-out")
		case !i.Used:
			says = c.words.Text("cli.interface.unused")
		}
		address := ""
		if len(i.Addresses) > 0 {
			address = i.Addresses[0].String()
		}
		rows = append(rows, []string{show(i.Name), says, address})
	}
	if _, err := fmt.Fprintln(c.Stdout); err != nil {
		return err
	}
	return table(c.Stdout, rows)
}

// network is the word for a kind of network.
func (w words) network(n discovery.Network) string {
	if n == discovery.Unsaid {
		return w.Text("cli.network.unsaid")
	}
	return w.value("network.", string(n))
}
