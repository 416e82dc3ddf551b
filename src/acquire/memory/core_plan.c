/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/memory/core_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "wire/procmaps.h"

#define PAGE          4096u
#define PAGES_AT_ONCE 8192u
#define THERE         (UINT64_C(3) << 62) /* present, or swapped out */
#define GAP_MIN       16                  /* pages: shorter gaps are read as well */
#define SEGMENTS_MAX  60000
#define NAMES_MAX     (64u << 20)

struct planning {
	struct core_plan *plan;
	int pagemap;
	uint64_t *block; /* of PAGES_AT_ONCE */
	uint64_t gap;    /* pages */
};

static int add(struct core_plan *p, const struct procmap *m, uint64_t from, uint64_t to, bool there)
{
	if (from == to)
		return 0;
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 256;
		struct elf_segment *v = realloc(p->segments, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->segments = v;
		p->cap = cap;
	}
	p->segments[p->n++] = (struct elf_segment){
	    .type = PT_LOAD,
	    .flags = (m->read ? PF_R : 0u) | (m->write ? PF_W : 0u) | (m->exec ? PF_X : 0u),
	    .vaddr = from,
	    .memsz = to - from,
	    .filesz = there ? to - from : 0,
	};
	p->bytes += there ? to - from : 0;
	return p->n > SEGMENTS_MAX ? -E2BIG : 0;
}

/* n entries from page `first` on; false: they cannot be read. */
static bool read_pagemap(int fd, uint64_t first, uint64_t *dst, size_t n)
{
	size_t done = 0;
	while (done < n * 8) {
		ssize_t r =
		    sys->pread(fd, (uint8_t *)dst + done, n * 8 - done, (off_t)(first * 8 + done));
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		done += (size_t)r;
	}
	return true;
}

/* A mapping cut into what is there and what never was; gaps below p->gap pages are taken in. */
static int cut(struct planning *p, const struct procmap *m)
{
	uint64_t begin = m->start / PAGE, end = m->end / PAGE;
	uint64_t run = begin,
	         last = 0; /* the run begins there; behind its last page that is there */
	bool absent = false;
	int r = 0;
	for (uint64_t at = begin; at < end && r == 0;) {
		size_t n = end - at < PAGES_AT_ONCE ? (size_t)(end - at) : PAGES_AT_ONCE;
		if (!read_pagemap(p->pagemap, at, p->block, n))
			return add(p->plan, m, run * PAGE, m->end, true);
		for (size_t i = 0; i < n && r == 0; i++) {
			if (!(p->block[i] & THERE))
				continue;
			uint64_t page = at + i, known = last ? last : run;
			if (page - known >= p->gap) {
				r = add(p->plan, m, run * PAGE, known * PAGE, last != 0);
				if (r == 0)
					r = add(p->plan, m, known * PAGE, page * PAGE, false);
				run = page;
				absent = true;
			}
			last = page + 1;
		}
		at += n;
	}
	uint64_t known = last ? last : run;
	if (r == 0)
		r = add(p->plan, m, run * PAGE, known * PAGE, true);
	if (r == 0)
		r = add(p->plan, m, known * PAGE, m->end, false);
	p->plan->n_absent += absent || known * PAGE != m->end;
	return r;
}

static int skip(struct core_plan *p, const struct procmap *m)
{
	struct phys_range *v = realloc(p->skipped, (p->n_skipped + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->skipped = v;
	v[p->n_skipped++] = (struct phys_range){m->start, m->end - 1};
	return add(p, m, m->start, m->end, false);
}

static int note_file(struct core_plan *p, const struct procmap *m)
{
	if (!m->path_len || m->path[0] != '/')
		return 0;
	if (p->n_files == p->cap_files) {
		size_t cap = p->cap_files ? 2 * p->cap_files : 64;
		struct elf_file *v = realloc(p->files, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->files = v;
		p->cap_files = cap;
	}
	/* The path's place for now, since the buffer may move. */
	size_t at = p->names.len;
	if (buf_add(&p->names, m->path, m->path_len) < 0 || buf_add_u8(&p->names, 0) < 0)
		return p->names.error;
	p->files[p->n_files++] =
	    (struct elf_file){m->start, m->end, m->offset / PAGE, (const char *)at};
	return 0;
}

static int take(struct planning *p, const struct procmap *m)
{
	/* Above are the kernel's own pages (vsyscall), which no call reads. */
	if (m->end > (uint64_t)INT64_MAX)
		return 0;
	int r = note_file(p->plan, m);
	if (r < 0)
		return r;
	/* Nobody could have put anything into what was only reserved. */
	bool reserved = !m->read && !m->write && !m->exec && procmap_anonymous(m);
	if (m->end - m->start > CORE_MAPPING_MAX) {
		p->plan->n_absent += reserved;
		return reserved ? add(p->plan, m, m->start, m->end, false) : skip(p->plan, m);
	}
	/* The kernel's own page in the process does not stand in its page table. */
	bool vdso = m->path_len == 6 && !memcmp(m->path, "[vdso]", 6);
	if (procmap_anonymous(m) && !vdso && p->pagemap >= 0)
		return cut(p, m);
	return add(p->plan, m, m->start, m->end, true);
}

static int take_all(struct planning *p, const struct buf *maps)
{
	struct cursor c = cursor_of(maps->data, maps->len);
	struct procmap m;
	int r = 0, k = 0;
	while (r == 0 && (k = procmap_next(&c, &m)) == 1)
		r = take(p, &m);
	return r < 0 ? r : k;
}

int core_plan_make(const struct buf *maps, int pagemap, struct core_plan *ret, struct err *e)
{
	struct core_plan plan = {0};
	_cleanup_free_ uint64_t *block = calloc(PAGES_AT_ONCE, sizeof(*block));
	int r = block ? -E2BIG : -ENOMEM;
	/* Where a process has that many holes, longer ones are read as well. */
	for (uint64_t gap = GAP_MIN; r == -E2BIG && gap <= GAP_MIN << 12; gap *= 16) {
		core_plan_free(&plan);
		plan.names = BUF_INIT(NAMES_MAX);
		r = take_all(&(struct planning){&plan, pagemap, block, gap}, maps);
	}
	if (r < 0) {
		core_plan_free(&plan);
		return err_set(e, r, "the process's mappings: %s",
		               r == -E2BIG ? "more than a core file may have" : strerror(-r));
	}
	for (size_t i = 0; i < plan.n_files; i++)
		plan.files[i].path = (const char *)plan.names.data + (size_t)plan.files[i].path;
	*ret = plan;
	return 0;
}

void core_plan_free(struct core_plan *p)
{
	free(p->segments);
	free(p->files);
	free(p->skipped);
	buf_free(&p->names);
	*p = (struct core_plan){0};
}
