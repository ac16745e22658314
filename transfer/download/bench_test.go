package download

import (
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"porchlight/transfer"
)

func benchPull(b *testing.B, s *fakeSource) {
	for b.Loop() {
		w := openWorld(b, s, NewMemory(), filepath.Join(b.TempDir(), "into"), func(c *Config) { c.Tick = 250 * time.Millisecond })
		id := w.pull("a")
		for w.job(id).State != transfer.Done {
			time.Sleep(time.Millisecond)
		}
		w.stop()
	}
}

func BenchmarkSmallFiles(b *testing.B) {
	const n = 20_000
	s := newFake()
	for i := range n {
		s.put("a/d"+strconv.Itoa(i%200)+"/f"+strconv.Itoa(i), random(strconv.Itoa(i), 4096))
	}
	b.ReportAllocs()
	benchPull(b, s)
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "files/s")
}

func BenchmarkLargeFile(b *testing.B) {
	const size = 1 << 30
	s := newFake()
	s.put("a/big", random("big", size))
	b.SetBytes(size)
	b.ReportAllocs()
	benchPull(b, s)
}
