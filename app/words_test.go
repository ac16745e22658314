package app

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"porchlight/assets"
)

// The catalogue and the sources that take words from it must fit: a missing key would show as itself, a missing parameter
// as its hole, and an unused key is translated for nobody.
//
// A key is a string like "cli.error.away"; one that ends with a dot is completed by a value, and one that begins with a dot
// (".text") completes another.

// completed says which values complete a key: the constants of a type in the sources of a folder, or these ones.
func completed() map[string]struct{ dir, constants, values string } {
	return map[string]struct{ dir, constants, values string }{
		"refusal.":       {dir: "../share/safefs", constants: "Why"},
		"cli.peer.":      {dir: "../discovery", constants: "State"},
		"cli.job.":       {dir: "../transfer", constants: "State"},
		"cli.trouble.":   {dir: "../transfer", constants: "Trouble"},
		"trouble.":       {dir: "../transfer", constants: "Trouble", values: "unknown"},
		"network.":       {dir: "../discovery", constants: "Network"},
		"cli.reason.":    {dir: "../share/safefs", constants: "Reason*"},
		"cli.kind.":      {values: "folder drive printer scanner inbox other"},
		"cli.exit.":      {values: "done failed usage no-engine not-found away"},
		"cli.column.":    {values: "name workgroup state id address kind to path job done files rate from what interface network place source got file pieces role members person via by moment at"},
		"cli.standing.":  {dir: "../discovery/workgroup", constants: "Standing"},
		"cli.removal.":   {values: "removed left lost replaced"},
		"cli.via.":       {values: "code pictures qr recovery founder"},
		"cli.whom.":      {values: "workgroup person device"},
		"queue.move.":    {dir: "../transfer", constants: "Move"},
		"cli.show.":      {values: "what state from into done files rate asked ended took average"},
		"transfer.fact.": {values: "from asked ended took average damaged into"},
		"health.":        {values: "mdns listen watch other twin key settings store store-shares store-blocked store-verified store-peers store-jobs"},
		"doctor.":        {dir: "doctor", constants: "Code"},
		"cli.doctor.":    {dir: "doctor", constants: "Level"},
	}
}

func TestEveryWordIsThereAndUsed(t *testing.T) {
	words, err := assets.Load(assets.Source)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	looks := regexp.MustCompile(`^([a-z]+)?(\.[a-z-]+)*\.?$`)
	for _, dir := range []string{".", "cli", "viewmodel", "gui"} {
		for _, f := range filesOf(t, dir) {
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := literal(n); ok && looks.MatchString(s) {
					used[s] = true
				}
				if call, ok := n.(*ast.CallExpr); ok {
					checkParams(t, words, call)
				}
				return true
			})
		}
	}
	for key := range used {
		first, _, dotted := strings.Cut(key, ".")
		if dotted && first != "" && !strings.HasSuffix(key, ".") && !words.Has(key) && slices.Contains([]string{"cli", "serve", "lab", "refusal", "error"}, first) {
			t.Errorf("no words for %s", key)
		}
	}
	for prefix, from := range completed() {
		if !used[prefix] {
			t.Errorf("nobody completes %s", prefix)
		}
		values := strings.Fields(from.values)
		if from.constants != "" {
			values = append(values, constantsIn(t, from.dir, from.constants)...)
		}
		if len(values) < 3 {
			t.Errorf("%s: only the values %q", prefix, values)
		}
		for _, v := range values {
			key := prefix + strings.ReplaceAll(v, " ", "-")
			if v != "" && !words.Has(key) {
				t.Errorf("no words for %s", key)
			}
			used[key] = true
		}
		delete(used, prefix) // nothing else completes it
	}
	for _, key := range words.Keys() {
		if !used[key] && !completes(key, used) {
			t.Errorf("nobody says %s", key)
		}
	}
}

// completes reports whether a key is a used beginning and a value, or a used key and a used ending.
func completes(key string, used map[string]bool) bool {
	if i := strings.LastIndex(key, "."); i > 0 && used[key[:i]] && used[key[i:]] {
		return true
	}
	for i := strings.LastIndex(key, "."); i > 0; i = strings.LastIndex(key[:i], ".") {
		if used[key[:i+1]] {
			return true
		}
	}
	return false
}

// checkParams compares the parameters of a call that names a key with what the text wants.
func checkParams(t *testing.T, words *assets.Words, call *ast.CallExpr) {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	if !slices.Contains([]string{"Text", "say", "done", "usage", "notFound", "failed", "sure"}, name) || call.Ellipsis.IsValid() {
		return
	}
	i := slices.IndexFunc(call.Args, func(a ast.Expr) bool {
		s, ok := literal(a)
		return ok && words.Has(s)
	})
	if i < 0 {
		return
	}
	key, _ := literal(call.Args[i])
	given := []string{}
	for j := i + 1; j < len(call.Args); j += 2 {
		s, ok := literal(call.Args[j])
		if !ok || j+1 == len(call.Args) {
			t.Errorf("%s: parameters are pairs of name and value", key)
			return
		}
		given = append(given, s)
	}
	for _, hole := range regexp.MustCompile(`\{\{\.(\w+)\}\}`).FindAllStringSubmatch(words.Text(key), -1) {
		if !slices.Contains(given, hole[1]) {
			t.Errorf("%s is said without %s", key, hole[1])
		}
	}
}

// literal is the value of a string literal.
func literal(n ast.Node) (string, bool) {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// filesOf parses the sources of a folder without its tests.
func filesOf(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// constantsIn returns the values of the string constants of a type, or of those whose names begin with "Name*".
func constantsIn(t *testing.T, dir, kind string) (all []string) {
	t.Helper()
	begin, byName := strings.CutSuffix(kind, "*")
	for _, f := range filesOf(t, dir) {
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			typed, ok := v.Type.(*ast.Ident)
			if byName && !strings.HasPrefix(v.Names[0].Name, begin) || !byName && (!ok || typed.Name != kind) {
				return true
			}
			if s, ok := literal(v.Values[0]); ok {
				all = append(all, s)
			}
			return true
		})
	}
	return all
}
