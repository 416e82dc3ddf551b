/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * aws.swap: every interface of the instance has the quarantine group and no other. Flows that a
 * group tracks outlive its removal, so they are made untracked first, by a group that lets
 * everything through. Sources: EC2 user guide, "Security group connection tracking"; the runbook
 * AWSSupport-ContainEC2Instance; EC2 API reference, ModifyNetworkInterfaceAttribute.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/aws/parts.h"

/* What an interface has now, by the groups it reads with. */
enum has { HAS_ORIGINAL, HAS_OPEN, HAS_OURS, HAS_OTHER, HAS_GONE };

struct scene {
	struct aws_swap p;
	const char *token;         /* the step's: the open group has it */
	struct ec2_interface *now; /* of the instance */
	size_t n_now;
	struct ec2_group *groups; /* ours: of aws.group and of this step */
	size_t n_groups;
	enum has has[AWS_PLACES_MAX];
};

static void scene_free(struct scene *s)
{
	free(s->now);
	free(s->groups);
	free(s);
}

static void scene_freep(struct scene **s)
{
	if (*s)
		scene_free(*s);
}

static const struct ec2_interface *find(const struct scene *s, const char *id)
{
	for (size_t i = 0; i < s->n_now; i++)
		if (!strcmp(s->now[i].id, id))
			return &s->now[i];
	return NULL;
}

static bool has_group(const struct ec2_interface *i, const char *id)
{
	for (size_t k = 0; k < i->n_groups; k++)
		if (!strcmp(i->groups[k], id))
			return true;
	return false;
}

static bool has_originals(const struct ec2_interface *i, const struct aws_place *p)
{
	if (i->n_groups != p->n_groups)
		return false;
	for (size_t k = 0; k < p->n_groups; k++)
		if (!has_group(i, p->groups[k]))
			return false;
	return true;
}

static const struct ec2_group *group_at(const struct scene *s, const char *token, const char *vpc)
{
	for (size_t i = 0; i < s->n_groups; i++)
		if (!strcmp(s->groups[i].token, token) && !strcmp(s->groups[i].vpc, vpc))
			return &s->groups[i];
	return NULL;
}

static bool is_open(const struct scene *s)
{
	for (size_t i = 0; i < s->n_groups; i++)
		if (!strcmp(s->groups[i].token, s->token))
			return true;
	return false;
}

static bool has_only(const struct ec2_interface *i, const struct ec2_group *g)
{
	return g && i->n_groups == 1 && has_group(i, g->id);
}

static enum has what_it_has(const struct scene *s, const struct aws_place *p)
{
	const struct ec2_interface *i = find(s, p->id);
	if (!i)
		return HAS_GONE;
	if (has_only(i, group_at(s, s->p.group_token, p->vpc)))
		return HAS_OURS;
	if (has_only(i, group_at(s, s->token, p->vpc)))
		return HAS_OPEN;
	return has_originals(i, p) ? HAS_ORIGINAL : HAS_OTHER;
}

/* Those that the plan knows and that have left the instance: they keep the group they had. */
static int add_detached(struct aws *a, struct scene *s, struct err *e)
{
	const char *ids[AWS_PLACES_MAX];
	struct ec2_interface *v = NULL;
	size_t n = 0, n_v = 0;
	for (size_t i = 0; i < s->p.n; i++)
		if (!find(s, s->p.v[i].id))
			ids[n++] = s->p.v[i].id;
	int r = aws_interfaces(a, "network-interface-id", ids, n, &v, &n_v, e);
	struct ec2_interface *more =
	    r == 0 && n_v ? reallocarray(s->now, s->n_now + n_v, sizeof *more) : NULL;
	if (more) {
		memcpy(more + s->n_now, v, n_v * sizeof *more);
		s->now = more;
		s->n_now += n_v;
	} else if (r == 0 && n_v) {
		r = err_set(e, -ENOMEM, "out of memory");
	}
	free(v);
	return r;
}

