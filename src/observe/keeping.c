/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/keeping.h"

#include <errno.h>
#include <stdlib.h>

struct keeping {
	struct recent *recent; /* NULL: none */
	struct picks *picks;
	void (*put)(void *arg, const void *p, size_t n);
	void *arg;
	struct kept_record report;
};

/* A frame's turn has come: it goes out or nowhere. */
static void judge(void *arg, const struct frame *f)
{
	struct keeping *k = arg;
	struct frame_record r = {.nsec = f->nsec,
	                         .cap_len = f->cap_len,
	                         .wire_len = f->wire_len,
	                         .linktype = f->linktype,
	                         .source = f->source};
	struct packet p;
	int pick;

	if (!picks_count(k->picks) ||
	    packet_decode(f->linktype, f->data, f->cap_len, f->wire_len, &p) != PACKET_IP ||
	    (pick = picks_match(k->picks, &p)) < 0)
		return;
	r.pick = (uint32_t)pick;
	k->report.frames++;
	k->put(k->arg, &r, sizeof(r));
	k->put(k->arg, f->data, f->cap_len);
}

int keeping_new(size_t ring_bytes, void (*put)(void *arg, const void *p, size_t n), void *arg,
                struct keeping **ret, struct err *e)
{
	struct keeping *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return err_set(e, -ENOMEM, "no memory to keep packets");
	k->put = put;
	k->arg = arg;
	k->report.ring_bytes = ring_bytes;
	if ((r = picks_new(&k->picks)) < 0)
		err_set(e, r, "no memory to keep packets");
	else if (ring_bytes)
		r = recent_new(ring_bytes, judge, k, &k->recent, e);
	if (r < 0) {
		keeping_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

void keeping_free(struct keeping *k)
{
	if (!k)
		return;
	recent_free(k->recent);
	picks_free(k->picks);
	free(k);
}

bool keeping_pick(struct keeping *k, const struct pick *p)
{
	if (picks_add(k->picks, p) < 0)
		return false;
	k->report.late += k->recent && recent_left_nsec(k->recent) > p->first_nsec;
	return true;
}

void keeping_frame(struct keeping *k, const struct frame *f)
{
	if (k->recent)
		recent_put(k->recent, f);
	else
		judge(k, f);
}

void keeping_end(struct keeping *k)
{
	if (k->recent)
		recent_flush(k->recent);
}

void keeping_report(const struct keeping *k, struct kept_record *ret)
{
	*ret = k->report;
}
