/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/ddmap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_ 200

int ddmap_add(struct ddmap *m, uint64_t at, uint64_t size, char state)
{
	struct ddmap_block *last = m->n ? &m->v[m->n - 1] : NULL;
	if (!size || at != (last ? last->at + last->size : 0) || at + size < at || !state ||
	    !strchr("+-?*/", state))
		return -EINVAL;
	if (last && last->state == state) {
		last->size += size;
		return 0;
	}
	if (m->n == DDMAP_BLOCKS_MAX)
		return -E2BIG;
	if (!m->v || m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 16;
		struct ddmap_block *v = realloc(m->v, cap * sizeof *v);
		if (!v)
			return -ENOMEM;
		m->v = v;
		m->cap = cap;
	}
	m->v[m->n++] = (struct ddmap_block){at, size, state};
	return 0;
}

uint64_t ddmap_sum(const struct ddmap *m, char state)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].state == state)
			sum += m->v[i].size;
	return sum;
}

int ddmap_write(const struct ddmap *m, struct buf *out)
{
	uint64_t todo = ddmap_sum(m, '?'), at = m->n && todo ? m->v[m->n - 1].at : 0;
	buf_addf(out,
	         "# Mapfile. Created by stanch\n# current_pos  current_status  current_pass\n"
	         "0x%08" PRIX64 "     %c               1\n#      pos        size  status\n",
	         at, todo ? '?' : '+');
	for (size_t i = 0; i < m->n; i++)
		buf_addf(out, "0x%08" PRIX64 "  0x%08" PRIX64 "  %c\n", m->v[i].at, m->v[i].size,
		         m->v[i].state);
	return out->error;
}

static int number(const char **p, uint64_t *ret)
{
	char *end;
	while (**p == ' ' || **p == '\t')
		(*p)++;
	if (**p < '0' || **p > '9')
		return -EBADMSG;
	errno = 0;
	*ret = strtoull(*p, &end, 0);
	*p = end;
	return errno ? -EBADMSG : 0;
}

static int read_block(const char *line, struct ddmap *m)
{
	uint64_t at, size;
	const char *p = line;
	if (number(&p, &at) || number(&p, &size))
		return -EBADMSG;
	p += strspn(p, " \t");
	char state = *p++;
	p += state ? strspn(p, " \t\r") : 0;
	if (!state || *p)
		return -EBADMSG;
	int r = ddmap_add(m, at, size, state);
	return r == -ENOMEM ? r : r ? -EBADMSG : 0;
}

int ddmap_parse(const char *text, size_t n, struct ddmap *ret, struct err *e)
{
	struct ddmap m = {0};
	unsigned no = 0;
	bool status = false;
	int r = 0;
	for (size_t at = 0; at < n && !r;) {
		char line[LINE_MAX_];
		const char *end = memchr(text + at, '\n', n - at);
		size_t len = end ? (size_t)(end - text) - at : n - at;
		no++;
		if (len >= sizeof line || memchr(text + at, 0, len)) {
			r = -EBADMSG;
			break;
		}
		memcpy(line, text + at, len);
		line[len] = 0;
		at += len + 1;
		const char *p = line + strspn(line, " \t\r");
		if (!*p || *p == '#')
			continue;
		if (status)
			r = read_block(p, &m);
		status = true;
	}
	if (!r && !m.n)
		r = -EBADMSG;
	if (r) {
		ddmap_free(&m);
		return err_set(e, r, "line %u is not one of a ddrescue map", no);
	}
	*ret = m;
	return 0;
}

void ddmap_free(struct ddmap *m)
{
	free(m->v);
	*m = (struct ddmap){0};
}
