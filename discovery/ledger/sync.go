package ledger

import (
	"bytes"
	"iter"
	"slices"
)

// Two ledgers are compared by what is not void and what that rests on; the rest has no effect, and who has which of it depends
// on the order of arrival. So equal states have equal heads.

// Len returns how many entries are not void, or needed by one that is not.
func (g *Graph) Len() int { return len(g.sum().list) }

// Entries yields those entries, parents before children: what a new member is given. (What was ever returned as kept is to be
// stored, though: a ruling may bring it back.) The graph must not be changed meanwhile.
func (g *Graph) Entries() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		for _, i := range g.sum().list {
			if !yield(g.nodes[i].Entry) {
				return
			}
		}
	}
}

// Entry returns the entry of an ID, void or not.
func (g *Graph) Entry(id Hash) (*Entry, bool) {
	i, ok := g.index[id]
	if !ok {
		return nil, false
	}
	return g.nodes[i].Entry, true
}

// IsVoid reports whether the entry is here and has no effect.
func (g *Graph) IsVoid(id Hash) bool {
	i, ok := g.index[id]
	return ok && g.now.void.has(i)
}

// Heads returns the newest entries, ascending: those that no other rests on. Of more than MaxParents, the last in order.
// With Len they are the summary by which two ledgers are compared.
func (g *Graph) Heads() []Hash { return g.hashes(g.sum().heads) }

// HeadsWithout returns the heads there would be without some entries and all that rests on them: the parents of an entry whose
// author rules as if they had never been. Without the genesis there are none.
func (g *Graph) HeadsWithout(ids ...Hash) []Hash {
	var out set
	for _, id := range ids {
		if i, ok := g.index[id]; ok {
			out.add(i)
		}
	}
	var list []int
	for _, i := range g.sum().list {
		rests := out.has(i)
		out.each(func(o int) { rests = rests || g.nodes[i].ancestors.has(o) })
		if !rests {
			list = append(list, i)
		}
	}
	return g.hashes(g.headsOf(list))
}

// headsOf returns those of list, which is in order and holds the parents of its members, that are nobody's parent.
func (g *Graph) headsOf(list []int) (heads []int) {
	var parents set
	for _, i := range list {
		for _, p := range g.nodes[i].Prev {
			parents.add(g.index[p])
		}
	}
	for _, i := range list {
		if !parents.has(i) {
			heads = append(heads, i)
		}
	}
	return heads[max(0, len(heads)-MaxParents):]
}

func (g *Graph) hashes(list []int) []Hash {
	ids := make([]Hash, 0, len(list))
	for _, i := range list {
		ids = append(ids, g.nodes[i].id)
	}
	slices.SortFunc(ids, func(a, b Hash) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// Draft returns an entry of kind k on top of everything, for the caller to complete and Sign.
func (g *Graph) Draft(k Kind) Body {
	b, _ := g.DraftOn(k, g.Heads()) // its own heads are here
	return b
}

// DraftOn is Draft with chosen parents, which must be here.
func (g *Graph) DraftOn(k Kind, prev []Hash) (Body, error) {
	b := Body{Workgroup: g.Workgroup(), Kind: k, Prev: prev}
	for _, p := range prev {
		i, ok := g.index[p]
		if !ok {
			return Body{}, ErrParent
		}
		b.Depth = max(b.Depth, g.nodes[i].Depth+1)
	}
	return b, nil
}

// Prefixes returns the starts of the IDs of Entries, in its order: what a peer needs to find out what each side lacks.
func (g *Graph) Prefixes() []Prefix {
	list := g.sum().list
	out := make([]Prefix, len(list))
	for k, i := range list {
		out[k] = g.nodes[i].id.Prefix()
	}
	return out
}

// Diff compares with the Prefixes of a peer: want is what only it has, give what only this side has, parents first.
func (g *Graph) Diff(theirs []Prefix) (want []Prefix, give []*Entry) {
	have := make(map[Prefix]bool, len(theirs))
	for _, p := range theirs {
		have[p] = true
	}
	ours := make(map[Prefix]bool, len(g.nodes))
	for i := range g.nodes {
		ours[g.nodes[i].id.Prefix()] = true
	}
	for _, p := range theirs {
		if !ours[p] {
			want = append(want, p)
		}
	}
	for e := range g.Entries() {
		if !have[e.id.Prefix()] {
			give = append(give, e)
		}
	}
	return want, give
}
