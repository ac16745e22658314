//go:build !headless

package gui

import (
	"fmt"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"porchlight/app/viewmodel"
	"porchlight/assets"
)

// Colours of our own, beside those Fyne names. Views name colours and never write a value.
const (
	colSide   fyne.ThemeColorName = "sidebar"
	colQuiet  fyne.ThemeColorName = "quiet"      // text that is not the matter
	colRaised fyne.ThemeColorName = "raised"     // cards
	colTint   fyne.ThemeColorName = "accentTint" // bodies of folders, badges
	colAccent fyne.ThemeColorName = "accentText" // amber that may carry text
	colText   fyne.ThemeColorName = theme.ColorNameForeground
	colNone   fyne.ThemeColorName = ""
)

// Measures. All are multiples of 4 but those that follow from the type.
const (
	textCaption = 11
	textSmall   = 12
	textBody    = 13
	textTitle   = 16
	textHead    = 22

	radiusRow  = 7
	radiusCard = 10
	radiusBar  = 2

	minWidth, minHeight = 640, 420
	narrow              = 1020 // below: a smaller sidebar, and details on demand
	sideWide, sideSmall = 244, 212
	topHeight           = 48
	stripHeight         = 68
	detailsWidth        = 284
	rowHeight           = 34
	sideRowHeight       = 30
	sideHeadHeight      = 24
)

// shade is one colour in the light and in the dark.
type shade struct{ light, dark uint32 } // 0xrrggbbaa

// palette returns every colour of the window.
func palette() map[fyne.ThemeColorName]shade {
	return map[fyne.ThemeColorName]shade{
		theme.ColorNameBackground:          {0xfbfaf7ff, 0x1c1a17ff},
		colSide:                            {0xf3f0eaff, 0x161412ff},
		colRaised:                          {0xffffffff, 0x26231fff},
		theme.ColorNameForeground:          {0x25221dff, 0xf2ede4ff},
		colQuiet:                           {0x6a6358ff, 0xb0a899ff},
		theme.ColorNameDisabled:            {0x8d8578ff, 0x857d70ff},
		theme.ColorNamePlaceHolder:         {0x736b5fff, 0x9a9284ff},
		theme.ColorNameSeparator:           {0xe6e1d8ff, 0x35312bff},
		theme.ColorNameInputBorder:         {0x938a7dff, 0x7d7569ff},
		theme.ColorNameInputBackground:     {0xffffffff, 0x26231fff},
		theme.ColorNamePrimary:             {0xab5a00ff, 0xf2a93bff},
		theme.ColorNameForegroundOnPrimary: {0xffffffff, 0x231a0cff},
		theme.ColorNameHyperlink:           {0x9a5200ff, 0xf5b65aff},
		colAccent:                          {0x9a5200ff, 0xf5b65aff},
		colTint:                            {0xfbe7c6ff, 0x4a3717ff},
		theme.ColorNameSelection:           {0xf9e5c3ff, 0x43341cff},
		theme.ColorNameHover:               {0x25221d0d, 0xffffff0f},
		theme.ColorNamePressed:             {0x25221d1a, 0xffffff1a},
		theme.ColorNameFocus:               {0xab5a0055, 0xf2a93b66},
		theme.ColorNameSuccess:             {0x2a7548ff, 0x6cc48aff},
		theme.ColorNameError:               {0xb3321fff, 0xf08a7cff},
		theme.ColorNameWarning:             {0x8a5a00ff, 0xf0c05aff},
		theme.ColorNameButton:              {0xefebe3ff, 0x2e2a25ff},
		theme.ColorNameDisabledButton:      {0xf3f0eaff, 0x26231fff},
		theme.ColorNameOverlayBackground:   {0xfdfcfaff, 0x24211dff},
		theme.ColorNameMenuBackground:      {0xffffffff, 0x2a2622ff},
		theme.ColorNameHeaderBackground:    {0xf3f0eaff, 0x161412ff},
		theme.ColorNameShadow:              {0x2520182e, 0x00000080},
		theme.ColorNameScrollBar:           {0x25201840, 0xffffff40},
		theme.ColorNameScrollBarBackground: {0x00000000, 0x00000000},
	}
}

