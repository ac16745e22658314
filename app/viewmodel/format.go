package viewmodel

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"porchlight/assets"
	"porchlight/share"
	"porchlight/share/safefs"
)

// Format writes numbers, sizes and times as the language of the words does. A value.
type Format struct{ words *assets.Words }

// NewFormat returns the format of a language.
func NewFormat(w *assets.Words) Format { return Format{words: w} }

// Size writes bytes with three digits that count, in units of 1000 as disks are sold and file managers count: "5.99 MB".
func (f Format) Size(n int64) string {
	if n < 0 {
		n = 0
	}
	if n < 1000 {
		return f.words.Text("size.bytes", "Count", n)
	}
	x, unit := float64(n), 0
	for units := len(sizeUnits); x >= 999.5 && unit < units; unit++ {
		x /= 1000
	}
	places := 0
	switch {
	case x < 9.995:
		places = 2
	case x < 99.95:
		places = 1
	}
	return f.decimal(strconv.FormatFloat(x, 'f', places, 64)) + "\u00a0" + sizeUnits[unit-1:unit] + "B"
}

// sizeUnits are the letters before B, each a thousand times the one before.
const sizeUnits = "kMGTPE"

// Rate writes bytes per second.
func (f Format) Rate(n int64) string { return f.words.Text("rate", "Size", f.Size(n)) }

// Count writes a number with its thousands set apart.
func (f Format) Count(n int) string {
	s := strconv.Itoa(n)
	sep := f.words.Text("format.thousands")
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + sep + s[i:]
	}
	return s
}

// Percent writes how much of all is done, rounded down so that 100 % means all.
func (f Format) Percent(done, all int64) string {
	p := int64(0)
	if all > 0 {
		p = int64(float64(done) / float64(all) * 100)
	}
	if done < all {
		p = min(p, 99)
	}
	return f.words.Text("percent", "N", min(p, 100))
}

// Left writes a time to go, coarsely, because nobody knows it better: "2 min left". Nothing for an unknown one.
func (f Format) Left(d time.Duration) string {
	minutes := int((d + 30*time.Second) / time.Minute)
	switch {
	case d <= 0:
		return ""
	case d < 10*time.Second:
		return f.words.Text("left.soon")
	case d < 55*time.Second:
		return f.words.Text("left.seconds", "N", int(d/(10*time.Second))*10)
	case minutes < 60:
		return f.words.Text("left.minutes", "N", max(minutes, 1))
	case minutes < 24*60:
		return f.words.Text("left.hours", "H", minutes/60, "M", minutes%60)
	}
	return f.words.Text("left.days", "Count", minutes/(24*60))
}

// Took writes how long something went on: "42 s", "3 min 20 s", "2 h 5 min".
func (f Format) Took(d time.Duration) string {
	s := int(max(d, 0).Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return f.words.Text("took.seconds", "S", s)
	case s < 3600:
		return f.words.Text("took.minutes", "M", s/60, "S", s%60)
	}
	return f.words.Text("took.hours", "H", s/3600, "M", s/60%60)
}

// When writes a moment as one would say it on the day of now: "Today 09:41", "Yesterday 18:20", "12 Aug 2024".
func (f Format) When(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(now.Location())
	clock := f.words.Text("time.clock", "H", fmt.Sprintf("%02d", t.Hour()), "M", fmt.Sprintf("%02d", t.Minute()))
	switch day(t) {
	case day(now):
		return f.words.Text("time.today", "Time", clock)
	case day(now.AddDate(0, 0, -1)):
		return f.words.Text("time.yesterday", "Time", clock)
	}
	return f.Date(t)
}

// Moment writes a moment so that somebody remembers it: "Tuesday 14:02" in the last days, else "12 Aug 2024, 14:02".
func (f Format) Moment(t, now time.Time) string {
	t = t.In(now.Location())
	days := strings.Fields(f.words.Text("time.weekdays"))
	clock := f.words.Text("time.clock", "H", fmt.Sprintf("%02d", t.Hour()), "M", fmt.Sprintf("%02d", t.Minute()))
	switch age := now.Sub(t); {
	case age < 24*time.Hour && age > -24*time.Hour:
		return f.When(t, now)
	case age > 0 && age < 6*24*time.Hour && len(days) == 7:
		return f.words.Text("time.weekday", "Day", days[int(t.Weekday())], "Time", clock)
	}
	return f.words.Text("time.long", "Date", f.Date(t), "Time", clock)
}

// Date writes a day: "12 Aug 2024".
func (f Format) Date(t time.Time) string {
	months := strings.Fields(f.words.Text("time.months"))
	month := t.Month().String()
	if len(months) == 12 {
		month = months[t.Month()-1]
	}
	return f.words.Text("time.date", "Day", t.Day(), "Month", month, "Year", t.Year())
}

func day(t time.Time) string { return t.Format(time.DateOnly) }

func (f Format) decimal(s string) string {
	return strings.Replace(s, ".", f.words.Text("format.decimal"), 1)
}

// kindKey is the key of the words for the sort of an entry; of what cannot be opened they say why.
func kindKey(e share.Entry) string {
	if e.Kind == share.Other {
		if key := map[string]string{
			safefs.ReasonLink: "kind.link", safefs.ReasonMount: "kind.disk", safefs.ReasonName: "kind.name",
			safefs.ReasonDeep: "kind.deep", safefs.ReasonAccess: "kind.access", safefs.ReasonBroken: "kind.damaged",
		}[e.Reason]; key != "" {
			return key
		}
	}
	return "kind." + kindOf(e)
}

// kindOf returns the sort of a file by the ending of its name, "picture" and so on: the key of its words under "kind.".
func kindOf(e share.Entry) string {
	switch e.Kind {
	case share.Dir:
		return "folder"
	case share.Other:
		return "other"
	}
	ext := strings.ToLower(strings.TrimPrefix(path.Ext(e.Name()), "."))
	if ext == "" {
		return "file"
	}
	for _, k := range []struct{ kind, endings string }{
		{"picture", " jpg jpeg png gif webp heic heif avif tif tiff bmp svg raw cr2 cr3 nef arw dng orf psd xcf "},
		{"film", " mp4 m4v mkv mov avi webm mpg mpeg wmv mts m2ts 3gp ogv "},
		{"music", " mp3 flac ogg oga opus m4a aac wav wma aif aiff mid "},
		{"pdf", " pdf "},
		{"document", " odt doc docx rtf pages epub mobi djvu tex "},
		{"sheet", " ods xls xlsx csv tsv numbers "},
		{"slides", " odp ppt pptx key "},
		{"text", " txt md log ini cfg conf json xml yaml yml toml html htm css "},
		{"archive", " zip tar gz tgz bz2 xz zst 7z rar iso dmg cab deb rpm "},
		{"program", " exe msi app appimage sh bat cmd ps1 jar apk so dll "},
		{"code", " go c h cpp hpp rs py js ts java kt rb php pl lua swift sql "},
	} {
		if strings.Contains(k.endings, " "+ext+" ") {
			return k.kind
		}
	}
	return "file"
}

// iconOf returns the drawing of a kind.
func iconOf(kind string) string {
	switch kind {
	case "folder", "film", "music", "sheet", "slides", "archive", "program", "other":
		return kind
	case "picture":
		return "image"
	case "pdf", "document", "text", "code":
		return "doc"
	}
	return "file"
}

// shareIcon returns the drawing of a kind of share.
func shareIcon(k share.Kind) string {
	if k == share.Drive {
		return "drive"
	}
	return "folder"
}
