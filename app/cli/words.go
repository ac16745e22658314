package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/app/store"
	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/discovery/identity"
	"porchlight/share"
	"porchlight/share/catalogue"
	"porchlight/share/safefs"
	"porchlight/transfer"
)

// words are those of one language, and numbers as it writes them. Values in JSON ("folder", "online") are not words.
type words struct{ *assets.Words }

// language is what the environment of Unix asks for: the first of these that is set decides, even if there are no words for
// it. English where nothing is set.
func language(getenv func(string) string) string {
	if getenv == nil {
		return assets.Source
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			return assets.Match(v)
		}
	}
	return assets.Source
}

// size is a number of bytes as people say it, in steps of 1000.
func (w words) size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return strings.Replace(fmt.Sprintf("%.1f %s", v, unit), ".", w.Text("format.decimal"), 1)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// count is a number with its thousands apart.
func (w words) count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + w.Text("format.thousands") + s[i:]
	}
	return s
}

func (w words) rate(n int64) string { return w.Text("rate", "Size", w.size(n)) }

// left is a time to go, as on a clock; empty for an unknown one.
func (w words) left(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case d <= 0:
		return ""
	case s < 3600:
		return w.Text("cli.get.left", "Time", fmt.Sprintf("%d:%02d", s/60, s%60))
	}
	return w.Text("cli.get.left", "Time", fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60))
}

// title names what a job brings; several things are counted.
func (w words) title(j transfer.Job) string {
	if n := len(j.Request.Paths); j.Title == "" && n > 1 {
		return w.Text("cli.items", "Count", n, "N", w.count(n))
	}
	return show(j.Title)
}

// trouble says why a job or a file does not go on; empty for no trouble.
func (w words) trouble(t transfer.Trouble) string {
	if t == transfer.NoTrouble {
		return ""
	}
	return w.value("cli.trouble.", string(t))
}

// value is a word of a fixed list. One that is not in it, as a neighbour of another version may send, is shown as it is.
func (w words) value(list, name string) string {
	if key := list + strings.ReplaceAll(name, " ", "-"); w.Has(key) {
		return w.Text(key)
	}
	return show(name)
}

// newer says in one line that neighbours run a newer Porchlight, "" if none does.
func (w words) newer(all []discovery.Peer) string {
	only, too := 0, 0
	for _, p := range all {
		switch {
		case p.Newer && p.State == discovery.Online:
			too++
		case p.Newer:
			only++
		}
	}
	switch {
	case only > 0:
		return w.Text("neighbours.newer", "Count", only)
	case too > 0:
		return w.Text("neighbours.newer-too")
	}
	return ""
}

// health says what does not work on this computer.
func (w words) health(h discovery.Health) string {
	key := "health." + h.Service
	if !w.Has(key) {
		key = "health.other"
	}
	return w.Text(key, "Service", show(h.Service), "Why", show(h.Trouble))
}

// failure is an error that knows its exit code and has words.
type failure struct {
	code  int
	said  []sentence // one to a line
	cause error      // may be nil
}

// sentence is a text of the catalogue, before it is known in which language. Its parameters are safe to print, or terms.
type sentence struct {
	key    string
	params []any
}

// term is a parameter that is a word itself: see words.value.
type term struct{ list, name string }

func (f *failure) Error() string {
	var keys []string
	for _, s := range f.said {
		keys = append(keys, fmt.Sprint(s.key, s.params))
	}
	return strings.Join(keys, "; ")
}

func (f *failure) Unwrap() error { return f.cause }

func failed(code int, cause error, key string, params ...any) *failure {
	return &failure{code: code, said: []sentence{{key, params}}, cause: cause}
}

func usage(key string, params ...any) error {
	return &failure{code: exitUsage, said: []sentence{{key, params}, {"cli.usage.see-help", nil}}}
}

func notFound(key string, params ...any) error { return failed(exitNotFound, nil, key, params...) }

