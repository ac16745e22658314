package safefs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"sync"
)

// journalMagic begins every journal; a file that begins otherwise is taken for empty.
const journalMagic = "porchlight journal 1\n"

// MaxRecord bounds one record of a journal, in bytes.
const MaxRecord = 64 << 10

// Journal is the memory of a Part: records in the order they were written, each with its checksum. What a crash cut off at the end is as if never written.
// Safe for concurrent use.
type Journal struct {
	table *crc32.Table

	f *PartFile

	mu   sync.Mutex // guards the fields below
	buf  []byte
	end  int64 // of the last whole record
	torn bool  // there is something behind it
}

// Journal opens the journal of the part, making it if it is not there, and hands every whole record in it to replay, which must not keep the slice.
// An error of replay ends it. The caller closes the journal.
func (p *Part) Journal(replay func(rec []byte) error) (*Journal, error) {
	f, err := p.open(MadeFile, "journal", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", diskError(err))
	}
	j := &Journal{f: f, table: crc32.MakeTable(crc32.Castagnoli)}
	if err := j.begin(replay); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

// begin reads what is there and cuts a torn tail off, so that what is appended can be read.
func (j *Journal) begin(replay func([]byte) error) error {
	good, err := readJournal(io.NewSectionReader(j.f, 0, math.MaxInt64), replay)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	j.end = good
	if err := j.cut(); err != nil {
		return fmt.Errorf("read journal: %w", diskError(err))
	}
	if good == 0 {
		if err := j.write([]byte(journalMagic)); err != nil {
			return fmt.Errorf("begin journal: %w", diskError(err))
		}
	}
	return nil
}

// cut takes away what lies behind the last whole record. The caller holds the lock or is alone.
func (j *Journal) cut() error {
	return j.f.watch.step(Step{Deed: Sized, Name: j.f.name, Off: j.end}, func() error { return j.f.f.Truncate(j.end) })
}

// write adds b at the end. What a disk took of it before it failed must not stay: nothing behind it could be read again.
func (j *Journal) write(b []byte) error {
	if j.torn {
		if err := j.cut(); err != nil {
			return err
		}
		j.torn = false
	}
	if _, err := j.f.WriteAt(b, j.end); err != nil {
		j.torn = true
		return err
	}
	j.end += int64(len(b))
	return nil
}

// readJournal hands out the records of r up to the first that is not whole, and returns the length of what it understood.
func readJournal(r io.Reader, yield func([]byte) error) (good int64, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	table := crc32.MakeTable(crc32.Castagnoli)
	magic := make([]byte, len(journalMagic))
	if _, err := io.ReadFull(br, magic); err != nil || string(magic) != journalMagic {
		return 0, cut(err)
	}
	good = int64(len(journalMagic))
	var head [8]byte
	buf := make([]byte, 0, 256)
	for {
		if _, err := io.ReadFull(br, head[:]); err != nil {
			return good, cut(err)
		}
		n := binary.LittleEndian.Uint32(head[:])
		if n == 0 || n > MaxRecord {
			return good, nil
		}
		if cap(buf) < int(n) {
			buf = make([]byte, 0, MaxRecord)
		}
		buf = buf[:n]
		if _, err := io.ReadFull(br, buf); err != nil {
			return good, cut(err)
		}
		if crc32.Checksum(buf, table) != binary.LittleEndian.Uint32(head[4:]) {
			return good, nil
		}
		if err := yield(buf); err != nil {
			return good, err
		}
		good += int64(len(head)) + int64(n)
	}
}

// cut makes a torn end no error.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// Append writes one record, at most MaxRecord bytes, not yet durable.
func (j *Journal) Append(rec []byte) error {
	if len(rec) == 0 || len(rec) > MaxRecord {
		return fmt.Errorf("journal record of %d bytes", len(rec))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buf = binary.LittleEndian.AppendUint32(j.buf[:0], uint32(len(rec)))
	j.buf = binary.LittleEndian.AppendUint32(j.buf, crc32.Checksum(rec, j.table))
	j.buf = append(j.buf, rec...)
	if err := j.write(j.buf); err != nil {
		return fmt.Errorf("write journal: %w", diskError(err))
	}
	return nil
}

// Sync makes what was appended survive a loss of power.
func (j *Journal) Sync() error {
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", diskError(err))
	}
	return nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.f.Close() }
