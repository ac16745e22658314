package ledger

// promote returns what became worth keeping by node i, which is not void: its ancestors that were held, itself, and what a
// ruling of it brought back, parents first.
func (g *Graph) promote(i int) (kept []*Entry) {
	free := func(i int) {
		if n := &g.nodes[i]; n.held {
			n.held = false
			g.held--
			kept = append(kept, n.Entry)
		}
	}
	if g.held > 0 {
		g.nodes[i].ancestors.each(free)
	}
	kept = append(kept, g.nodes[i].Entry)
	if g.held == 0 || !g.nodes[i].rules() {
		return kept
	}
	for j := range g.nodes { // indices grow from parents to children
		if g.nodes[j].held && !g.now.void.has(j) {
			g.nodes[j].ancestors.each(free)
			free(j)
		}
	}
	return kept
}

// Trim forgets void entries that nothing needs, but for the first MaxHeld of each author; one that was let in by such an entry
// counts as its maker. Call it when the entries that came together, as in one exchange with a peer, are all inserted: only then
// is known what they needed. Insert calls it by itself when the graph is full. The state does not change. What was forgotten
// comes again, and stays, should a ruling ever bring it back.
func (g *Graph) Trim() {
	if g.held <= MaxHeld {
		return
	}
	drop := make([]bool, len(g.nodes))
	count := map[Key]int{}
	dropped := false
	for _, i := range g.order {
		n := &g.nodes[i]
		if !n.held {
			continue
		}
		for _, p := range n.Prev {
			drop[i] = drop[i] || drop[g.index[p]]
		}
		if !drop[i] {
			maker := g.maker(i)
			count[maker]++
			drop[i] = count[maker] > MaxHeld
		}
		dropped = dropped || drop[i]
	}
	if dropped {
		g.rebuild(drop)
	}
}

// maker returns who answers for the held node i: its author, or who let that one in by a held entry, and so on.
func (g *Graph) maker(i int) Key {
	for g.nodes[i].group != recovery && g.nodes[g.nodes[i].group].held {
		i = g.nodes[i].group
	}
	return g.nodes[i].Author
}

// rebuild makes the graph anew without the dropped nodes, all of which are held.
func (g *Graph) rebuild(drop []bool) {
	old := *g
	*g = Graph{index: map[Hash]int{}, number: map[Key]int{}, newer: old.newer}
	where := make([]int, len(old.nodes))
	for i, n := range old.nodes {
		if drop[i] {
			continue
		}
		fresh := node{Entry: n.Entry, held: n.held}
		if n.group == recovery {
			fresh.group = recovery
		} else {
			fresh.group = where[n.group]
		}
		for _, p := range n.Prev {
			at := g.index[p]
			fresh.ancestors.or(g.nodes[at].ancestors)
			fresh.ancestors.add(at)
		}
		if n.held {
			g.held++
		}
		where[i] = g.link(fresh)
	}
	g.now = g.resolve(g.all)
}
