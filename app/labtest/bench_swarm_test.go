//go:build linux && lab

package labtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The swarm: one source and seven receivers of one file.
const (
	swarmSize  = 256 * mib
	swarmRate  = "200mbit"
	swarmBits  = 200_000_000
	swarmLimit = 4 * time.Minute // two copies after one another take half a minute, seven take 80 s
	churnEvery = 3 * time.Second
	churnSent  = 1.2 // copies that the source has sent when it goes
)

// swarmBound is how long one copy takes on a line of that rate: of 1514 bytes on an Ethernet wire 1448 are content. The source has to send one and
// each receiver to receive one, so no swarm is faster.
func swarmBound() time.Duration {
	return swarmSize * 8 * 1514 / 1448 * time.Second / swarmBits
}

// churnLimit is when a round that does not complete is given up.
func churnLimit() time.Duration { return 8 * swarmBound() }

// crowd is a contest with many receivers.
type crowd struct {
	*contest
	takers []*Device
}

func newCrowd(t *testing.T, b *bench) *crowd {
	t.Helper()
	names := []string{"anna", "bo", "cleo", "dan", "eva", "finn", "gus", "hana", "one", "two"}
	hosts := NewLAN(t, DualStack, names...).Hosts
	n := len(hosts) - 2
	var devices []*Device
	for _, h := range hosts[:n] {
		devices = append(devices, NewDevice(t, h))
	}
	c := &contest{t: t, rounds: b.rounds, from: devices[0], to: devices[1], servers: map[string]*exec.Cmd{}}
	c.yard = newYard(t, hosts[n], hosts[n+1])
	c.cable = cable{from: c.from.Host, to: c.to.Host, shaped: swarmBits}
	writeFile(t, filepath.Join(c.data("big"), bigFile), swarmSize, 6)
	serveAll(t, devices)
	c.from.Share(t, c.data("big"), "big")
	for _, d := range devices {
		d.shapeBoth(t, swarmRate)
	}
	return &crowd{c, devices[1:]}
}

// swarm is what several receivers of the same content can do for each other.
func swarm() group {
	var c *crowd
	setUp := func(t *testing.T, b *bench) *contest {
		c = newCrowd(t, b)
		return c.contest
	}
	return group{"swarm", false, 6 * gib, setUp, []benchRow{
		{"swarm, 256 MiB to 7 receivers at 200 Mbit/s, last one / lower bound", func(_ *contest, e *entry) { c.race(e) }},
		{"swarm, receivers killed and the source gone / lower bound", func(_ *contest, e *entry) { c.churn(e) }},
	}}
}

// race has both, ours and libtorrent, bring the file to all; what counts is when the last one has it.
func (c *crowd) race(e *entry) {
	bound := swarmBound().Seconds()
	e.Unit, e.Bar = "s", &bar{Must: 1.35, Aim: 1.15, AtMost: true}
	lt := newTorrent(c)
	e.Rival = "libtorrent"
	e.Note = fmt.Sprintf("the bound is %.1f s; %s", bound, lt.absent)
	w := oneFile(swarmSize)
	err := c.inQuiet(e, c.rounds, func() (counts, error) {
		us, err := c.all(w)
		if err != nil {
			return nil, fmt.Errorf("porchlight: %w", err)
		}
		var them run
		if lt.absent == "" {
			if them, err = lt.all(); err != nil {
				return nil, fmt.Errorf("libtorrent: %w", err)
			}
		}
		return func(e *entry, _, _ run) {
			e.Ours, e.OursCPU = append(e.Ours, us.took.Seconds()), append(e.OursCPU, w.perGiB(us.cpu)/float64(len(c.takers)))
			e.Ratios = append(e.Ratios, us.took.Seconds()/bound)
			if lt.absent == "" {
				e.Theirs, e.TheirsCPU = append(e.Theirs, them.took.Seconds()), append(e.TheirsCPU, w.perGiB(them.cpu)/float64(len(c.takers)))
			}
		}, nil
	})
	if err != nil {
		e.Why = err.Error()
		c.t.Error(err)
	}
	if len(e.Theirs) > 0 {
		e.Note = fmt.Sprintf("the bound is %.1f s; libtorrent / bound is %.2f", bound, middle(e.Theirs)/bound)
	}
}

