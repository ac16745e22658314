package canon

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxItem is the greatest length of one item of a sequence, in bytes.
const MaxItem = 64 << 10

// ErrCut says that a sequence ended without its end item, or with a wrong count: the answer is not whole.
var ErrCut = errors.New("answer was cut off")

// endPrefix begins the item {"end": count}; no other message has one field named end.
var endPrefix = []byte{0xa1, 0x63, 'e', 'n', 'd'}

type end struct {
	Count uint64 `cbor:"end"`
}

// Writer writes a sequence: items, each preceded by its length as a uvarint, closed by {"end": count}.
// Not for use by several goroutines at once.
type Writer struct {
	w     io.Writer
	count uint64
	head  [binary.MaxVarintLen64]byte
}

// NewWriter returns a Writer on w, which should be buffered.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write adds one message.
func (w *Writer) Write(v any) error {
	b, err := Marshal(v)
	if err != nil {
		return err
	}
	w.count++
	return w.item(b)
}

func (w *Writer) item(b []byte) error {
	if len(b) == 0 || len(b) > MaxItem {
		return fmt.Errorf("%w: item of %d bytes", ErrMessage, len(b))
	}
	n := binary.PutUvarint(w.head[:], uint64(len(b)))
	if _, err := w.w.Write(w.head[:n]); err != nil {
		return err
	}
	_, err := w.w.Write(b)
	return err
}

// Close writes the end item. Without it the reader takes the sequence for broken.
func (w *Writer) Close() error {
	b, err := Marshal(end{w.count})
	if err != nil {
		return err
	}
	return w.item(b)
}

// Reader reads a sequence from a peer. It holds one item at a time.
type Reader struct {
	r     *bufio.Reader
	buf   []byte
	count uint64
}

// NewReader returns a Reader on r.
func NewReader(r io.Reader) *Reader {
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, 32<<10)
	}
	return &Reader{r: br}
}

// Next returns the bytes of the next item, valid until the next call, or io.EOF after a whole sequence.
func (r *Reader) Next() ([]byte, error) {
	n, err := r.length()
	if err != nil {
		return nil, cut(err)
	}
	if n == 0 || n > MaxItem {
		return nil, fmt.Errorf("%w: item of %d bytes", ErrMessage, n)
	}
	b, err := r.item(n)
	if err != nil {
		return nil, cut(err)
	}
	if !bytes.HasPrefix(b, endPrefix) {
		r.count++
		return b, nil
	}
	var e end
	if err := Unmarshal(b, &e); err != nil {
		return nil, err
	}
	if e.Count != r.count {
		return nil, ErrCut
	}
	return nil, io.EOF
}

// lengthBytes is what the length of the greatest item takes as a uvarint.
const lengthBytes = 3

// length reads a uvarint of at most lengthBytes: what is longer is no length of an item.
func (r *Reader) length() (n int, err error) {
	for i := range lengthBytes {
		b, err := r.r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: length of an item without end", ErrMessage)
}

// item reads n bytes. The buffer grows with what has come: a length alone buys nothing.
func (r *Reader) item(n int) ([]byte, error) {
	for have := 0; ; {
		if want := min(n, max(512, 2*have)); cap(r.buf) < want {
			r.buf = append(make([]byte, 0, want), r.buf[:have]...)
		}
		got, err := io.ReadFull(r.r, r.buf[have:min(n, cap(r.buf))])
		if have += got; err != nil || have == n {
			return r.buf[:have], err
		}
	}
}

// cut says of an early end what it means.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	return err
}

// Read decodes the next item into v (unknown fields are ignored) or returns io.EOF after a whole sequence.
func (r *Reader) Read(v any) error {
	b, err := r.Next()
	if err != nil {
		return err
	}
	return UnmarshalOpen(b, v)
}

// Body gives access to the raw bytes that follow an item, where the message says that some do.
func (r *Reader) Body() io.Reader { return r.r }