static int look_at_groups(struct aws *a, struct scene *s, struct err *e)
{
	const char *tokens[] = {s->p.group_token, s->token};
	free(s->groups);
	s->groups = NULL;
	s->n_groups = 0;
	return aws_groups(a, "tag:" AWS_TAG, tokens, ARRAY_SIZE(tokens), &s->groups, &s->n_groups,
	                  e);
}

static int scene_new(struct aws *a, const struct step *step, struct scene **ret, struct err *e)
{
	struct scene *s = calloc(1, sizeof *s);
	int r = s ? aws_swap_in(step->forward, &s->p, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0) {
		const char *instance = s->p.instance;
		s->token = step->token;
		r = aws_interfaces(a, "attachment.instance-id", &instance, 1, &s->now, &s->n_now,
		                   e);
	}
	if (r == 0)
		r = add_detached(a, s, e);
	if (r == 0)
		r = look_at_groups(a, s, e);
	for (size_t i = 0; r == 0 && i < s->p.n; i++)
		s->has[i] = what_it_has(s, &s->p.v[i]);
	if (r < 0 && s)
		scene_free(s);
	else if (r == 0)
		*ret = s;
	return r;
}

/* Interfaces of the instance that the plan did not know. */
static const struct ec2_interface *stranger(const struct scene *s, size_t *at)
{
	while (*at < s->n_now) {
		const struct ec2_interface *i = &s->now[(*at)++];
		size_t k = 0;
		while (k < s->p.n && strcmp(s->p.v[k].id, i->id) != 0)
			k++;
		if (k == s->p.n)
			return i;
	}
	return NULL;
}

static void say_groups(const struct ec2_interface *i, struct buf *out)
{
	for (size_t k = 0; k < i->n_groups; k++)
		buf_addf(out, "%s%s", k ? ", " : "", i->groups[k]);
}

/* --- changing --- */

/* fresh: of groups that were only just made. */
static int set_groups(struct aws *a, const char *interface, const char (*groups)[EC2_ID_MAX],
                      size_t n, bool fresh, struct err *e)
{
	struct aws_call c;
	aws_call_new(&c, AWS_EC2, "ModifyNetworkInterfaceAttribute");
	c.fresh = fresh;
	aws_arg(&c, "NetworkInterfaceId", interface);
	for (size_t i = 0; i < n; i++)
		aws_arg_at(&c, "SecurityGroupId", i + 1, groups[i]);
	return aws_do(a, &c, NULL, e);
}

static int tag_instance(struct aws *a, const char *action, const struct step *step,
                        const struct scene *s, struct err *e)
{
	struct aws_call c;
	aws_call_new(&c, AWS_EC2, action);
	aws_arg(&c, "ResourceId.1", s->p.instance);
	aws_arg(&c, "Tag.1.Key", AWS_TAG);
	aws_arg(&c, "Tag.1.Value", step->token); /* only where it has this value is it deleted */
	return aws_do(a, &c, NULL, e);
}

static int put_all(struct aws *a, const struct scene *s, const char *token, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < s->p.n; i++) {
		const struct ec2_group *g = group_at(s, token, s->p.v[i].vpc);
		if (!g)
			return err_set(e, -ENOENT, "the group of ours in %s is gone",
			               s->p.v[i].vpc);
		r = set_groups(a, s->p.v[i].id, &g->id, 1, true, e);
	}
	return r;
}

static int open_all(struct aws *a, const struct step *step, const struct scene *s, struct err *e)
{
	struct ec2_rule all[4];
	int r = 0;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		all[i] = (struct ec2_rule){.egress = i & 1, .protocol = "-1", .from = -1, .to = -1};
		all[i].prefix.addr.family = i & 2 ? ADDR_V6 : ADDR_V4;
	}
	for (size_t i = 0; r == 0 && i < s->p.n; i++)
		if (!i || strcmp(s->p.v[i].vpc, s->p.v[i - 1].vpc) != 0)
			r = aws_group_make(a, step->token, s->p.v[i].vpc, "untie", all,
			                   ARRAY_SIZE(all), e);
	return r;
}

