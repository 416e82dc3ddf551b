/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/watch_ladder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/table.h"

#define BLIND_PACKETS                                                                              \
	"no owner for sockets that are gone before a look at them; no other network namespaces"

static const struct {
	const char *name;
	bool live;
	const struct tier_ops *ops; /* NULL: the packets themselves */
} rungs[] = {
    {"bpf", true, &tier_bpf_ops},
    {"tpacket_v3", true, NULL},
    {"conntrack", true, &tier_conntrack_ops},
    {"inet_diag", true, &tier_diag_ops},
    {"file", false, NULL},
};

int ladder_init(struct ladder *l, const char *tier, bool live, struct err *e)
{
	*l = (struct ladder){.forced = -1, .rung = -1};
	if (!tier)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rungs); i++)
		if (rungs[i].live == live && !strcmp(rungs[i].name, tier))
			l->forced = (int)i;
	return l->forced >= 0
	           ? 0
	           : err_set(e, -EOPNOTSUPP, "there is no tier %.32s for %s; there %s", tier,
	                     live ? "an interface" : "a capture",
	                     live ? "are: bpf, tpacket_v3, conntrack, inet_diag" : "is: file");
}

void ladder_look(struct ladder *l)
{
	snprintf(l->blind, sizeof(l->blind), "%s%s", l->ops ? l->ops->blind(l->ctx) : BLIND_PACKETS,
	         l->why);
}

static void note(struct ladder *l, int rung, const struct err *e)
{
	size_t used = strlen(l->why);

	snprintf(l->why + used, sizeof(l->why) - used, "; no tier %s: %.200s", rungs[rung].name,
	         e->text);
}

/* From that rung on. */
static int take(struct ladder *l, int from, const struct observe_job *job, owned_flow_fn flow,
                struct err *e)
{
	struct err last = *e;

	for (int i = from; i < (int)ARRAY_SIZE(rungs) && rungs[i].live; i++) {
		if (l->forced >= 0 && i != l->forced)
			continue;
		l->rung = i;
		l->ops = rungs[i].ops;
		last = (struct err){0};
		if (!l->ops || l->ops->open(job, flow, &l->ctx, &last) == 0) {
			ladder_look(l);
			return 0;
		}
		l->ops = NULL;
		if (l->forced < 0)
			note(l, i, &last);
	}
	if (l->forced < 0 && l->why[0])
		return err_set(e, last.code, "nothing can be watched here%s", l->why);
	return err_set(e, last.code, "%s", last.text);
}

int ladder_open(struct ladder *l, const struct observe_job *job, owned_flow_fn flow, struct err *e)
{
	return take(l, 0, job, flow, e);
}

int ladder_down(struct ladder *l, const struct observe_job *job, owned_flow_fn flow, struct err *e)
{
	if (l->forced >= 0)
		return e->code;
	note(l, l->rung, e);
	return take(l, l->rung + 1, job, flow, e);
}

void ladder_close(struct ladder *l)
{
	if (l->ops)
		l->ops->close(l->ctx);
	l->ops = NULL;
	l->ctx = NULL;
}
