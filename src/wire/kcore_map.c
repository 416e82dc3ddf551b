/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/kcore_map.h"

#include <errno.h>
#include <stdlib.h>

#include "base/sys.h"

/* On x86-64 the kernel's text and modules are above this: no direct map. */
#define TEXT_BASE UINT64_C(0xffffffff80000000)

static bool usable(const struct elf_segment *s)
{
	return s->type == PT_LOAD && s->filesz && s->offset <= UINT64_MAX - s->filesz;
}

/* Do the headers tell physical addresses? */
static bool told(const struct elf_segment *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (usable(&s[i]) && s[i].paddr)
			return true;
	return false;
}

/* The physical range of a segment; false: it is none of memory. */
static bool phys_of(const struct elf_segment *s, bool guessed, uint64_t base,
                    struct phys_range *ret)
{
	uint64_t first = guessed ? s->vaddr - base : s->paddr;
	if (!usable(s) ||
	    (guessed ? s->vaddr < base || s->vaddr >= TEXT_BASE : s->paddr == UINT64_MAX))
		return false;
	if (first > UINT64_MAX - (s->filesz - 1))
		return false;
	*ret = (struct phys_range){first, first + (s->filesz - 1)};
	return true;
}

/* Bytes that both have. */
static uint64_t shared(const struct phys_range *a, const struct phys_range *b)
{
	uint64_t first = a->first > b->first ? a->first : b->first;
	uint64_t last = a->last < b->last ? a->last : b->last;
	return first > last ? 0 : last - first + 1;
}

/* How much of the memory's beginnings the segments have if the direct map begins at base. A range
 * is counted once, by its first page: what is to be told apart are places, not sizes. */
static size_t fit(const struct elf_segment *s, size_t n, uint64_t base, uint64_t size_max,
                  const struct phys_range *ram, size_t n_ram)
{
	size_t hits = 0;
	for (size_t k = 0; k < n_ram; k++) {
		for (size_t i = 0; i < n; i++) {
			struct phys_range p;
			if (phys_of(&s[i], true, base, &p) && s[i].filesz <= size_max &&
			    shared(&p, &ram[k]) >= phys_range_len(&ram[k]) / 2 + 1) {
				hits++;
				break;
			}
		}
	}
	return hits;
}

/* The base that fits best; of equals the lowest. Windows of addresses that are larger than the
 * memory (vmalloc) would fit anywhere and are left out. */
static bool guess_base(const struct elf_segment *s, size_t n, const struct phys_range *ram,
                       size_t n_ram, uint64_t *ret)
{
	uint64_t size_max = n_ram ? ram[n_ram - 1].last : 0;
	size_t best = 0, tries = n < 256 ? n : 256;
	for (size_t i = 0; i < tries; i++) {
		if (!usable(&s[i]) || s[i].filesz > size_max || s[i].vaddr >= TEXT_BASE ||
		    s[i].vaddr < ram[0].first)
			continue;
		uint64_t base = s[i].vaddr - ram[0].first;
		size_t hits = fit(s, n, base, size_max, ram, n_ram < 64 ? n_ram : 64);
		if (hits > best || (hits && hits == best && base < *ret)) {
			best = hits;
			*ret = base;
		}
	}
	return best > 0;
}

static bool any_shared(const struct phys_range *p, const struct phys_range *ram, size_t n_ram)
{
	for (size_t i = 0; i < n_ram; i++)
		if (shared(p, &ram[i]))
			return true;
	return false;
}

int kcore_map_make(const struct elf_segment *s, size_t n, const struct phys_range *ram,
                   size_t n_ram, struct kcore_map *ret, struct err *e)
{
	struct kcore_map m = {.guessed = !told(s, n)};
	uint64_t size_max = n_ram ? ram[n_ram - 1].last : 0;
	if (m.guessed && !guess_base(s, n, ram, n_ram, &m.page_offset))
		return err_set(e, -ENOENT,
		               "no segment of /proc/kcore fits the memory that /proc/iomem names");
	m.v = calloc(n ? n : 1, sizeof(*m.v));
	if (!m.v)
		return err_set(e, -ENOMEM, "out of memory");
	/* Twice over: what lies above TEXT_BASE repeats the direct map, and comes behind it. */
	for (int text = 0; text < 2; text++) {
		for (size_t i = 0; i < n; i++) {
			struct phys_range p;
			if ((s[i].vaddr >= TEXT_BASE) != text ||
			    !phys_of(&s[i], m.guessed, m.page_offset, &p) ||
			    (m.guessed && s[i].filesz > size_max) || !any_shared(&p, ram, n_ram))
				continue;
			m.v[m.n++] = (struct kcore_piece){p, s[i].offset};
		}
	}
	if (!m.n) {
		kcore_map_free(&m);
		return err_set(e, -ENOENT, "no segment of /proc/kcore has any of the memory");
	}
	*ret = m;
	return 0;
}

void kcore_map_free(struct kcore_map *m)
{
	if (!m)
		return;
	free(m->v);
	*m = (struct kcore_map){0};
}

bool kcore_map_find(const struct kcore_map *m, uint64_t phys, uint64_t *ret_offset,
                    uint64_t *ret_len)
{
	uint64_t gap = UINT64_MAX;
	for (size_t i = 0; i < m->n; i++) {
		const struct kcore_piece *p = &m->v[i];
		if (phys >= p->phys.first && phys <= p->phys.last) {
			*ret_offset = p->offset + (phys - p->phys.first);
			*ret_len = p->phys.last - phys == UINT64_MAX ? UINT64_MAX
			                                             : p->phys.last - phys + 1;
			return true;
		}
		if (p->phys.first > phys && p->phys.first - phys < gap)
			gap = p->phys.first - phys;
	}
	*ret_len = gap;
	return false;
}
