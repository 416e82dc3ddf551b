/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `stanch contain`: the orders that findings propose. Blocks come first, all in one order: they cut
 * exactly; isolating this host, where a finding asks for it, comes last, since the cut that is
 * widest should not be in the way of the others.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "ui/ctx.h"
#include "ui/verbs.h"

#define BLOCKS_MAX 64

struct wanted {
	char targets[BLOCKS_MAX][FINDING_REASON_MAX];
	const char *blocks[BLOCKS_MAX];
	size_t n_blocks;
	bool isolate;
};

static int finding_id_parse(const char *s, unsigned *ret, struct err *e)
{
	const char *digits = *s == 'f' ? s + 1 : s;
	char *end;

	errno = 0;
	unsigned long v = strtoul(digits, &end, 10);
	if (*digits < '1' || *digits > '9' || *end || errno || v > INT32_MAX)
		return err_set(e, -EINVAL,
		               "\"%.40s\" is not a finding; they are called f1, f2, … (see stanch "
		               "incident show)",
		               s);
	*ret = (unsigned)v;
	return 0;
}

static int add_block(struct wanted *w, const char *target, struct err *e)
{
	for (size_t i = 0; i < w->n_blocks; i++)
		if (!strcmp(w->blocks[i], target))
			return 0;
	if (w->n_blocks == BLOCKS_MAX)
		return err_set(e, -E2BIG, "more than %d addresses at once: name fewer findings",
		               BLOCKS_MAX);
	snprintf(w->targets[w->n_blocks], sizeof(w->targets[0]), "%s", target);
	w->blocks[w->n_blocks] = w->targets[w->n_blocks];
	w->n_blocks++;
	return 0;
}

/* An order is text of the journal: what is no order that is known here is refused, and a target is
 * read by the verb that takes it, like one that was typed. */
static int add_order(struct wanted *w, unsigned id, const char *order, struct err *e)
{
	static const char block[] = "block ";

	if (!strcmp(order, "isolate self")) {
		w->isolate = true;
		return 0;
	}
	if (!strncmp(order, block, sizeof(block) - 1) && !strchr(order + sizeof(block) - 1, ' '))
		return add_block(w, order + sizeof(block) - 1, e);
	return err_set(e, -EOPNOTSUPP, "f%u proposes \"%.80s\", which this build cannot carry out",
	               id, order);
}

static int add_finding(struct wanted *w, struct journal *j, const char *name, struct err *e)
{
	struct finding f;
	unsigned id = 0;
	int r = finding_id_parse(name, &id, e);

	if (r < 0 || (r = journal_get_finding(j, id, &f, e)) < 0)
		return r;
	if (!f.n_orders)
		return err_set(e, -EOPNOTSUPP,
		               "f%u proposes no order: look at it, and block or isolate by hand",
		               id);
	for (size_t i = 0; i < f.n_orders && !r; i++)
		r = add_order(w, id, f.orders[i], e);
	return r;
}

static int read_findings(struct ctx *c, const struct args *a, struct wanted *w, struct err *e)
{
	struct session s = {0};
	int r = session_open_read(c, &s, e);

	if (r < 0)
		return r;
	if (!s.journal)
		r = err_set(e, -ENOENT, "there is no journal at %s yet, so no %.40s", c->state_dir,
		            a->pos[0]);
	for (size_t i = 0; i < a->n_pos && !r; i++)
		r = add_finding(w, s.journal, a->pos[i], e);
	session_close(&s);
	return r;
}

int verb_contain(struct ctx *c, const struct args *a)
{
	static const char *self[] = {"self"};
	struct wanted *w = calloc(1, sizeof(*w));
	struct args with = *a;
	struct err e = {0};
	int r = w ? read_findings(c, a, w, &e) : err_set(&e, -ENOMEM, "out of memory");

	if (r < 0) {
		free(w);
		return ctx_fail(c, r == -ENOENT ? EXIT_REFUSED : ctx_exit_of(r), &e);
	}
	r = EXIT_DONE;
	if (w->n_blocks) {
		with.pos = w->blocks;
		with.n_pos = w->n_blocks;
		r = verb_block(c, &with);
	}
	if (w->isolate && r == EXIT_DONE) {
		with.pos = self;
		with.n_pos = 1;
		r = verb_isolate(c, &with);
	}
	free(w);
	return r;
}