// explain turns an error into words and an exit code.
func (w words) explain(err error) (string, int) {
	if f := (*failure)(nil); errors.As(err, &f) {
		var lines []string
		for _, s := range f.said {
			params := slices.Clone(s.params)
			for i, p := range params {
				if t, ok := p.(term); ok {
					params[i] = w.value(t.list, t.name)
				}
			}
			lines = append(lines, w.Text(s.key, params...))
		}
		return strings.Join(lines, "\n"), f.code
	}
	if r := (*safefs.Refusal)(nil); errors.As(err, &r) {
		return w.Text("cli.error.not-shareable", "Place", show(r.Place), "Why", w.value("refusal.", string(r.Why))), exitFailed
	}
	for _, k := range slices.Concat(groupErrors(), errorWords()) {
		if errors.Is(err, k.is) {
			return w.Text(k.key, "Why", show(err.Error())), k.code
		}
	}
	return show(err.Error()), exitFailed
}

// said is what is said about a sentinel.
type said struct {
	is   error
	code int
	key  string
}

// errorWords are the errors that a command does not explain itself; of several that fit, the first.
func errorWords() []said {
	out := []said{
		{control.ErrNoEngine, exitNoEngine, "cli.error.engine-ended"},
		{control.ErrVersion, exitFailed, "cli.error.version"},
		{config.ErrLocked, exitFailed, "cli.error.locked"},
		{config.ErrDamaged, exitFailed, "cli.error.settings"},
		{config.ErrNewer, exitFailed, "cli.error.newer-settings"},
		{store.ErrNewer, exitFailed, "cli.error.newer"},
		{store.ErrNoAccess, exitFailed, "cli.error.no-access"},
		{store.ErrDamaged, exitFailed, "cli.error.database"},
		{identity.ErrTaken, exitFailed, "cli.error.identity-taken"},
		{identity.ErrMissing, exitNotFound, "cli.error.no-key"},
		{identity.ErrDamaged, exitFailed, "cli.error.bad-identity"},
		{fs.ErrExist, exitFailed, "cli.error.exists"},
		{ErrNoWindow, exitFailed, "cli.error.no-window"},
		{transfer.ErrNoJob, exitNotFound, "cli.error.no-job"},
		{transfer.ErrState, exitFailed, "cli.error.job-state"},
		{transfer.ErrLimits, exitFailed, "cli.error.limits"},
		{transfer.ErrAway, exitAway, "cli.error.away"},
		{catalogue.ErrTaken, exitFailed, "cli.error.share-taken"},
		{catalogue.ErrShared, exitFailed, "cli.error.share-twice"},
		{catalogue.ErrMany, exitFailed, "cli.error.share-many"},
		{catalogue.ErrUnknown, exitNotFound, "cli.error.share-unknown"},
		{catalogue.ErrName, exitFailed, "cli.error.name"},
		{transfer.ErrGone, exitNotFound, "cli.error.gone"},
		{safefs.ErrGone, exitNotFound, "cli.error.not-here"},
		{fs.ErrNotExist, exitNotFound, "cli.error.not-here"},
		{transfer.ErrBusy, exitFailed, "cli.error.busy"},
		{transfer.ErrFull, exitFailed, "cli.error.full"},
		{safefs.ErrFull, exitFailed, "cli.error.full"},
		{transfer.ErrChanged, exitFailed, "cli.error.changed"},
		{transfer.ErrLimit, exitFailed, "cli.error.limit"},
		{transfer.ErrProtocol, exitFailed, "cli.error.protocol"},
		{transfer.ErrBroken, exitFailed, "cli.error.broken"},
		{transfer.ErrUnsupported, exitFailed, "cli.error.unsupported"},
		{discovery.ErrName, exitFailed, "cli.error.name"},
		{share.ErrGrant, exitFailed, "cli.error.grant"},
		{share.ErrPath, exitNotFound, "cli.error.path"},
		{fs.ErrPermission, exitFailed, "cli.error.permission"},
		{context.Canceled, exitFailed, "cli.error.interrupted"},
		{context.DeadlineExceeded, exitFailed, "cli.error.slow"},
	}
	for _, err := range config.DiskFull() {
		out = append(out, said{err, exitFailed, "cli.error.own-full"})
	}
	for _, err := range config.DiskReadOnly() {
		out = append(out, said{err, exitFailed, "cli.error.own-read-only"})
	}
	return out
}
