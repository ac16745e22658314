//go:build !headless

package gui

import (
	"image"
	"image/color"
	"image/draw"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"porchlight/app/viewmodel"
)

// newQR is a picture for a camera. It is dark on white in both themes, since cameras read the other way round badly, and each
// module has a whole number of pixels, so that every edge is sharp.
func newQR(q viewmodel.QR, size float32) fyne.CanvasObject {
	r := canvas.NewRaster(func(w, h int) image.Image { return drawQR(q, w, h) })
	r.SetMinSize(fyne.NewSquareSize(size))
	return fixed(size, size, r)
}

func drawQR(q viewmodel.QR, w, h int) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(im, im.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	side := q.Size() + 2*viewmodel.QuietZone
	scale := min(w, h) / side
	left, top := (w-scale*side)/2, (h-scale*side)/2
	for y := range q.Size() {
		for x := range q.Size() {
			if q.Dark(x, y) {
				at := image.Pt(left+(x+viewmodel.QuietZone)*scale, top+(y+viewmodel.QuietZone)*scale)
				draw.Draw(im, image.Rectangle{at, at.Add(image.Pt(scale, scale))}, image.NewUniform(color.Black), image.Point{}, draw.Src)
			}
		}
	}
	return im
}
