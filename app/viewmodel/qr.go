package viewmodel

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// QuietZone is how many light modules surround a QR picture (ISO/IEC 18004 §6.3.8).
const QuietZone = 4

// QR is a picture for a camera: dark and light modules in a square. The zero value is none.
type QR struct {
	text string
	code *qr.Code
}

// newQR draws a text with error correction M: a tenth of it may be dirty or in the shade. A text that is too long gives none.
func newQR(text string) QR {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return QR{}
	}
	return QR{text, code}
}

// Size is the number of modules along one side, without the quiet zone; 0 if there is no picture.
func (q QR) Size() int {
	if q.code == nil {
		return 0
	}
	return q.code.Size
}

// Dark reports whether a module is dark. Outside everything is light.
func (q QR) Dark(x, y int) bool {
	n := q.Size()
	return x >= 0 && y >= 0 && x < n && y < n && q.code.Black(x, y)
}

// Text is what a camera reads.
func (q QR) Text() string { return q.text }

// svg draws the picture for a printed page, in the colours of paper.
func (q QR) svg() string {
	var b strings.Builder
	side := q.Size() + 2*QuietZone
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges"><rect width="%d" height="%d" fill="#fff"/><path d="`, side, side, side, side)
	for y := range q.Size() {
		for x := range q.Size() {
			if q.Dark(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+QuietZone, y+QuietZone)
			}
		}
	}
	b.WriteString(`" fill="#000"/></svg>`)
	return b.String()
}
