package download

import (
	"cmp"
	"slices"

	"porchlight/share/content"
	"porchlight/transfer"
)

// Pieces shows which pieces of the large files under way of a job are here: of the first transfer.MaxMaps of them by name.
func (m *Manager) Pieces(id transfer.JobID) ([]transfer.FileMap, error) {
	m.mu.Lock()
	i := slices.IndexFunc(m.tasks, func(t *task) bool { return t.job.ID == id })
	if i < 0 {
		m.mu.Unlock()
		return nil, transfer.ErrNoJob
	}
	parts := m.tasks[i].parts
	m.mu.Unlock()
	return parts.maps(), nil
}

// maps draws the files under way.
func (s *partials) maps() []transfer.FileMap {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := make([]*partial, 0, len(s.byPath))
	for _, b := range s.byPath {
		files = append(files, b)
	}
	slices.SortFunc(files, func(a, b *partial) int { return cmp.Compare(a.src, b.src) })
	var out []transfer.FileMap
	for _, b := range files[:min(len(files), transfer.MaxMaps)] {
		out = append(out, b.draw())
	}
	return out
}

// draw counts what is here in each part of a file.
func (b *partial) draw() transfer.FileMap {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := transfer.FileMap{Path: b.src, Size: b.size, Pieces: len(b.have)}
	parts := min(len(b.have), transfer.MaxMapParts)
	f.Parts = make([]uint8, parts)
	for k := range parts {
		from, to := k*len(b.have)/parts, (k+1)*len(b.have)/parts
		var got, all int64
		for i := from; i < to; i++ {
			n := int64(content.PieceLen(b.size, i))
			all += n
			if b.have[i] {
				got += n
				f.Have++
			}
		}
		if all == 0 { // the one piece of an empty file
			continue
		}
		f.Parts[k] = uint8(got * 255 / all)
	}
	return f
}
