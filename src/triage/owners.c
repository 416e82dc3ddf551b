/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "triage/owners.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/dpkg.h"

#define DPKG     "/var/lib/dpkg/"
#define FILE_MAX (32u << 20)

static struct cursor key_of(struct cursor path)
{
	if (span_starts(path, "/usr/bin/") || span_starts(path, "/usr/sbin/") ||
	    span_starts(path, "/usr/lib"))
		path.p += 4;
	return path;
}

static size_t slot_of(const struct owned *o, struct cursor key)
{
	uint64_t h = UINT64_C(14695981039346656037);
	for (const uint8_t *p = key.p; p < key.end; p++)
		h = (h ^ *p) * UINT64_C(1099511628211);
	size_t i = (size_t)(h % ARRAY_SIZE(o->slots));
	for (; o->slots[i]; i = (i + 1) % ARRAY_SIZE(o->slots)) {
		const char *path = o->v[o->slots[i] - 1].path;
		if (span_equal(key_of(cursor_of(path, strlen(path))), key))
			break;
	}
	return i;
}

static struct owned_file *find(const struct owned *o, struct cursor path)
{
	uint32_t i = o->slots[slot_of(o, key_of(path))];
	return i ? &o->v[i - 1] : NULL;
}

int owned_add(struct owned *o, const char *path, const struct stat *st, int place)
{
	size_t slot = slot_of(o, key_of(cursor_of(path, strlen(path))));
	if (o->slots[slot])
		return 0;
	if (o->n == OWNED_MAX) {
		o->lost++;
		return 0;
	}
	if (o->n == o->cap) {
		size_t cap = o->cap ? 2 * o->cap : 256;
		struct owned_file *v = reallocarray(o->v, cap, sizeof *v);
		if (!v)
			return -ENOMEM;
		o->v = v;
		o->cap = cap;
	}
	struct owned_file f = {.path = strdup(path), .st = *st, .place = place};
	if (!f.path)
		return -ENOMEM;
	o->v[o->n++] = f;
	o->slots[slot] = (uint32_t)o->n;
	return 0;
}

void owned_free(struct owned *o)
{
	for (size_t i = 0; o && i < o->n; i++)
		free(o->v[i].path);
	if (o)
		free(o->v);
	free(o);
}

struct asking {
	struct owned *o;
	struct triage *t;
	struct buf b;
};

/* "libc6:amd64.list" is libc6's. */
static void package_name(const char *file, char *dst, size_t n)
{
	snprintf(dst, n, "%.*s", (int)strcspn(file, ":"), file);
	char *dot = strrchr(dst, '.');
	if (dot && !strchr(file, ':'))
		*dot = 0;
}

static void on_lists(struct asking *q, const char *name)
{
	struct lines l = lines_of(buf_str(&q->b), q->b.len);
	for (struct cursor line; lines_next(&l, &line);) {
		struct owned_file *f = find(q->o, line);
		if (f && !f->package[0])
			package_name(name, f->package, sizeof f->package);
	}
}

static void on_sums(struct asking *q)
{
	struct lines l = lines_of(buf_str(&q->b), q->b.len);
	char path[1024] = "/";
	for (struct dpkg_hash h; dpkg_md5_next(&l, &h);) {
		if (cursor_left(&h.path) >= sizeof path - 1)
			continue;
		memcpy(path + 1, h.path.p, cursor_left(&h.path));
		struct owned_file *f = find(q->o, cursor_of(path, cursor_left(&h.path) + 1));
		if (f && !f->has_sum) {
			memcpy(f->md5, h.md5, sizeof f->md5);
			f->has_sum = true;
		}
	}
}

static bool on_info(void *arg, int dir, const char *name, unsigned char type)
{
	struct asking *q = arg;
	size_t n = strlen(name);
	char path[400];
	(void)dir;
	(void)type;
	bool list = n > 5 && !strcmp(name + n - 5, ".list");
	bool sums = n > 8 && !strcmp(name + n - 8, ".md5sums");
	if (!list && !sums)
		return true;
	buf_reset(&q->b);
	snprintf(path, sizeof path, DPKG "info/%s", name);
	if (triage_read(q->t, path, &q->b) < 0)
		return true;
	if (list)
		on_lists(q, name);
	else
		on_sums(q);
	return !triage_over(q->t);
}

static void on_status(struct asking *q)
{
	struct lines l = lines_of(buf_str(&q->b), q->b.len);
	for (struct dpkg_package p; dpkg_package_next(&l, &p);) {
		struct lines c = lines_of(p.conffiles.p, cursor_left(&p.conffiles));
		for (struct dpkg_hash h; dpkg_conffile_next(&c, &h);) {
			struct owned_file *f = find(q->o, h.path);
			if (!f)
				continue;
			f->conffile = f->has_sum = true;
			memcpy(f->md5, h.md5, sizeof f->md5);
			span_copy(p.name, f->package, sizeof f->package);
		}
		bool settled = span_is(p.state, "installed") || span_is(p.state, "config-files") ||
		               span_is(p.state, "triggers-pending") ||
		               span_is(p.state, "triggers-awaited");
		for (size_t i = 0; !settled && q->o->v && i < q->o->n; i++)
			if (span_is(p.name, q->o->v[i].package))
				q->o->v[i].unsettled = true;
	}
}

static void on_diversions(struct asking *q)
{
	struct lines l = lines_of(buf_str(&q->b), q->b.len);
	for (struct dpkg_diversion d; dpkg_diversion_next(&l, &d);) {
		struct owned_file *f = find(q->o, d.from), *to = find(q->o, d.to);
		if (f)
			f->unsettled = true;
		if (to) {
			to->unsettled = true;
			span_copy(d.package, to->package, sizeof to->package);
		}
	}
}

bool owned_ask(struct owned *o, struct triage *t)
{
	struct asking q = {o, t, BUF_INIT(FILE_MAX)};
	bool have = triage_list(t, DPKG "info", on_info, &q) >= 0;
	buf_reset(&q.b);
	if (have && triage_read(t, DPKG "status", &q.b) >= 0)
		on_status(&q);
	buf_reset(&q.b);
	if (have && triage_read(t, DPKG "diversions", &q.b) >= 0)
		on_diversions(&q);
	buf_free(&q.b);
	return have;
}
