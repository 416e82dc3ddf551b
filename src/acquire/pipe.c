/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/pipe.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Room for O_DIRECT. */
#define ALIGNMENT 4096

enum packed { PACK_TODO, PACK_TAKEN, PACK_DONE };

struct pipe {
	const struct pipe_ops *ops;
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct piece pieces[PIPE_PIECES];
	enum packed packed[PIPE_PIECES];
	/* How many pieces have passed each stage; taken: handed to a packer. */
	uint64_t read, hashed, taken, written;
	bool ended; /* the reader is done */
	int failed;
	struct err why;
	unsigned next_worker;
};

static void fail(struct pipe *p, int r, const struct err *why)
{
	pthread_mutex_lock(&p->lock);
	if (!p->failed) {
		p->failed = r;
		p->why = *why;
	}
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

/* Waits until may() or nothing more will come. false: stop. */
static bool wait_for(struct pipe *p, bool (*may)(struct pipe *p), bool (*over)(struct pipe *p))
{
	pthread_mutex_lock(&p->lock);
	while (!p->failed && !may(p) && !over(p))
		pthread_cond_wait(&p->moved, &p->lock);
	bool go = !p->failed && may(p);
	if (!go)
		pthread_mutex_unlock(&p->lock);
	return go; /* with the lock held */
}

static bool may_read(struct pipe *p)
{
	uint64_t slowest = p->hashed < p->written ? p->hashed : p->written;
	return p->read - slowest < PIPE_PIECES;
}
static bool never(struct pipe *p)
{
	return false;
}
static bool may_hash(struct pipe *p)
{
	return p->hashed < p->read;
}
static bool no_more_to_hash(struct pipe *p)
{
	return p->ended && p->hashed == p->read;
}
static bool may_pack(struct pipe *p)
{
	return p->taken < p->read;
}
static bool no_more_to_pack(struct pipe *p)
{
	return p->ended && p->taken == p->read;
}
static bool may_write(struct pipe *p)
{
	return p->written < p->read && p->packed[p->written % PIPE_PIECES] == PACK_DONE;
}
static bool no_more_to_write(struct pipe *p)
{
	return p->ended && p->written == p->read;
}

static void moved(struct pipe *p, uint64_t *counter)
{
	pthread_mutex_lock(&p->lock);
	(*counter)++;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
}

static void *reader(void *arg)
{
	struct pipe *p = arg;
	for (uint64_t seq = 0; wait_for(p, may_read, never); seq++) {
		pthread_mutex_unlock(&p->lock);
		struct err e = {0};
		struct piece *x = &p->pieces[seq % PIPE_PIECES];
		x->at = seq * PIECE_BYTES;
		x->n = x->out_n = 0;
		x->stored = false;
		p->packed[seq % PIPE_PIECES] = p->ops->pack ? PACK_TODO : PACK_DONE;
		int r = p->ops->read(p->arg, x, &e);
		if (r < 0) {
			fail(p, r, &e);
			break;
		}
		if (!x->n)
			break;
		moved(p, &p->read);
	}
	pthread_mutex_lock(&p->lock);
	p->ended = true;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void *hasher(void *arg)
{
	struct pipe *p = arg;
	while (wait_for(p, may_hash, no_more_to_hash)) {
		const struct piece *x = &p->pieces[p->hashed % PIPE_PIECES];
		pthread_mutex_unlock(&p->lock);
		int r = p->ops->hash(p->arg, x);
		struct err e = {.code = r, .text = "hashing failed"};
		if (r < 0)
			fail(p, r, &e);
		moved(p, &p->hashed);
	}
	return NULL;
}

static void *packer(void *arg)
{
	struct pipe *p = arg;
	pthread_mutex_lock(&p->lock);
	unsigned worker = p->next_worker++;
	pthread_mutex_unlock(&p->lock);
	while (wait_for(p, may_pack, no_more_to_pack)) {
		size_t i = p->taken++ % PIPE_PIECES;
		p->packed[i] = PACK_TAKEN;
		pthread_mutex_unlock(&p->lock);
		int r = p->ops->pack(p->arg, worker, &p->pieces[i]);
		struct err e = {.code = r, .text = "compressing failed"};
		if (r < 0)
			fail(p, r, &e);
		pthread_mutex_lock(&p->lock);
		p->packed[i] = PACK_DONE;
		pthread_cond_broadcast(&p->moved);
		pthread_mutex_unlock(&p->lock);
	}
	return NULL;
}

static void write_all(struct pipe *p)
{
	while (wait_for(p, may_write, no_more_to_write)) {
		struct piece *x = &p->pieces[p->written % PIPE_PIECES];
		pthread_mutex_unlock(&p->lock);
		struct err e = {0};
		int r = p->ops->write(p->arg, x, &e);
		if (r < 0)
			fail(p, r, &e);
		else
			moved(p, &p->written);
	}
}

static int make_pieces(struct pipe *p, size_t out_cap)
{
	for (size_t i = 0; i < PIPE_PIECES; i++) {
		struct piece *x = &p->pieces[i];
		x->raw = aligned_alloc(ALIGNMENT, PIECE_BYTES);
		x->out = out_cap ? malloc(out_cap) : NULL;
		x->out_cap = out_cap;
		if (!x->raw || (out_cap && !x->out))
			return -ENOMEM;
	}
	return 0;
}

static void run_threads(struct pipe *p, unsigned workers)
{
	pthread_t threads[PIPE_WORKERS + 2];
	size_t n = 0;
	struct err e = {0};
	int r = 0;
	for (unsigned i = 0; i < workers + 2 && !r; i++) {
		r = pthread_create(&threads[n], NULL,
		                   i == 0   ? reader
		                   : i == 1 ? hasher
		                            : packer,
		                   p);
		n += !r;
	}
	if (r)
		fail(p, -r, &(struct err){.code = -r, .text = "no threads can be started"});
	else
		write_all(p);
	(void)e;
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

int pipe_run(const struct pipe_ops *ops, void *arg, unsigned workers, size_t out_cap, struct err *e)
{
	struct pipe *p = calloc(1, sizeof *p);
	int r = p ? 0 : -ENOMEM;
	if (p) {
		p->ops = ops;
		p->arg = arg;
		pthread_mutex_init(&p->lock, NULL);
		pthread_cond_init(&p->moved, NULL);
		r = make_pieces(p, out_cap);
		if (!r) {
			run_threads(p, !ops->pack               ? 0
			               : workers > PIPE_WORKERS ? PIPE_WORKERS
			                                        : workers);
			r = p->failed;
			if (r && e)
				*e = p->why;
		}
		for (size_t i = 0; i < PIPE_PIECES; i++) {
			free(p->pieces[i].raw);
			free(p->pieces[i].out);
		}
		pthread_cond_destroy(&p->moved);
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
	return r == -ENOMEM && (!e || !e->text[0]) ? err_set(e, r, "out of memory for reading") : r;
}
