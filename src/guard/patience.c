/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/patience.h"

#include <stddef.h>

/* Numbers (time left, handles) change by themselves: what differs is the words. FNV-1a. */
static uint64_t digest(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *s; s++)
		if (*s < '0' || *s > '9')
			h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	return h;
}

static struct patience_row *row_of(struct patience *p, unsigned order_id, unsigned seq)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->v[i].order_id == order_id && p->v[i].seq == seq)
			return &p->v[i];
	return NULL;
}

static struct patience_row *row_for(struct patience *p, unsigned order_id, unsigned seq, usec_t now)
{
	struct patience_row *r = row_of(p, order_id, seq);
	if (r || p->n == PATIENCE_MAX)
		return r;
	r = &p->v[p->n++];
	*r = (struct patience_row){.order_id = order_id, .seq = seq, .first = now};
	return r;
}

bool patience_may(struct patience *p, unsigned order_id, unsigned seq, const char *text, usec_t now,
                  bool waits)
{
	struct patience_row *r = row_for(p, order_id, seq, now);
	if (!r)
		return true;
	r->touched = now;
	if (r->fails && r->text != digest(text))
		*r = (struct patience_row){
		    .order_id = order_id, .seq = seq, .first = now, .touched = now};
	if (waits && now < r->first + PATIENCE_GRACE) {
		r->next = r->first + PATIENCE_GRACE;
		return false;
	}
	return now >= r->next;
}

void patience_mended(struct patience *p, unsigned order_id, unsigned seq)
{
	struct patience_row *r = row_of(p, order_id, seq);
	if (r)
		*r = p->v[--p->n];
}

void patience_failed(struct patience *p, unsigned order_id, unsigned seq, const char *left,
                     usec_t now)
{
	struct patience_row *r = row_for(p, order_id, seq, now);
	if (!r)
		return;
	usec_t wait = PATIENCE_FIRST << (r->fails < 8 ? r->fails : 8);
	r->text = digest(left);
	r->fails++;
	r->next = now + (wait < PATIENCE_LAST ? wait : PATIENCE_LAST);
}

bool patience_known(const struct patience *p, unsigned order_id, unsigned seq)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->v[i].order_id == order_id && p->v[i].seq == seq)
			return p->v[i].fails > 1;
	return false;
}

usec_t patience_next(const struct patience *p, usec_t now)
{
	usec_t next = 0;
	for (unsigned i = 0; i < p->n; i++)
		if (p->v[i].next > now && (!next || p->v[i].next < next))
			next = p->v[i].next;
	return next;
}

void patience_sweep(struct patience *p, usec_t before)
{
	for (unsigned i = p->n; i-- > 0;)
		if (p->v[i].touched < before)
			p->v[i] = p->v[--p->n];
}