func (s shade) in(dark bool) color.NRGBA {
	x := s.light
	if dark {
		x = s.dark
	}
	return color.NRGBA{R: uint8(x >> 24), G: uint8(x >> 16), B: uint8(x >> 8), A: uint8(x)}
}

// porch is the theme: our colours, our type, Fyne's icons for what its own widgets draw.
type porch struct {
	fyne.Theme
	colours  map[fyne.ThemeColorName]shade
	wanted   string // "light", "dark", or "" as the system
	regular  fyne.Resource
	semiBold fyne.Resource
}

func newTheme(wanted string) (*porch, error) {
	p := &porch{Theme: theme.DefaultTheme(), colours: palette(), wanted: wanted}
	for _, f := range []struct {
		name string
		to   *fyne.Resource
	}{{assets.Regular, &p.regular}, {assets.SemiBold, &p.semiBold}} {
		data, err := assets.Font(f.name)
		if err != nil {
			return nil, fmt.Errorf("theme: %w", err)
		}
		*f.to = fyne.NewStaticResource(f.name, data)
	}
	return p, nil
}

func (p *porch) dark(v fyne.ThemeVariant) bool {
	if p.wanted != "" {
		return p.wanted == "dark"
	}
	return v == theme.VariantDark
}

// Color returns a colour by its name.
func (p *porch) Color(n fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	if s, ok := p.colours[n]; ok {
		return s.in(p.dark(v))
	}
	if p.dark(v) {
		return p.Theme.Color(n, theme.VariantDark)
	}
	return p.Theme.Color(n, theme.VariantLight)
}

// Font returns Inter in its two cuts; what it lacks Fyne finds elsewhere.
func (p *porch) Font(s fyne.TextStyle) fyne.Resource {
	switch {
	case s.Monospace || s.Symbol || s.Italic:
		return p.Theme.Font(s)
	case s.Bold:
		return p.semiBold
	}
	return p.regular
}

// Size returns the measures of Fyne's own widgets.
func (p *porch) Size(n fyne.ThemeSizeName) float32 {
	switch n {
	case theme.SizeNameText:
		return textBody
	case theme.SizeNameCaptionText:
		return textCaption
	case theme.SizeNameSubHeadingText:
		return textTitle
	case theme.SizeNameHeadingText:
		return textHead
	case theme.SizeNameInputRadius, theme.SizeNameSelectionRadius:
		return radiusRow
	case theme.SizeNameScrollBarSmall:
		return 4
	case theme.SizeNameScrollBar:
		return 8
	case theme.SizeNameInlineIcon:
		return 18
	}
	return p.Theme.Size(n)
}

// paint makes the small parts of one theme. When the theme changes, the window is built anew with another paint.
type paint struct {
	theme *porch
	dark  bool
	icons map[iconKey]fyne.Resource
}

type iconKey struct {
	name         string
	stroke, body fyne.ThemeColorName
}

func newPaint(t *porch, v fyne.ThemeVariant) *paint {
	return &paint{theme: t, dark: t.dark(v), icons: map[iconKey]fyne.Resource{}}
}

func (p *paint) colour(n fyne.ThemeColorName) color.Color {
	if n == colNone {
		return color.Transparent
	}
	if s, ok := p.theme.colours[n]; ok {
		return s.in(p.dark)
	}
	return p.theme.Color(n, theme.VariantLight)
}

// drawing returns an icon in its colours; colNone for body leaves it empty.
func (p *paint) drawing(name string, stroke, body fyne.ThemeColorName) fyne.Resource {
	k := iconKey{name, stroke, body}
	if r := p.icons[k]; r != nil {
		return r
	}
	fill := "none"
	if body != colNone {
		fill = hex(p.colour(body))
	}
	line := hex(p.colour(stroke))
	data, err := assets.Icon(name, line, fill)
	if err != nil {
		fyne.LogError("icon "+name, err)
		return theme.BrokenImageIcon()
	}
	r := fyne.NewStaticResource(name+line+fill+".svg", data)
	p.icons[k] = r
	return r
}