// all is one round of ours.
func (c *crowd) all(w work) (run, error) {
	servers := []*exec.Cmd{c.from.cmd}
	for _, d := range c.takers {
		servers = append(servers, d.cmd)
	}
	usage, err := usageOf(servers)
	if err != nil {
		return run{}, err
	}
	type end struct {
		run
		err error
	}
	ends := make(chan end)
	for _, d := range c.takers {
		go func() {
			r, err := d.timed(swarmLimit, "get", c.from.At("big"), "-o", d.Path("into"))
			ends <- end{r, err}
		}()
	}
	var all run
	for range c.takers {
		e := <-ends
		err, all.took, all.cpu = errors.Join(err, e.err), max(all.took, e.took), all.cpu+e.cpu
	}
	if err != nil {
		return run{}, err
	}
	used, err := usage.until()
	all.cpu += used
	if took, bound := all.took, swarmBound(); took < bound {
		err = errors.Join(err, fmt.Errorf("refused: %v is less than the wire needs, %v", ms(took), ms(bound)))
	}
	return all, errors.Join(err, c.check("into", func(d *Device) error { return compare(c.data("big"), d.Path("into", "big")) }))
}

// check compares what every receiver has in a folder of that name, and removes it.
func (c *crowd) check(name string, compare func(d *Device) error) (err error) {
	for _, d := range c.takers {
		if wrong := compare(d); wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", d.Name, wrong))
		}
		err = errors.Join(err, os.RemoveAll(d.Path(name)))
	}
	return err
}

// churn kills one receiver after another and lets it come back, and takes the source away for good once it has sent little more than one copy.
func (c *crowd) churn(e *entry) {
	bound := swarmBound()
	e.Unit, e.Bar = "s", &bar{Must: 8, Aim: 1.6, AtMost: true, Words: "completes"}
	e.Rival, e.Note = "lower bound", fmt.Sprintf("the bound is %.1f s; all have to get it, within %v", bound.Seconds(), ms(churnLimit()))
	for range c.rounds {
		took, whole, err := c.survive()
		if err != nil {
			e.Why = err.Error()
			c.t.Error(err)
			return
		}
		e.Ours, e.Ratios = append(e.Ours, took.Seconds()), append(e.Ratios, took.Seconds()/bound.Seconds())
		if whole < len(c.takers) {
			// Once is too often. The median would hide it, so that round alone, which took longer than the limit, is held against the bar.
			e.Ours, e.Ratios = e.Ours[len(e.Ours)-1:], e.Ratios[len(e.Ratios)-1:]
			e.Note = fmt.Sprintf("%d of %d receivers had the file after %v, with the source gone after %.1f copies", whole, len(c.takers), ms(took), churnSent)
			return
		}
	}
}

// survive is one round of churn: how long it took, and how many have the file.
func (c *crowd) survive() (took time.Duration, whole int, err error) {
	dice := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	before, err := c.from.counter("tx")
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	for _, d := range c.takers {
		if _, err := d.Run(commandLimit, "get", c.from.At("big"), "-o", d.Path("into"), "--detach"); err != nil {
			return 0, 0, err
		}
	}
	has := func(d *Device) bool { _, err := os.Lstat(d.Path("into", "big", bigFile)); return err == nil }
	for next := start.Add(churnEvery); ; time.Sleep(50 * time.Millisecond) {
		whole = 0
		for _, d := range c.takers {
			if has(d) {
				whole++
			}
		}
		if took = time.Since(start); whole == len(c.takers) || took > churnLimit() {
			break
		}
		if c.from.cmd != nil {
			sent, err := c.from.counter("tx")
			if err != nil {
				return 0, 0, err
			}
			if float64(sent-before)/swarmOverCap > churnSent*swarmSize {
				c.from.Kill()
			}
		}
		if time.Now().After(next) {
			next = time.Now().Add(churnEvery)
			victim := c.takers[dice.IntN(len(c.takers))]
			victim.Kill()
			if _, err := victim.Serve(); err != nil {
				return 0, 0, err
			}
		}
	}
	if c.from.cmd == nil {
		if _, err := c.from.Serve(); err != nil {
			return 0, 0, err
		}
	}
	return took, whole, c.settle(has)
}

// settle ends all pulls of a round, checks what is whole, and waits until everybody sees the source again.
func (c *crowd) settle(has func(*Device) bool) error {
	sees := func(d *Device) (bool, error) { return d.Online(c.from) }
	untilAll(c.t, c.takers, commandLimit, "sees the source again", sees)
	for _, d := range c.takers {
		one := contest{t: c.t, to: d}
		if err := one.cancelAll(); err != nil {
			return err
		}
	}
	return c.check("into", func(d *Device) error {
		if !has(d) {
			return nil
		}
		return compare(c.data("big"), d.Path("into", "big"))
	})
}

// addresses lists the hosts of the crowd, the source first.
func (c *crowd) addresses() (all []string) {
	for _, d := range slices.Concat([]*Device{c.from}, c.takers) {
		all = append(all, d.Addr().String())
	}
	return all
}
