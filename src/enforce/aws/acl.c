/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * aws.acl: entries of network ACLs that deny destinations, both ways. ACLs have no state, so flows
 * that are open end as well. Sources: VPC user guide, "Network ACLs" (evaluated from the lowest
 * number; one number is one entry each way; quotas); EC2 API reference, CreateNetworkAclEntry.
 *
 * An entry carries no tag. Ours is what stands in the number that the plan chose and denies exactly
 * what the plan said; anything else in that place is somebody else's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/aws/parts.h"

#define NUMBER_END 32767 /* the last deny's; what is below is free to be used */

static bool same_prefix(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_equal(&a->addr, &b->addr);
}

/* --- choosing places --- */

struct way { /* one direction of one ACL */
	const struct ec2_acl *acl;
	bool egress;
	bool taken[NUMBER_END + 1];
	int lowest_allow;
	size_t count[2], added[2]; /* entries, v4 and v6 */
};

static size_t family(const struct prefix *p)
{
	return p->addr.family == ADDR_V6;
}

static void way_read(struct way *w, const struct ec2_acl *acl, bool egress)
{
	memset(w, 0, sizeof *w);
	w->acl = acl;
	w->egress = egress;
	w->lowest_allow = NUMBER_END;
	for (size_t i = 0; i < acl->n_entries; i++) {
		const struct ec2_entry *t = &acl->entries[i];
		if (t->egress != egress)
			continue;
		w->count[family(&t->prefix)]++;
		if (t->number <= NUMBER_END)
			w->taken[t->number] = true;
		if (t->allow && t->number < w->lowest_allow)
			w->lowest_allow = t->number;
	}
}

static const struct ec2_entry *denied_already(const struct way *w, const struct prefix *p)
{
	for (size_t i = 0; i < w->acl->n_entries; i++) {
		const struct ec2_entry *t = &w->acl->entries[i];
		if (t->egress == w->egress && !t->allow && t->plain &&
		    t->number < w->lowest_allow && same_prefix(&t->prefix, p))
			return t;
	}
	return NULL;
}

static bool entry_equal(const struct aws_entry *a, const struct aws_entry *b)
{
	return a->number == b->number && a->egress == b->egress && !strcmp(a->acl, b->acl) &&
	       same_prefix(&a->prefix, &b->prefix);
}

static bool claimed(const struct aws_block *held, size_t n, const struct aws_entry *t)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < held[i].n; k++)
			if (held[i].v[k].ours && entry_equal(&held[i].v[k], t))
				return true;
	return false;
}

/* From the top, so that the low numbers stay the administrators'. */
static int free_number(const struct way *w)
{
	int n = w->lowest_allow - 1;
	while (n > 0 && w->taken[n])
		n--;
	return n;
}

/* False: there is no place, or no quota. */
static bool place(struct way *w, const struct prefix *p, unsigned limit,
                  const struct aws_block *held, size_t n_held, struct aws_entry *ret)
{
	const struct ec2_entry *old = denied_already(w, p);
	size_t f = family(p);
	*ret = (struct aws_entry){.egress = w->egress, .prefix = *p, .ours = true};
	strcpy(ret->acl, w->acl->id);
	ret->number = old ? old->number : free_number(w);
	if (old) {
		ret->ours = claimed(held, n_held, ret);
		return true;
	}
	if (ret->number < 1 || w->count[f] + w->added[f] >= limit)
		return false;
	w->added[f]++;
	w->taken[ret->number] = true;
	return true;
}