func hex(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

func (p *paint) icon(name string, size float32, stroke, body fyne.ThemeColorName) *canvas.Image {
	im := canvas.NewImageFromResource(p.drawing(name, stroke, body))
	im.FillMode = canvas.ImageFillContain
	im.SetMinSize(fyne.NewSquareSize(size))
	return im
}

// thing is the icon of something one can have: folders in amber, the rest quiet.
func (p *paint) thing(name string, size float32) *canvas.Image {
	stroke, body := thingColours(name)
	return p.icon(name, size, stroke, body)
}

func thingColours(name string) (stroke, body fyne.ThemeColorName) {
	if name == "folder" || name == "drive" || name == "lamp" {
		return colAccent, colTint
	}
	return colQuiet, colNone
}

func (p *paint) text(s string, size float32, c fyne.ThemeColorName) *canvas.Text {
	t := canvas.NewText(s, p.colour(c))
	t.TextSize = size
	return t
}

func (p *paint) bold(s string, size float32, c fyne.ThemeColorName) *canvas.Text {
	t := p.text(s, size, c)
	t.TextStyle.Bold = true
	return t
}

// para is text that wraps.
func (p *paint) para(s string, c fyne.ThemeColorName, size fyne.ThemeSizeName) *widget.RichText {
	r := widget.NewRichText(&widget.TextSegment{Text: s, Style: widget.RichTextStyle{ColorName: c, SizeName: size}})
	r.Wrapping = fyne.TextWrapWord
	return r
}

func (p *paint) box(fill fyne.ThemeColorName, radius float32) *canvas.Rectangle {
	r := canvas.NewRectangle(p.colour(fill))
	r.CornerRadius = radius
	return r
}

// card is a raised surface around o.
func (p *paint) card(o fyne.CanvasObject) fyne.CanvasObject {
	r := p.box(colRaised, radiusCard)
	r.StrokeColor, r.StrokeWidth = p.colour(theme.ColorNameSeparator), 1
	return container.NewStack(r, o)
}

func (p *paint) rule() fyne.CanvasObject {
	r := p.box(theme.ColorNameSeparator, 0)
	r.SetMinSize(fyne.NewSquareSize(1))
	return r
}

// dot marks how a computer is: shape and colour both tell.
func (p *paint) dot(d viewmodel.Dot) fyne.CanvasObject {
	c := canvas.NewCircle(color.Transparent)
	switch d {
	case viewmodel.DotHere:
		c.FillColor = p.colour(theme.ColorNameSuccess)
	case viewmodel.DotAway:
		c.StrokeColor, c.StrokeWidth = p.colour(colQuiet), 1.5
	case viewmodel.DotTrouble:
		return fixed(12, 16, container.NewCenter(p.bold("!", textBody, theme.ColorNameError)))
	case viewmodel.DotBlocked:
		return fixed(12, 16, container.NewCenter(p.bold("×", textBody, colQuiet)))
	case viewmodel.DotUnproven:
		three := container.New(layout.NewCustomPaddedHBoxLayout(2))
		for range 3 {
			three.Add(fixed(2, 2, canvas.NewCircle(p.colour(colQuiet))))
		}
		return fixed(12, 12, container.NewCenter(three))
	}
	return fixed(12, 12, container.NewCenter(fixed(8, 8, c)))
}

func (p *paint) badge(s string) fyne.CanvasObject {
	return container.NewStack(p.box(colTint, 8), inset(1, 1, 7, 7, p.bold(s, textCaption, colAccent)))
}

// button is one of Fyne's, so that it has focus, keys and names for screen readers.
func button(label string, main bool, do func()) *widget.Button {
	b := widget.NewButton(label, do)
	if main {
		b.Importance = widget.HighImportance
	}
	return b
}
