//go:build !headless

package gui

import (
	"bytes"
	"image"
	"image/color"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
)

// jobDetails is what an opened transfer shows below its line.
type jobDetails struct {
	object  fyne.CanvasObject
	now     viewmodel.JobDetails
	figures []*canvas.Text // of the sources
	lines   []*fyne.Container
	counts  []*canvas.Text // of the maps
	heads   []*fyne.Container
	maps    []*pieceMap
}

func newJobDetails(w *window, r viewmodel.TransferRow) *jobDetails {
	p, words := w.paint, w.set.Words
	d := &jobDetails{now: r.Details}
	box := column(6, p.rule())
	for _, f := range r.Details.Facts {
		box.Add(factLine(p, f, 96))
	}
	if len(r.Details.Sources) > 0 {
		box.Add(inset(4, 0, 0, 0, p.bold(words.Text("transfer.sources"), textSmall, colQuiet)))
	}
	for _, s := range r.Details.Sources {
		figures := p.text(s.Figures, textSmall, colQuiet)
		one := row(8, 0, []float32{-1, 0}, newCut(p.text(s.Name, textSmall, colText)), figures)
		d.figures, d.lines = append(d.figures, figures), append(d.lines, one)
		box.Add(one)
	}
	for _, m := range r.Details.Maps {
		count := p.text(m.Text, textSmall, colQuiet)
		head := row(8, 0, []float32{-1, 0}, newCut(p.text(m.Name, textSmall, colText)), count)
		picture := p.pieces(m.Parts)
		d.counts, d.heads, d.maps = append(d.counts, count), append(d.heads, head), append(d.maps, picture)
		box.Add(inset(4, 0, 0, 0, head))
		box.Add(picture)
	}
	if len(r.Details.Moves) > 0 {
		var buttons []fyne.CanvasObject
		var most fyne.Size
		for _, m := range r.Details.Moves {
			b := button(m.Name, false, func() { w.set.Transfers.Move(r.ID, m.To) })
			most = most.Max(b.MinSize())
			buttons = append(buttons, b)
		}
		box.Add(inset(4, 0, 0, 0, container.New(newFlow(most.Width, most.Height, 6), buttons...)))
	}
	d.object = box
	return d
}

// fits reports whether what is shown has the shape of x.
func (d *jobDetails) fits(x viewmodel.JobDetails) bool {
	return slices.Equal(d.now.Facts, x.Facts) && slices.Equal(d.now.Moves, x.Moves) &&
		slices.EqualFunc(d.now.Sources, x.Sources, func(a, b viewmodel.SourceLine) bool { return a.Name == b.Name }) &&
		slices.EqualFunc(d.now.Maps, x.Maps, func(a, b viewmodel.MapLine) bool { return a.Name == b.Name && len(a.Parts) == len(b.Parts) })
}

func (d *jobDetails) set(x viewmodel.JobDetails) {
	for i, s := range x.Sources {
		if d.figures[i].Text != s.Figures {
			d.figures[i].Text = s.Figures
			d.lines[i].Refresh()
		}
	}
	for i, m := range x.Maps {
		if d.counts[i].Text != m.Text {
			d.counts[i].Text = m.Text
			d.heads[i].Refresh()
		}
		d.maps[i].set(m.Parts)
	}
	d.now = x
}

// Measures of a piece map. 128 cells in a row are 2 pixels and more in the narrowest window.
const (
	mapAcross = 128
	mapCell   = 8 // high
	mapGap    = 1
)

// pieceMap draws which parts of a file are here: one cell for each part, row by row, the more of it is here the stronger.
type pieceMap struct {
	widget.BaseWidget
	p      *paint
	parts  []uint8
	raster *canvas.Raster
}

func (p *paint) pieces(parts []uint8) *pieceMap {
	m := &pieceMap{p: p, parts: parts}
	m.raster = canvas.NewRaster(m.draw)
	m.ExtendBaseWidget(m)
	return m
}

func (m *pieceMap) set(parts []uint8) {
	if !bytes.Equal(m.parts, parts) {
		m.parts = parts
		m.raster.Refresh()
	}
}

// rows is how many rows of cells there are.
func (m *pieceMap) rows() int { return max((len(m.parts)+mapAcross-1)/mapAcross, 1) }

// MinSize is as high as the rows need.
func (m *pieceMap) MinSize() fyne.Size { return fyne.NewSize(100, float32(m.rows()*mapCell)) }

// CreateRenderer shows the drawing.
func (m *pieceMap) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(m.raster) }

// draw paints the cells, w by h pixels.
func (m *pieceMap) draw(w, h int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	if len(m.parts) == 0 || w == 0 || h == 0 {
		return img
	}
	rows := m.rows()
	across := (len(m.parts) + rows - 1) / rows
	none, all := rgba(m.p.colour(theme.ColorNameSeparator)), rgba(m.p.colour(theme.ColorNamePrimary))
	for i, part := range m.parts {
		x, y := i%across, i/across
		x0, x1, y0, y1 := x*w/across, (x+1)*w/across, y*h/rows, (y+1)*h/rows
		if x1-x0 > 3 {
			x1 -= mapGap
		}
		if y1-y0 > 3 {
			y1 -= mapGap
		}
		c := mix(none, all, part)
		for yy := y0; yy < y1; yy++ {
			for xx := x0; xx < x1; xx++ {
				img.SetNRGBA(xx, yy, c)
			}
		}
	}
	return img
}

func rgba(c color.Color) color.NRGBA {
	n, _ := color.NRGBAModel.Convert(c).(color.NRGBA)
	return n
}

// mix is a colour between two: 0 is a, 255 is b.
func mix(a, b color.NRGBA, part uint8) color.NRGBA {
	one := func(x, y uint8) uint8 { return uint8((int(x)*(255-int(part)) + int(y)*int(part)) / 255) }
	return color.NRGBA{one(a.R, b.R), one(a.G, b.G), one(a.B, b.B), one(a.A, b.A)}
}
