package safefs

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"runtime"
	"strings"
	"testing"

	"porchlight/share"
)

// costs is what f allocates, the least of three runs: something else may allocate, too.
func costs(f func()) uint64 {
	least := ^uint64(0)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// TestReadersAreModest: what text and bytes of others become costs no more than four times their length and 64 KiB; a
// journal, which is this computer's own, one buffer for a record more.
func TestReadersAreModest(t *testing.T) {
	record := func(n uint32, data []byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, n)
		return append(binary.LittleEndian.AppendUint32(b, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), data...)
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "the greatest length": record(MaxRecord, nil), "many small": bytes.Repeat(record(1, []byte("x")), 10_000), "one large": record(MaxRecord, make([]byte, MaxRecord)), "zeros": make([]byte, 1<<20),
	} {
		in := append([]byte(journalMagic), data...)
		used := costs(func() {
			if _, err := readJournal(bytes.NewReader(in), func([]byte) error { return nil }); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		if used > uint64(4*len(in)+64<<10+MaxRecord+8<<10) {
			t.Errorf("a journal, %s: %d bytes allocated for %d", name, used, len(in))
		}
	}
	for name, text := range map[string]string{
		"dots": strings.Repeat("../", 20_000), "slashes": strings.Repeat("/", 60_000), "one name": strings.Repeat("x", 60_000), "deep": strings.Repeat("a/", 2000), "marks": strings.Repeat("\u0301", 30_000),
		"not UTF-8": strings.Repeat("\xff", 60_000), "longest": strings.Repeat(strings.Repeat("x", 255)+"/", 15) + "x",
	} {
		names := NewNames(true, true, 0)
		if used := costs(func() { _, _ = share.ParsePath(text) }); used > uint64(4*len(text)+64<<10) {
			t.Errorf("a path of %s: %d bytes allocated for %d", name, used, len(text))
		}
		// Folding and composing letters takes its tables and a copy for each of the passes over the name.
		if used := costs(func() { _, _ = names.Adapt(text) }); used > uint64(16*len(text)+64<<10) {
			t.Errorf("a name of %s: %d bytes allocated for %d", name, used, len(text))
		}
	}
}
