/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariants
 *  1. Blocks go round a ring of SLOTS; `filled` and `taken` only grow, and slot n belongs to the
 *     reader while n - taken >= SLOTS would not hold, to the writer while n < filled.
 *  2. The fill is the reader's until it was joined.
 */
#include "acquire/memory/image.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

#define BLOCK    (1u << 20)
#define SLOTS    4
#define HOLE_MIN (4 * FILL_PAGE)
#define TOLD_MAX 1000

struct slot {
	uint8_t *data;
	uint64_t at;
	size_t n, range;
};

struct ring {
	struct image *image;
	struct slot slots[SLOTS];
	size_t filled, taken;
	bool ended, give_up;
	int error; /* of the reader */
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

/* A slot to read into; NULL: the writer has given up. */
static struct slot *to_fill(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->filled - r->taken == SLOTS && !r->give_up)
		pthread_cond_wait(&r->changed, &r->lock);
	struct slot *s = r->give_up ? NULL : &r->slots[r->filled % SLOTS];
	pthread_mutex_unlock(&r->lock);
	return s;
}

static void tell(struct ring *r, size_t *count)
{
	pthread_mutex_lock(&r->lock);
	if (count)
		++*count;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static int read_range(struct ring *r, size_t which)
{
	const struct phys_range *range = &r->image->ranges[which];
	uint64_t at = range->first, left = phys_range_len(range);
	while (left) {
		struct slot *s = to_fill(r);
		if (!s)
			return -ECANCELED;
		s->at = at;
		s->range = which;
		/* Up to the next multiple, so that later reads are aligned. */
		s->n = BLOCK - (size_t)(at % BLOCK);
		if (s->n > left)
			s->n = (size_t)left;
		int k = fill_block(&r->image->fill, at, s->data, s->n);
		if (k < 0)
			return k;
		at += s->n;
		left -= s->n;
		tell(r, &r->filled);
	}
	return 0;
}

static void *reader(void *arg)
{
	struct ring *r = arg;
	for (size_t i = 0; i < r->image->n_ranges && r->error == 0; i++)
		r->error = read_range(r, i);
	pthread_mutex_lock(&r->lock);
	r->ended = true;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* The next block; NULL at the end. */
static struct slot *to_write(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	while (r->filled == r->taken && !r->ended)
		pthread_cond_wait(&r->changed, &r->lock);
	struct slot *s = r->filled != r->taken ? &r->slots[r->taken % SLOTS] : NULL;
	pthread_mutex_unlock(&r->lock);
	return s;
}

static int write_block(struct image *i, struct capture_sink *s, struct capture_file *f,
                       const struct slot *b, struct err *e)
{
	size_t at = 0;
	int r = 0;
	while (at < b->n && r == 0) {
		size_t zero = fill_zero_pages(b->data + at, b->n - at), n = zero;
		if (zero && !i->zeros.error)
			buf_addf(&i->zeros, "0x%016" PRIx64 " 0x%016" PRIx64 " zero\n", b->at + at,
			         b->at + at + zero - 1);
		if (zero >= HOLE_MIN) {
			r = s->ops->zeros(f, zero, e);
			at += zero;
			continue;
		}
		/* Up to the next page of zeros. */
		while (at + n < b->n && !fill_zero_pages(b->data + at + n, b->n - at - n))
			n += b->n - at - n < FILL_PAGE ? b->n - at - n : FILL_PAGE;
		r = s->ops->write(f, b->data + at, n, e);
		at += n;
	}
	return r;
}

static int write_all(struct ring *r, struct capture_sink *s, struct capture_file *f, struct err *e)
{
	struct image *i = r->image;
	uint64_t total = 0, done = 0;
	size_t range = SIZE_MAX;
	int k = 0;
	for (size_t n = 0; n < i->n_ranges; n++)
		total += phys_range_len(&i->ranges[n]);
	for (struct slot *b; k == 0 && (b = to_write(r));) {
		if (s->stop && *s->stop)
			return err_set(e, -EINTR, "stopped as asked");
		if (b->range != range && i->head)
			k = i->head(i->head_arg, f, &i->ranges[b->range], e);
		range = b->range;
		if (k == 0)
			k = write_block(i, s, f, b, e);
		done += b->n;
		tell(r, &r->taken);
		s->ops->progress(s, i->doing, done, total);
	}
	return k;
}

int image_write(struct image *i, struct capture_sink *s, struct capture_file *f, struct err *e)
{
	struct ring r = {
	    .image = i, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	_cleanup_free_ uint8_t *memory = malloc((size_t)SLOTS * BLOCK);
	pthread_t thread;
	if (!memory)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t n = 0; n < SLOTS; n++)
		r.slots[n].data = memory + n * BLOCK;
	int k = pthread_create(&thread, NULL, reader, &r);
	if (k)
		return err_set(e, -k, "no thread to read with: %s", strerror(k));
	k = write_all(&r, s, f, e);
	pthread_mutex_lock(&r.lock);
	r.give_up = true;
	pthread_cond_broadcast(&r.changed);
	pthread_mutex_unlock(&r.lock);
	pthread_join(thread, NULL);
	if (k == 0 && r.error < 0)
		k = err_set(e, r.error, "reading memory: %s", strerror(-r.error));
	return k;
}

int image_map(const struct image *i, struct capture_sink *s, const char *name, struct err *e)
{
	static const char head[] =
	    "# first last what: zero (read, nothing but zeros), unread (could "
	    "not be read, zeros stand there)\n";
	static const char cut[] = "# more pages are zero than this file was allowed to list\n";
	struct buf unread = BUF_INIT(8u << 20);
	struct capture_file *f = NULL;
	for (size_t n = 0; n < i->fill.n_unread; n++)
		buf_addf(&unread, "0x%016" PRIx64 " 0x%016" PRIx64 " unread\n",
		         i->fill.unread[n].range.first, i->fill.unread[n].range.last);
	int r = s->ops->begin(s, name, &f, e);
	if (r == 0)
		r = s->ops->write(f, head, sizeof(head) - 1, e);
	if (r == 0 && unread.len)
		r = s->ops->write(f, unread.data, unread.len, e);
	if (r == 0 && i->zeros.len)
		r = s->ops->write(f, i->zeros.data, i->zeros.len, e);
	if (r == 0 && i->zeros.error)
		r = s->ops->write(f, cut, sizeof(cut) - 1, e);
	if (r == 0)
		r = s->ops->end(f, e);
	else
		s->ops->drop(f, false);
	buf_free(&unread);
	return r;
}

json_t *image_json(const struct image *i)
{
	json_t *unread = json_array();
	for (size_t n = 0; n < i->fill.n_unread && n < TOLD_MAX; n++) {
		char first[24], last[24];
		snprintf(first, sizeof(first), "0x%" PRIx64, i->fill.unread[n].range.first);
		snprintf(last, sizeof(last), "0x%" PRIx64, i->fill.unread[n].range.last);
		json_array_append_new(unread,
		                      json_pack("{s:s, s:s, s:s}", "first", first, "last", last,
		                                "why", strerror(-i->fill.unread[n].error)));
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "read_bytes", (json_int_t)i->fill.bytes_read,
	                 "unread_bytes", (json_int_t)i->fill.bytes_unread, "unread_ranges",
	                 (json_int_t)i->fill.n_unread, "zero_pages", (json_int_t)i->fill.pages_zero,
	                 "unread", unread);
}

void image_free(struct image *i)
{
	fill_free(&i->fill);
	buf_free(&i->zeros);
}
