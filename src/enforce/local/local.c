/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/local/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"

struct local {
	const struct point *point;
	void *ctx[LOCAL_DRIVERS_MAX]; /* opened when they are needed */
};

static int local_open(const struct point *p, void **ret_ctx, struct err *e)
{
	struct local *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(e, -ENOMEM, "out of memory");
	l->point = p;
	*ret_ctx = l;
	return 0;
}

static void local_close(void *ctx)
{
	struct local *l = ctx;
	for (size_t i = 0; l && local_table[i].driver; i++)
		if (l->ctx[i])
			local_table[i].driver->close(l->ctx[i]);
	free(l);
}

static int open_nth(struct local *l, size_t i, struct err *e)
{
	return l->ctx[i] ? 0 : local_table[i].driver->open(l->point, &l->ctx[i], e);
}

/* ---- which driver ---- */

static bool is_of(const char *kind, const struct driver_ops *d)
{
	size_t n = strlen(d->name);
	return !strncmp(kind, d->name, n) && kind[n] == '.';
}

static int nth_of(struct local *l, const struct step *s, size_t *ret, struct err *e)
{
	for (size_t i = 0; local_table[i].driver; i++)
		if (is_of(s->kind, local_table[i].driver)) {
			*ret = i;
			return open_nth(l, i, e);
		}
	return err_set(e, -EBADMSG, "\"%s\" is no kind of step of this host", s->kind);
}

static bool takes(const struct local_row *row, const struct order *o)
{
	enum target_kind kind = o->n_targets ? o->targets[0].kind : TARGET_PREFIX;
	return row->verbs & 1u << o->verb && row->kinds & 1u << kind;
}

/* Those of one driver; a driver knows nothing of the others'. Free ret->v. */
static int holds_of(const struct holds *all, const struct driver_ops *d, struct holds *ret,
                    struct err *e)
{
	size_t total = all ? all->n : 0, n = 0;
	struct hold *v = calloc(total + 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory while reading what is in force");
	for (size_t i = 0; i < total; i++)
		if (is_of(all->v[i].step->kind, d))
			v[n++] = all->v[i];
	*ret = (struct holds){v, n};
	return 0;
}

static void holds_drop(const struct holds *h)
{
	free((void *)(uintptr_t)h->v);
}

/* ---- slots ---- */

static int local_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	struct capabilities all = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && local_table[i].driver; i++) {
		struct capabilities c = {0};
		r = open_nth(ctx, i, e);
		if (r == 0)
			r = local_table[i].driver->probe(((struct local *)ctx)->ctx[i], &c, e);
		for (size_t k = 0; r == 0 && k < c.n && all.n < CAPABILITY_MAX; k++)
			all.v[all.n++] = c.v[k];
	}
	if (r == 0)
		*ret = all;
	return r;
}

static int plan_nth(struct local *l, size_t i, const struct order *o, const struct holds *others,
                    struct plan *to, struct err *e)
{
	struct holds own = {0};
	struct plan p = {0};
	int r = open_nth(l, i, e);
	if (r == 0)
		r = holds_of(others, local_table[i].driver, &own, e);
	if (r == 0)
		r = local_table[i].driver->plan(l->ctx[i], o, &own, &p, e);
	holds_drop(&own);
	if (r == 0 && (r = plan_join(to, &p, NULL)) < 0)
		err_set(e, r, "out of memory for the plan");
	plan_free(&p);
	return r;
}

static int local_plan(void *ctx, const struct order *o, const struct holds *others,
                      struct plan *ret, struct err *e)
{
	struct plan p = {0};
	bool taken = false;
	int r = 0;
	for (size_t i = 0; r == 0 && local_table[i].driver; i++) {
		if (!takes(&local_table[i], o))
			continue;
		taken = true;
		r = plan_nth(ctx, i, o, others, &p, e);
	}
	if (!taken)
		r = err_set(e, -EOPNOTSUPP, "this host cannot %s a %s", verb_str(o->verb),
		            o->n_targets ? target_kind_str(o->targets[0].kind) : "feed");
	if (r < 0)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

static int local_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	struct local *l = ctx;
	size_t i;
	int r = nth_of(l, s, &i, e);
	return r < 0 ? r : local_table[i].driver->prepare(l->ctx[i], o, s, e);
}

/* apply, undo and rearm have one shape. */
typedef int (*step_slot)(void *ctx, const struct order *o, struct step *s,
                         const struct holds *others, struct err *e);

enum slot { SLOT_APPLY, SLOT_UNDO, SLOT_REARM };

static int call(struct local *l, enum slot slot, const struct order *o, struct step *s,
                const struct holds *others, struct err *e)
{
	struct holds own = {0};
	size_t i;
	int r = nth_of(l, s, &i, e);
	if (r < 0)
		return r;
	const struct driver_ops *d = local_table[i].driver;
	const step_slot slots[] = {
	    [SLOT_APPLY] = d->apply, [SLOT_UNDO] = d->undo, [SLOT_REARM] = d->rearm};
	r = holds_of(others, d, &own, e);
	if (r == 0)
		r = slots[slot](l->ctx[i], o, s, &own, e);
	holds_drop(&own);
	return r;
}

static int local_apply(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                       struct err *e)
{
	return call(ctx, SLOT_APPLY, o, s, others, e);
}

static int local_undo(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                      struct err *e)
{
	return call(ctx, SLOT_UNDO, o, s, others, e);
}

static int local_rearm(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                       struct err *e)
{
	return call(ctx, SLOT_REARM, o, s, others, e);
}

static int local_verify(void *ctx, const struct order *o, const struct step *s,
                        const struct holds *others, struct readback *ret, struct err *e)
{
	struct local *l = ctx;
	struct holds own = {0};
	size_t i;
	int r = nth_of(l, s, &i, e);
	if (r == 0)
		r = holds_of(others, local_table[i].driver, &own, e);
	if (r == 0)
		r = local_table[i].driver->verify(l->ctx[i], o, s, &own, ret, e);
	holds_drop(&own);
	return r;
}

static int local_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                          struct err *e)
{
	struct local *l = ctx;
	size_t i;
	int r = nth_of(l, s, &i, e);
	return r < 0 ? r : local_table[i].driver->describe(l->ctx[i], o, s, out, e);
}

static int local_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                        struct err *e)
{
	struct local *l = ctx;
	int r = 0;
	for (size_t i = 0; r == 0 && local_table[i].driver; i++) {
		struct holds own = {0};
		r = open_nth(l, i, e);
		if (r == 0)
			r = holds_of(claims, local_table[i].driver, &own, e);
		if (r == 0)
			r = local_table[i].driver->strays(l->ctx[i], &own, remove, out, e);
		holds_drop(&own);
	}
	return r;
}

static int local_own(void *ctx, bool on, struct err *e)
{
	struct local *l = ctx;
	int r = 0;
	for (size_t i = 0; r == 0 && local_table[i].driver; i++) {
		if (!local_table[i].driver->own)
			continue;
		r = open_nth(l, i, e);
		if (r == 0)
			r = local_table[i].driver->own(l->ctx[i], on, e);
	}
	return r;
}

static const struct setting_key no_settings[] = {{NULL}};

const struct driver_ops local_driver = {
    .name = "local",
    .settings = no_settings,
    .open = local_open,
    .close = local_close,
    .probe = local_probe,
    .plan = local_plan,
    .prepare = local_prepare,
    .apply = local_apply,
    .verify = local_verify,
    .undo = local_undo,
    .rearm = local_rearm,
    .describe = local_describe,
    .strays = local_strays,
    .own = local_own,
};