static int close_open(struct aws *a, const struct scene *s, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < s->n_groups; i++) {
		bool open = !strcmp(s->groups[i].token, s->token);
		int x = open ? aws_group_delete(a, s->groups[i].id, e) : 0;
		r = x < 0 ? x : r;
	}
	return r;
}

static int untie(struct aws *a, const struct step *step, struct scene *s, struct err *e)
{
	int r = open_all(a, step, s, e);
	if (r == 0)
		r = look_at_groups(a, s, e);
	if (r == 0)
		r = put_all(a, s, s->token, e);
	if (r == 0)
		aws_pause(a->s.untie_wait);
	return r;
}

/* As the plan was shown, or not at all. */
static int check_unchanged(const struct scene *s, struct err *e)
{
	size_t at = 0;
	const struct ec2_interface *new = stranger(s, &at);
	if (new)
		return err_set(e, -EAGAIN,
		               "the interface %s was added to %s since the plan; look again",
		               new->id, s->p.instance);
	for (size_t i = 0; i < s->p.n; i++)
		if (s->has[i] == HAS_OTHER || s->has[i] == HAS_GONE)
			return err_set(e, -EAGAIN, "%s %s since the plan; look again", s->p.v[i].id,
			               s->has[i] == HAS_GONE ? "is gone" : "has other groups");
	return 0;
}

/* Puts back what reads as ours; what else there is is told. */
static int put_back(struct aws *a, const struct scene *s, struct buf *drift, struct err *e)
{
	int r = 0;
	for (size_t i = 0; i < s->p.n; i++) {
		const struct aws_place *p = &s->p.v[i];
		struct err why = {0};
		int x = 0;
		if (s->has[i] == HAS_GONE) {
			buf_addf(drift, "%s is no more; ", p->id);
		} else if (s->has[i] == HAS_OTHER) {
			buf_addf(drift, "%s has been given other groups (", p->id);
			say_groups(find(s, p->id), drift);
			buf_addf(drift, ") and is left as it is; ");
		} else if (s->has[i] != HAS_ORIGINAL) {
			x = set_groups(a, p->id, p->groups, p->n_groups, false, &why);
		}
		if (x < 0)
			r = err_set(e, x, "%s could not be given its groups back: %s", p->id,
			            why.text);
	}
	return r;
}

static int swap_undo(struct aws *a, struct step *step, const struct holds *others, struct err *e)
{
	_cleanup_(scene_freep) struct scene *s = NULL;
	struct buf drift = BUF_INIT(4096);
	int r = scene_new(a, step, &s, e);
	if (r == 0)
		r = put_back(a, s, &drift, e);
	if (r == 0)
		r = close_open(a, s, e);
	if (r == 0)
		r = tag_instance(a, "DeleteTags", step, s, e);
	if (r == -ENOENT) /* the instance is no more, nor its tags */
		r = 0;
	if (r == 0 && drift.len)
		r = err_set(e, -ESTALE, "%.*s", (int)(drift.len - 2), buf_str(&drift));
	buf_free(&drift);
	return r;
}

static int swap_apply(struct aws *a, struct step *step, const struct holds *others, struct err *e)
{
	_cleanup_(scene_freep) struct scene *s = NULL;
	struct err more = {0};
	int r = scene_new(a, step, &s, e);
	if (r == 0)
		r = check_unchanged(s, e);
	if (r)
		return r;
	if (s->p.untie)
		r = untie(a, step, s, e);
	if (r == 0)
		r = put_all(a, s, s->p.group_token, e);
	if (r == 0)
		r = tag_instance(a, "CreateTags", step, s, e);
	if (r < 0) {
		if (swap_undo(a, step, others, &more) < 0)
			err_prefix(e, r, "%.200s; and not all was put back", more.text);
		return r;
	}
	/* What holds is not given up for a group that nobody uses: undo takes it away. */
	if (s->p.untie && close_open(a, s, &more) < 0) {
		free(step->problem);
		step->problem = strdup(more.text);
	}
	return 0;
}

