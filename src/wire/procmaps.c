/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/procmaps.h"

#include <errno.h>
#include <string.h>

static int digit(uint8_t c, unsigned base)
{
	int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
	return v < (int)base ? v : -1;
}

/* A number and the byte behind it. */
static bool number(struct cursor *c, unsigned base, char then, uint64_t *ret)
{
	uint64_t v = 0;
	const uint8_t *begin = c->p;
	for (int d; c->p < c->end && (d = digit(*c->p, base)) >= 0; c->p++) {
		if (v > (UINT64_MAX - (unsigned)d) / base)
			return false;
		v = v * base + (unsigned)d;
	}
	if (c->p == begin || c->p == c->end || *c->p != (uint8_t)then)
		return false;
	c->p++;
	*ret = v;
	return true;
}

static bool perms(struct cursor *c, struct procmap *m)
{
	const uint8_t *p;
	if (!cursor_take(c, 5, &p) || p[4] != ' ')
		return false;
	m->read = p[0] == 'r';
	m->write = p[1] == 'w';
	m->exec = p[2] == 'x';
	m->shared = p[3] == 's';
	return true;
}

int procmap_next(struct cursor *c, struct procmap *ret)
{
	struct procmap m = {0};
	struct cursor at = *c;
	uint64_t major, minor;
	const uint8_t *end;
	if (!cursor_left(&at))
		return 0;
	end = memchr(at.p, '\n', cursor_left(&at));
	if (!end)
		return -EBADMSG;
	struct cursor line = {at.p, end};
	if (!number(&line, 16, '-', &m.start) || !number(&line, 16, ' ', &m.end) ||
	    m.end <= m.start || !perms(&line, &m) || !number(&line, 16, ' ', &m.offset) ||
	    !number(&line, 16, ':', &major) || !number(&line, 16, ' ', &minor))
		return -EBADMSG;
	/* The inode may be the last of the line, or have blanks behind it. */
	struct cursor tail = {line.p, end + 1};
	if (!number(&tail, 10, ' ', &m.inode)) {
		tail.p = line.p;
		if (!number(&tail, 10, '\n', &m.inode))
			return -EBADMSG;
		tail.p = end;
	}
	while (tail.p < end && *tail.p == ' ')
		tail.p++;
	m.path = (const char *)tail.p;
	m.path_len = (size_t)(end - tail.p);
	*ret = m;
	c->p = end + 1;
	return 1;
}

bool procmap_anonymous(const struct procmap *m)
{
	return !m->inode && (!m->path_len || m->path[0] == '[');
}
