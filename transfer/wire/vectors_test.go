package wire

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorsFile = "testdata/vectors.json"

// TestVectorsFile: the tables of PROTOCOL.md, each line of which other tests reproduce, are there as a file for other implementations.
func TestVectorsFile(t *testing.T) {
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "\n## Vectors\n")
	if !ok {
		t.Fatal("PROTOCOL.md has no vectors")
	}
	// by the first word of the head of a table
	names := map[string]string{"seed": "devices", "size": "content", "message": "messages", "what": "signed", "header": "headers"}
	all := map[string][]map[string]string{}
	var head []string
	for line := range strings.SplitSeq(section, "\n") {
		cells, row := strings.CutPrefix(line, "| ")
		cells, whole := strings.CutSuffix(cells, " |")
		switch fields := strings.Split(cells, " | "); {
		case strings.HasPrefix(line, "|---"):
		case !row || !whole:
			head = nil
		case head == nil:
			if head = fields; names[head[0]] == "" {
				t.Fatalf("a table with an unknown head: %q", line)
			}
		case len(fields) != len(head):
			t.Fatalf("%q has not %d cells", line, len(head))
		default:
			entry := map[string]string{}
			for i, f := range fields {
				entry[head[i]] = strings.Trim(f, "`")
			}
			all[names[head[0]]] = append(all[names[head[0]]], entry)
		}
	}
	for _, name := range names {
		if len(all[name]) == 0 {
			t.Errorf("there are no vectors of %s", name)
		}
	}
	want, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(vectorsFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(vectorsFile); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what PROTOCOL.md says (%v): go test -run Vectors -update", vectorsFile, err)
	}
}
