/* SPDX-License-Identifier: GPL-3.0-or-later */
/* isolate --unit, --account, --pid, --container: just that, on this host. */
#include "ui/isolate_group.h"

#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/host/group.h"
#include "ui/cut.h"
#include "ui/via.h"

#define QUESTION_MAX 512

static const struct {
	const char *opt;
	enum target_kind kind;
} groups[] = {
    {"unit", TARGET_UNIT},
    {"account", TARGET_ACCOUNT},
    {"pid", TARGET_PROCESS},
    {"container", TARGET_CONTAINER},
};

bool isolate_is_group(const struct args *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (args_has(a, groups[i].opt))
			return true;
	return false;
}

static int read_target(struct ctx *c, const struct args *a, struct target *ret)
{
	size_t n = a->n_pos;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const char *name = args_text(a, groups[i].opt, NULL);
		if (!name)
			continue;
		n++;
		if (!*name || strlen(name) >= sizeof ret->name) {
			out_error(&c->out, "--%s: a name of 1 to %zu bytes is needed",
			          groups[i].opt, sizeof ret->name - 1);
			return EXIT_USAGE;
		}
		*ret = (struct target){.kind = groups[i].kind};
		snprintf(ret->name, sizeof ret->name, "%s", name);
	}
	if (n == 1)
		return EXIT_DONE;
	out_error(&c->out, "isolate takes one target at a time: self, or one of --unit, --account, "
	                   "--pid, --container; give an order for each");
	return EXIT_USAGE;
}

int check_operator(struct cut *k, const struct target *t, size_t *ret_members)
{
	struct err e = {0};
	char who[GROUP_WHY_MAX];
	bool meets = false;
	int r = group_meets_operator(t, &k->sessions, &meets, who, ret_members, &e);
	if (r < 0) {
		ctx_fail(k->c, EXIT_REFUSED, &e);
		out_error(&k->c->out, "nothing was changed");
		return r == -EINVAL ? EXIT_USAGE : EXIT_REFUSED;
	}
	if (!meets || cut_forced(k, "operator"))
		return EXIT_DONE;
	out_error(&k->c->out,
	          "%s %s holds your own session or what serves it: %s. Nothing was changed. "
	          "From the console, or another way in: --force operator",
	          target_kind_str(t->kind), t->name, who);
	return EXIT_REFUSED;
}

static int fill_order(struct cut *k, const struct target *t)
{
	/* Your own session is none of the group's: only what is kept for all is kept for it. */
	const struct operator_sessions none = {0};
	struct err e = {0};
	k->order.verb = VERB_ISOLATE;
	int r = order_add_target(&k->order, t, &e);
	if (r == 0)
		r = cut_add_permits(&k->keeps, &none, k->on_expiry, &k->order, &e);
	return r < 0 ? ctx_fail(k->c, EXIT_REFUSED, &e) : EXIT_DONE;
}

int isolate_group(struct ctx *c, const struct args *a)
{
	struct cut k;
	struct target t;
	char name[TARGET_NAME_MAX], question[QUESTION_MAX];
	size_t members = 0;
	int r = read_target(c, a, &t);
	if (r != EXIT_DONE)
		return r;
	r = cut_begin(&k, c, a, NULL);
	if (r == EXIT_DONE && (k.at.n != 1 || !via_has_self(&k.at))) {
		out_error(&c->out, "only this host knows its units, accounts, processes and "
		                   "containers: leave --via away. Nothing was changed");
		r = EXIT_REFUSED;
	}
	if (r == EXIT_DONE)
		r = check_operator(&k, &t, &members);
	if (r == EXIT_DONE)
		r = fill_order(&k, &t);
	if (r == EXIT_DONE) {
		snprintf(question, sizeof question, "Isolate %s %s (%zu process%s)?",
		         target_kind_str(t.kind), out_clean(t.name, name, sizeof name), members,
		         members == 1 ? "" : "es");
		r = cut_carry_out(&k, question);
	}
	cut_end(&k);
	return r;
}