/* --- reading back --- */

static size_t say_drift(const struct scene *s, struct buf *drift)
{
	static const char *const says[] = {[HAS_ORIGINAL] = "has its own groups",
	                                   [HAS_OPEN] = "is open to all, half-way into quarantine",
	                                   [HAS_OTHER] = "has other groups"};
	const struct ec2_interface *i;
	size_t at = 0, bad = 0;
	for (size_t k = 0; k < s->p.n; k++) {
		if (s->has[k] == HAS_OURS || s->has[k] == HAS_GONE)
			continue;
		buf_addf(drift, "%s %s: ", s->p.v[k].id, says[s->has[k]]);
		say_groups(find(s, s->p.v[k].id), drift);
		buf_addf(drift, "\n");
		bad++;
	}
	while ((i = stranger(s, &at))) {
		if (has_only(i, group_at(s, s->p.group_token, i->vpc)))
			continue;
		buf_addf(drift, "the interface %s was added to %s and is not in quarantine\n",
		         i->id, s->p.instance);
		bad++;
	}
	return bad;
}

static int swap_verify(struct aws *a, const struct step *step, struct readback *ret,
                       struct buf *drift, struct err *e)
{
	_cleanup_(scene_freep) struct scene *s = NULL;
	size_t n[HAS_GONE + 1] = {0};
	int r = scene_new(a, step, &s, e);
	if (r)
		return r;
	for (size_t i = 0; i < s->p.n; i++)
		n[s->has[i]]++;
	size_t bad = say_drift(s, drift);
	enum dim_state dim = DIM_PARTIAL;
	ret->verdict = VERDICT_HOLDS;
	if (bad || !n[HAS_OURS]) {
		bool none = n[HAS_ORIGINAL] + n[HAS_GONE] == s->p.n && !is_open(s);
		ret->verdict = none ? VERDICT_ABSENT : VERDICT_DRIFTED;
		dim = n[HAS_OURS] ? DIM_PARTIAL : DIM_RELEASED;
	}
	ret->dims[DIM_V4] = ret->dims[DIM_V6] = ret->dims[DIM_SESSIONS] = dim;
	return 0;
}

static int swap_describe(const struct step *s, struct buf *out, struct err *e)
{
	_cleanup_free_ struct aws_swap *p = calloc(1, sizeof *p);
	int r = p ? aws_swap_in(s->forward, p, e) : err_set(e, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	if (p->untie)
		buf_addf(out,
		         "ec2 CreateSecurityGroup GroupName=stanch-untie-%s (all in, all out)\n",
		         s->token);
	for (size_t i = 0; p->untie && i < p->n; i++)
		buf_addf(out,
		         "ec2 ModifyNetworkInterfaceAttribute NetworkInterfaceId=%s "
		         "SecurityGroupId.1=(stanch-untie-%s)\n",
		         p->v[i].id, s->token);
	for (size_t i = 0; i < p->n; i++)
		buf_addf(out,
		         "ec2 ModifyNetworkInterfaceAttribute NetworkInterfaceId=%s "
		         "SecurityGroupId.1=(stanch-quarantine-%s)\n",
		         p->v[i].id, p->group_token);
	buf_addf(out, "ec2 CreateTags ResourceId.1=%s Tag.1=" AWS_TAG ":%s\n", p->instance,
	         s->token);
	if (p->untie)
		buf_addf(out, "ec2 DeleteSecurityGroup (stanch-untie-%s)\n", s->token);
	return 0;
}

const struct aws_kind aws_kind_swap = {
    .kind = "aws.swap",
    .apply = swap_apply,
    .verify = swap_verify,
    .undo = swap_undo,
    .describe = swap_describe,
};
