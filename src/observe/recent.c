/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A ring of records, each a head and its bytes in one piece. A record that does not fit before the
 * end goes to the start; a head of length UINT32_MAX there says so.
 */
#include "observe/recent.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WRAP UINT32_MAX

struct head {
	uint64_t nsec;
	uint32_t cap_len, wire_len;
	uint16_t linktype, source;
	uint32_t zero;
};

struct recent {
	uint8_t *map;
	size_t size, first, next; /* first == next with n 0: empty */
	uint64_t n, left_nsec;
	frame_fn leaves;
	void *arg;
};

int recent_new(size_t bytes, frame_fn leaves, void *arg, struct recent **ret, struct err *e)
{
	struct recent *r = calloc(1, sizeof(*r));

	if (!r)
		return err_set(e, -ENOMEM, "no memory to keep recent packets");
	r->size = bytes / sizeof(struct head) * sizeof(struct head);
	r->leaves = leaves;
	r->arg = arg;
	r->map = mmap(NULL, r->size, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->map == MAP_FAILED) {
		free(r);
		return err_set(e, -ENOMEM, "no memory to keep %zu MiB of recent packets",
		               bytes >> 20);
	}
	*ret = r;
	return 0;
}

void recent_free(struct recent *r)
{
	if (!r)
		return;
	munmap(r->map, r->size);
	free(r);
}

/* Heads stay aligned. */
static size_t room_of(uint32_t cap_len)
{
	size_t unit = sizeof(struct head);
	return unit + (cap_len + unit - 1) / unit * unit;
}

static struct head *head_at(const struct recent *r, size_t at)
{
	return (struct head *)(void *)(r->map + at);
}

/* Hands out the oldest and says when it came. */
static uint64_t pop(struct recent *r)
{
	const struct head *h = head_at(r, r->first);
	struct frame f;

	if (h->cap_len == WRAP) {
		r->first = 0;
		h = head_at(r, 0);
	}
	f = (struct frame){.nsec = h->nsec,
	                   .cap_len = h->cap_len,
	                   .wire_len = h->wire_len,
	                   .linktype = h->linktype,
	                   .source = h->source,
	                   .data = r->map + r->first + sizeof(*h)};
	r->leaves(r->arg, &f);
	r->first += room_of(h->cap_len);
	if (r->first == r->size)
		r->first = 0;
	r->n--;
	return f.nsec;
}

/* Whether `need` bytes are free behind r->next, in one piece. */
static bool fits(const struct recent *r, size_t need)
{
	if (!r->n || r->next > r->first)
		return r->size - r->next >= need;
	return r->next < r->first && r->first - r->next >= need;
}

static void make_room(struct recent *r, size_t need)
{
	while (!fits(r, need)) {
		/* Behind the newest there is too little: go on at the start. */
		if (r->next > r->first) {
			if (r->size - r->next >= sizeof(struct head))
				head_at(r, r->next)->cap_len = WRAP;
			r->next = 0;
			continue;
		}
		r->left_nsec = pop(r);
		if (!r->n)
			r->first = r->next = 0;
	}
}

void recent_put(struct recent *r, const struct frame *f)
{
	size_t need = room_of(f->cap_len);

	if (need > r->size) {
		recent_flush(r);
		r->left_nsec = f->nsec;
		r->leaves(r->arg, f);
		return;
	}
	if (!r->n)
		r->first = r->next = 0;
	make_room(r, need);
	*head_at(r, r->next) = (struct head){.nsec = f->nsec,
	                                     .cap_len = f->cap_len,
	                                     .wire_len = f->wire_len,
	                                     .linktype = f->linktype,
	                                     .source = f->source};
	memcpy(r->map + r->next + sizeof(struct head), f->data, f->cap_len);
	r->next += need;
	if (r->next == r->size)
		r->next = 0;
	r->n++;
}

void recent_flush(struct recent *r)
{
	while (r->n)
		pop(r);
	r->first = r->next = 0;
}

uint64_t recent_left_nsec(const struct recent *r)
{
	return r->left_nsec;
}