static int no_room(const struct order *o, const struct way *w, size_t at, unsigned limit,
                   struct err *e)
{
	const struct prefix *p = &o->targets[at].prefix;
	struct buf fit = BUF_INIT(240);
	size_t f = family(p), n = 0;
	for (size_t i = 0; i < at; i++)
		if (family(&o->targets[i].prefix) == f && ++n)
			buf_addf(&fit, "%s%.60s", fit.len ? ", " : "", o->targets[i].name);
	bool quota = w->count[f] + w->added[f] >= limit;
	int r = err_set(e, -ENOSPC,
	                "%s has no room for %.60s: %s %s. Without it and what follows would fit: "
	                "%s%s. Nothing was changed",
	                w->acl->id, o->targets[at].name,
	                quota ? f ? "it may hold no more IPv6 entries"
	                          : "it may hold no more IPv4 entries"
	                      : "no number is free below the first entry that allows",
	                quota ? "by its quota (acl_entries)" : "; renumber that one",
	                n ? buf_str(&fit) : "nothing", fit.error ? ", …" : "");
	buf_free(&fit);
	return r;
}

/* Every way of every ACL has to take a target before the next one's turn, so that what fits is
 * known. */
int aws_block_choose(const struct order *o, const struct ec2_acl *acls, size_t n, unsigned limit,
                     const struct aws_block *held, size_t n_held, struct aws_block *ret,
                     struct err *e)
{
	size_t n_ways = 2 * n, all = n_ways * o->n_targets;
	int r = 0;
	if (all > AWS_BLOCK_MAX)
		return err_set(e, -ENOSPC,
		               "%zu addresses in %zu network ACLs are more than they can hold "
		               "(%u entries each way); nothing was changed",
		               o->n_targets, n, limit);
	struct way *ways = calloc(n_ways, sizeof *ways);
	struct aws_block b = {.v = calloc(all ? all : 1, sizeof *b.v)};
	if (!ways || !b.v)
		r = err_set(e, -ENOMEM, "out of memory while planning");
	for (size_t i = 0; r == 0 && i < n_ways; i++)
		way_read(&ways[i], &acls[i / 2], i & 1);
	for (size_t t = 0; r == 0 && t < o->n_targets; t++)
		for (size_t i = 0; r == 0 && i < n_ways; i++, b.n++)
			if (!place(&ways[i], &o->targets[t].prefix, limit, held, n_held, &b.v[b.n]))
				r = no_room(o, &ways[i], t, limit, e);
	free(ways);
	if (r < 0)
		aws_block_free(&b);
	else
		*ret = b;
	return r;
}

/* --- what there is --- */

enum there { THERE, FREE, TAKEN, NO_ACL };

static int read_acls(struct aws *a, const struct aws_block *b, struct ec2_acl **ret, size_t *ret_n,
                     struct err *e)
{
	const char *ids[AWS_LIST_MAX];
	size_t n = 0;
	for (size_t i = 0; i < b->n; i++) {
		size_t k = 0;
		while (k < n && strcmp(ids[k], b->v[i].acl) != 0)
			k++;
		if (k == n && n < AWS_LIST_MAX)
			ids[n++] = b->v[i].acl;
	}
	return aws_acls(a, "network-acl-id", ids, n, ret, ret_n, e);
}

static enum there look_at(const struct ec2_acl *acls, size_t n, const struct aws_entry *t)
{
	size_t i = 0;
	while (i < n && strcmp(acls[i].id, t->acl) != 0)
		i++;
	if (i == n)
		return NO_ACL;
	for (size_t k = 0; k < acls[i].n_entries; k++) {
		const struct ec2_entry *x = &acls[i].entries[k];
		if (x->number == t->number && x->egress == t->egress)
			return !x->allow && x->plain && same_prefix(&x->prefix, &t->prefix) ? THERE
			                                                                    : TAKEN;
	}
	return FREE;
}

static void say_place(const struct aws_entry *t, struct buf *out)
{
	buf_addf(out, "%s %s %d", t->acl, t->egress ? "egress" : "ingress", t->number);
}

/* --- changing --- */

static void number_args(struct aws_call *c, const struct aws_entry *t)
{
	char number[12];
	snprintf(number, sizeof number, "%d", t->number);
	aws_arg(c, "NetworkAclId", t->acl);
	aws_arg(c, "RuleNumber", number);
	aws_arg(c, "Egress", t->egress ? "true" : "false");
}

