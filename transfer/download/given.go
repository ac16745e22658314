package download

import (
	"io"
	"slices"
	"sync/atomic"

	"porchlight/discovery"
	"porchlight/transfer"
)

// given is what one device gave a job. Its counters of good and bad bytes are guarded by tally.mu.
type given struct {
	came atomic.Int64 // bytes that arrived, good or not, in this attempt
	good int64        // bytes, since the job was made
	bad  int          // pieces
	id   discovery.DeviceID
}

// by returns the counter of a device. Beyond transfer.MaxSources it is one that nobody looks at.
func (c *tally) by(id discovery.DeviceID) *given {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byLocked(id)
}

func (c *tally) byLocked(id discovery.DeviceID) *given {
	i := slices.IndexFunc(c.sources, func(g *given) bool { return g.id == id })
	if i >= 0 {
		return c.sources[i]
	}
	g := &given{id: id}
	if len(c.sources) < transfer.MaxSources {
		c.sources = append(c.sources, g)
	}
	return g
}

// recall takes over what earlier attempts counted.
func (c *tally) recall(was []transfer.SourceRate) {
	for _, s := range was {
		g := c.by(s.Device)
		g.good, g.bad = s.Bytes, s.Bad
	}
}

// from counts bytes that a device gave and that were found good.
func (c *tally) from(id discovery.DeviceID, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byLocked(id).good += n
}

// spoilt counts a piece of a device that was not what its owner states.
func (c *tally) spoilt(id discovery.DeviceID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byLocked(id).bad++
}

// arrived counts bytes as they come. What people see as the rate is made of these: pieces are too large to be told a few of in a second.
func (c *tally) arrived(g *given, n int64) {
	c.came.Add(n)
	g.came.Add(n)
}

// rates brings the sources of a job up to date; was is what had come of them some seconds ago. It returns what has come now.
func (c *tally) rates(j *transfer.Job, was []int64, seconds float64) (now []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	j.Sources = nil
	for i, g := range c.sources { // they are only added
		came := g.came.Load()
		now = append(now, came)
		s := transfer.SourceRate{Device: g.id, Bytes: g.good, Bad: g.bad}
		var before int64
		if i < len(was) {
			before = was[i]
		}
		if seconds > 0 {
			s.Rate = int64(float64(came-before) / seconds)
		}
		if s.Bytes > 0 || s.Bad > 0 { // who was only asked gives nothing
			j.Sources = append(j.Sources, s)
		}
	}
	return now
}

// counted is a reader that counts what comes from a device.
type counted struct {
	r  io.Reader
	to *tally
	by *given
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.to.arrived(c.by, int64(n))
	return n, err
}