static int create(struct aws *a, const struct aws_entry *t, struct err *e)
{
	struct aws_call c;
	char text[PREFIX_STR_MAX + 4];
	bool v6 = t->prefix.addr.family == ADDR_V6;
	prefix_str(&t->prefix, text);
	if (!strchr(text, '/'))
		strcat(text, v6 ? "/128" : "/32");
	aws_call_new(&c, AWS_EC2, "CreateNetworkAclEntry");
	number_args(&c, t);
	aws_arg(&c, "Protocol", "-1");
	aws_arg(&c, "RuleAction", "deny");
	aws_arg(&c, v6 ? "Ipv6CidrBlock" : "CidrBlock", text);
	return aws_do(a, &c, NULL, e);
}

static int delete (struct aws *a, const struct aws_entry *t, struct err *e)
{
	struct aws_call c;
	aws_call_new(&c, AWS_EC2, "DeleteNetworkAclEntry");
	number_args(&c, t);
	int r = aws_do(a, &c, NULL, e);
	return r == -ENOENT ? 0 : r;
}

static int not_ours(const struct aws_entry *t, struct err *e)
{
	struct buf at = BUF_INIT(128);
	say_place(t, &at);
	int r = err_set(e, -EAGAIN, "%s has been taken by another entry since the plan; look again",
	                buf_str(&at));
	buf_free(&at);
	return r;
}

static int create_all(struct aws *a, const struct aws_block *b, const struct ec2_acl *acls,
                      size_t n, struct err *e)
{
	bool lost = false;
	int r = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].ours && look_at(acls, n, &b->v[i]) == TAKEN)
			return not_ours(&b->v[i], e);
	for (size_t i = 0; r == 0 && i < b->n; i++) {
		if (!b->v[i].ours || look_at(acls, n, &b->v[i]) == THERE)
			continue;
		r = create(a, &b->v[i], e);
		lost |= r == -EEXIST; /* ours, whose answer was lost, or another's */
		r = r == -EEXIST ? 0 : r;
	}
	if (r < 0 || !lost)
		return r;
	struct ec2_acl *again = NULL;
	r = read_acls(a, b, &again, &n, e);
	for (size_t i = 0; r == 0 && i < b->n; i++)
		if (b->v[i].ours && look_at(again, n, &b->v[i]) == TAKEN)
			r = not_ours(&b->v[i], e);
	free(again);
	return r;
}

static bool wanted_by_others(const struct holds *others, const struct aws_entry *t)
{
	bool wanted = false;
	for (size_t i = 0; !wanted && i < others->n; i++) {
		struct aws_block b = {0};
		if (strcmp(others->v[i].step->kind, "aws.acl") != 0 ||
		    aws_block_in(others->v[i].step->forward, &b, NULL) < 0)
			continue;
		wanted = claimed(&b, 1, t);
		aws_block_free(&b);
	}
	return wanted;
}

static int delete_all(struct aws *a, const struct aws_block *b, const struct holds *others,
                      struct buf *drift, struct err *e)
{
	struct ec2_acl *acls = NULL;
	size_t n = 0;
	int r = read_acls(a, b, &acls, &n, e), worst = r;
	for (size_t i = 0; r == 0 && i < b->n; i++) {
		const struct aws_entry *t = &b->v[i];
		if (!t->ours || wanted_by_others(others, t))
			continue;
		enum there is = look_at(acls, n, t);
		int x = is == THERE ? delete (a, t, e) : 0;
		worst = x < 0 ? x : worst;
		if (is == TAKEN && drift) {
			buf_addf(drift, "%s", drift->len ? ", " : "");
			say_place(t, drift);
		}
	}
	free(acls);
	return worst;
}

static int acl_apply(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	struct aws_block b = {0};
	struct ec2_acl *acls = NULL;
	struct err more = {0};
	size_t n = 0;
	int r = aws_block_in(s->forward, &b, e);
	if (r == 0)
		r = read_acls(a, &b, &acls, &n, e);
	if (r == 0)
		r = create_all(a, &b, acls, n, e);
	if (r < 0 && b.n && delete_all(a, &b, others, NULL, &more) < 0)
		err_prefix(e, r, "%.200s; and not all was taken back", more.text);
	free(acls);
	aws_block_free(&b);
	return r;
}

static int acl_undo(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	struct aws_block b = {0};
	struct buf drift = BUF_INIT(320);
	int r = aws_block_in(s->forward, &b, e);
	if (r == 0)
		r = delete_all(a, &b, others, &drift, e);
	if (r == 0 && drift.len)
		r = err_set(e, -ESTALE, "other entries stand now where ours were, and are left: %s",
		            buf_str(&drift));
	buf_free(&drift);
	aws_block_free(&b);
	return r;
}

/* --- reading back --- */

static int acl_verify(struct aws *a, const struct step *s, struct readback *ret, struct buf *drift,
                      struct err *e)
{
	static const char *const says[] = {[FREE] = "is gone",
	                                   [TAKEN] = "is another entry now",
	                                   [NO_ACL] = "is in no ACL any more"};
	struct aws_block b = {0};
	struct ec2_acl *acls = NULL;
	size_t n = 0, good = 0, ours = 0;
	bool of[2] = {false};
	int r = aws_block_in(s->forward, &b, e);
	if (r == 0)
		r = read_acls(a, &b, &acls, &n, e);
	for (size_t i = 0; r == 0 && i < b.n; i++) {
		enum there is = look_at(acls, n, &b.v[i]);
		char prefix[PREFIX_STR_MAX];
		of[family(&b.v[i].prefix)] = true;
		good += is == THERE;
		ours += is == THERE && b.v[i].ours;
		if (is == THERE)
			continue;
		say_place(&b.v[i], drift);
		buf_addf(drift, " that denies %s %s\n", prefix_str(&b.v[i].prefix, prefix),
		         says[is]);
	}
	if (r == 0) {
		bool holds = good == b.n;
		enum dim_state dim = holds ? DIM_CONTAINED : good ? DIM_PARTIAL : DIM_RELEASED;
		ret->verdict = holds ? VERDICT_HOLDS : ours ? VERDICT_DRIFTED : VERDICT_ABSENT;
		ret->dims[DIM_V4] = of[0] ? dim : DIM_NONE;
		ret->dims[DIM_V6] = of[1] ? dim : DIM_NONE;
		ret->dims[DIM_SESSIONS] = dim;
	}
	free(acls);
	aws_block_free(&b);
	return r;
}

static int acl_describe(const struct step *s, struct buf *out, struct err *e)
{
	struct aws_block b = {0};
	int r = aws_block_in(s->forward, &b, e);
	for (size_t i = 0; r == 0 && i < b.n; i++) {
		const struct aws_entry *t = &b.v[i];
		char prefix[PREFIX_STR_MAX];
		prefix_str(&t->prefix, prefix);
		if (t->ours)
			buf_addf(
			    out,
			    "ec2 CreateNetworkAclEntry NetworkAclId=%s RuleNumber=%d Egress=%s "
			    "Protocol=-1 RuleAction=deny %s=%s\n",
			    t->acl, t->number, t->egress ? "true" : "false",
			    family(&t->prefix) ? "Ipv6CidrBlock" : "CidrBlock", prefix);
		else
			buf_addf(out, "%s %s %d denies %s already, and is not ours\n", t->acl,
			         t->egress ? "egress" : "ingress", t->number, prefix);
	}
	aws_block_free(&b);
	return r;
}

const struct aws_kind aws_kind_acl = {
    .kind = "aws.acl",
    .apply = acl_apply,
    .verify = acl_verify,
    .undo = acl_undo,
    .describe = acl_describe,
};
