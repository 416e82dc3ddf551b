/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From orders to steps: what is there is read, then derived from; nothing is changed. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/aws/parts.h"

#define RESOLVER_WHY                                                                               \
	"the VPC's own name servers and the instance metadata answer behind every security "       \
	"group: DNS can still carry data out"
#define TRACKED_WHY                                                                                \
	"flows through a NAT gateway, a load balancer or a transit gateway and all ICMP stay "     \
	"tracked until they end by themselves"

static char *text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return s;
}

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory while planning");
}

/* The payload serves both ways: what was there stands in it. */
static int finish(struct step *s, bool required, char *forward, const char *no_inverse,
                  struct err *e)
{
	s->required = required;
	s->forward = forward;
	if (no_inverse)
		s->no_inverse = strdup(no_inverse);
	else
		s->inverse = strdup(forward);
	return s->effect && (s->no_inverse || (s->inverse && s->undo_effect)) ? 0 : no_memory(e);
}

/* --- which instance --- */

struct by_filter {
	const char *name;
	const char *values[ASSET_ADDRS_MAX];
	size_t n;
};

/* The one instance that has an interface with one of the values, in our VPCs. */
static int one_instance(struct aws *a, const struct order *o, const struct by_filter *f,
                        char ret[static EC2_ID_MAX], struct err *e)
{
	struct ec2_interface *v = NULL;
	size_t n = 0;
	int r = aws_interfaces(a, f->name, f->values, f->n, &v, &n, e);
	for (size_t k = 0; r == 0 && k < n; k++) {
		bool in = !a->s.n_vpcs;
		for (size_t x = 0; x < a->s.n_vpcs; x++)
			in |= !strcmp(a->s.vpcs[x], v[k].vpc);
		if (!in || !v[k].instance[0] || !strcmp(ret, v[k].instance))
			continue;
		if (*ret)
			r = err_set(
			    e, -EPERM,
			    "%s and %s both have an address of %s: say which by instance in "
			    "its section (or name the vpc of this point)",
			    ret, v[k].instance, o->targets[0].name);
		strcpy(ret, v[k].instance);
	}
	free(v);
	return r;
}

static int by_address(struct aws *a, const struct order *o, char ret[static EC2_ID_MAX],
                      struct err *e)
{
	struct by_filter f[] = {{.name = "addresses.private-ip-address"},
	                        {.name = "addresses.association.public-ip"},
	                        {.name = "ipv6-addresses.ipv6-address"}};
	struct addr addrs[ASSET_ADDRS_MAX];
	char texts[ASSET_ADDRS_MAX][ADDR_STR_MAX];
	size_t n = 0;
	int r = inventory_addrs(a->inventory, &o->targets[0], addrs, &n, e);
	*ret = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(f); k++)
			if ((addrs[i].family == ADDR_V6) == (k == 2))
				f[k].values[f[k].n++] = addr_str(&addrs[i], texts[i]);
	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(f); k++)
		r = one_instance(a, o, &f[k], ret, e);
	if (r == 0 && !*ret)
		r = err_set(e, -ENOENT, "no instance in %s has an address of %s", a->s.region,
		            o->targets[0].name);
	return r;
}

static int find_instance(struct aws *a, const struct order *o, struct ec2_instance *ret,
                         struct err *e)
{
	const struct asset *asset = inventory_asset(a->inventory, o->targets[0].name);
	const char *named = asset ? section_get(&asset->s, "instance", 0) : NULL;
	char id[EC2_ID_MAX], own[EC2_ID_MAX] = "";
	int r = named ? 0 : by_address(a, o, id, e);
	if (r == 0 && named && !ec2_id_ok(named))
		r = err_set(e, -EINVAL, "the instance \"%.60s\" of %s is no id", named,
		            o->targets[0].name);
	if (r == 0 && named)
		strcpy(id, named);
	if (r == 0)
		r = aws_instance(a, id, ret, e);
	for (size_t i = 0; r == 0 && i < a->s.n_protect; i++)
		if (!strcmp(a->s.protect[i], id))
			r = err_set(e, -EPERM, "%s is protected in the section \"%s\"", id,
			            a->point);
	if (r == 0)
		r = aws_own_instance(a, own, e);
	if (r == 0 && !strcmp(own, id))
		r = err_set(e, -EPERM,
		            "%s is the instance that this runs on: whoever owns it would see the "
		            "credentials of this point. Run it from a trusted host",
		            id);
	return r;
}

static int not_twice(const struct holds *others, const char *instance, struct err *e)
{
	int r = 0;
	_cleanup_free_ struct aws_swap *p = malloc(sizeof *p);
	if (!p)
		return no_memory(e);
	for (size_t i = 0; r == 0 && i < others->n; i++)
		if (!strcmp(others->v[i].step->kind, aws_kind_swap.kind) &&
		    aws_swap_in(others->v[i].step->forward, p, NULL) == 0 &&
		    !strcmp(p->instance, instance))
			r = err_set(e, -EALREADY, "o%u isolates %s already: nothing is to be done",
			            others->v[i].order->id, instance);
	return r;
}

/* --- rights --- */

struct
try {
	const char *action;
	const char
	    *args[12]; /* name, value, …; NULL ends: whole, for AWS looks at the form first */
};

/* Asks for each by a dry run; all that are missing in one sentence. */
static int check_rights(struct aws *a, const struct try *v, size_t n, struct err *e)
{
	struct buf missing = BUF_INIT(300);
	struct err why = {0};
	int r = 0;
	for (size_t i = 0; (r == 0 || r == -EACCES) && i < n; i++) {
		struct aws_call c;
		aws_call_new(&c, AWS_EC2, v[i].action);
		for (size_t k = 0; k < ARRAY_SIZE(v[i].args) && v[i].args[k]; k += 2)
			aws_arg(&c, v[i].args[k], v[i].args[k + 1]);
		r = aws_dry(a, &c, &why);
		if (r == -EACCES)
			buf_addf(&missing, "%sec2:%s", missing.len ? ", " : "", v[i].action);
	}
	if (r < 0 && r != -EACCES)
		err_set(e, r, "%s", why.text);
	else if (missing.len)
		r = err_set(e, -EACCES,
		            "the credentials of this point may not %s; nothing was changed",
		            buf_str(&missing));
	else
		r = 0;
	buf_free(&missing);
	return r;
}

#define ONE_RULE                                                                                   \
	"IpPermissions.1.IpProtocol", "-1", "IpPermissions.1.IpRanges.1.CidrIp", "192.0.2.0/32"

static int rights_to_isolate(struct aws *a, const struct ec2_instance *in, const struct aws_swap *p,
                             struct err *e)
{
	const struct aws_place *first = &p->v[0];
	const struct try tries[] = {
	    {"CreateSecurityGroup",
	     {"GroupName", "stanch-dry-run", "GroupDescription", "stanch", "VpcId", first->vpc}},
	    {"AuthorizeSecurityGroupIngress", {"GroupId", first->groups[0], ONE_RULE}},
	    {"AuthorizeSecurityGroupEgress", {"GroupId", first->groups[0], ONE_RULE}},
	    {"RevokeSecurityGroupEgress", {"GroupId", first->groups[0], ONE_RULE}},
	    {"ModifyNetworkInterfaceAttribute",
	     {"NetworkInterfaceId", first->id, "SecurityGroupId.1", first->groups[0]}},
	    {"CreateTags",
	     {"ResourceId.1", in->id, "Tag.1.Key", AWS_TAG, "Tag.1.Value", "dry-run"}},
	    {"DeleteTags",
	     {"ResourceId.1", in->id, "Tag.1.Key", AWS_TAG, "Tag.1.Value", "dry-run"}},
	    {"DeleteSecurityGroup", {"GroupId", first->groups[0]}},
	    {"CreateSnapshots", {"InstanceSpecification.InstanceId", in->id}},
	};
	return check_rights(a, tries, ARRAY_SIZE(tries) - !a->s.snapshots, e);
}

/* --- the steps of an isolation --- */

struct isolation {
	const struct order *o;
	struct ec2_instance in;
	struct aws_swap swap;
	struct aws_group group;
	struct ec2_interface *interfaces;
	size_t n_interfaces, wider;
	struct buf groups; /* "sg-1 (web), sg-2 (ssh)" */
};

static int take_places(struct isolation *x, struct err *e)
{
	struct aws_swap *p = &x->swap;
	if (!x->n_interfaces)
		return err_set(e, -ENOENT, "%s has no network interface (it is %s)", x->in.id,
		               x->in.state);
	if (x->n_interfaces > AWS_PLACES_MAX)
		return err_set(e, -E2BIG, "%s has more than %d interfaces", x->in.id,
		               AWS_PLACES_MAX);
	strcpy(p->instance, x->in.id);
	for (size_t i = 0; i < x->n_interfaces; i++) {
		const struct ec2_interface *f = &x->interfaces[i];
		struct aws_place *to = &p->v[p->n++];
		size_t k = 0;
		if (!f->n_groups)
			return err_set(e, -EBADMSG, "%s reads without any security group", f->id);
		strcpy(to->id, f->id);
		strcpy(to->vpc, f->vpc);
		memcpy(to->groups, f->groups, sizeof to->groups);
		to->n_groups = f->n_groups;
		while (k < x->group.n_vpcs && strcmp(x->group.vpcs[k], f->vpc) != 0)
			k++;
		if (k == x->group.n_vpcs && k == AWS_VPCS_MAX)
			return err_set(e, -E2BIG, "%s is in more than %d VPCs", x->in.id,
			               AWS_VPCS_MAX);
		if (k == x->group.n_vpcs)
			strcpy(x->group.vpcs[x->group.n_vpcs++], f->vpc);
	}
	return 0;
}

/* Names of the groups it has; one of a stanch's means that it is isolated by somebody. */
static int read_groups(struct aws *a, struct isolation *x, struct err *e)
{
	const char *ids[AWS_PLACES_MAX * EC2_GROUPS_MAX];
	struct ec2_group *v = NULL;
	size_t n = 0, n_v = 0;
	for (size_t i = 0; i < x->swap.n; i++)
		for (size_t k = 0; k < x->swap.v[i].n_groups; k++) {
			size_t at = 0;
			while (at < n && strcmp(ids[at], x->swap.v[i].groups[k]) != 0)
				at++;
			if (at == n && n < 200) /* values of one filter */
				ids[n++] = x->swap.v[i].groups[k];
		}
	int r = aws_groups(a, "group-id", ids, n, &v, &n_v, e);
	for (size_t i = 0; r == 0 && i < n_v; i++) {
		if (v[i].token[0])
			r = err_set(
			    e, -EBUSY,
			    "%s is in %s already, a group that another stanch made (on %.60s): "
			    "undo it there",
			    x->in.id, v[i].id, v[i].host[0] ? v[i].host : "an unknown host");
		buf_addf(&x->groups, "%s%s (%s)", i ? ", " : "", v[i].id, v[i].name);
	}
	free(v);
	return r;
}

static int add_snapshot(struct aws *a, struct isolation *x, struct plan *p, struct err *e)
{
	struct aws_snapshot out = {.instance = ""};
	char *forward = NULL;
	if (!a->s.snapshots)
		return 0;
	strcpy(out.instance, x->in.id);
	struct step *s = plan_add_step(p, a->point, aws_kind_snapshot.kind);
	int r = s ? aws_snapshot_out(&out, &forward, e) : no_memory(e);
	if (r < 0)
		return r;
	s->effect = text("snapshot every volume of %s, as evidence", x->in.id);
	return finish(s, false, forward, "snapshots are evidence and are kept; delete them by hand",
	              e);
}

static int capacity(struct aws *a, const char *group, int *ret_min, int *ret_desired, struct err *e)
{
	struct aws_call c;
	struct xml_doc *d = NULL;
	aws_call_new(&c, AWS_SCALING, "DescribeAutoScalingGroups");
	aws_arg(&c, "AutoScalingGroupNames.member.1", group);
	int r = aws_do(a, &c, &d, e);
	if (r < 0)
		return r;
	const struct xml_node *n =
	    xml_at(xml_root(d), "DescribeAutoScalingGroupsResult/AutoScalingGroups/member");
	*ret_min = atoi(xml_text_at(n, "MinSize"));
	*ret_desired = atoi(xml_text_at(n, "DesiredCapacity"));
	xml_free(d);
	return 0;
}

static int add_standby(struct aws *a, struct isolation *x, struct plan *p, struct err *e)
{
	struct aws_standby out = {.group = ""};
	struct aws_member m = {.group = ""};
	char *forward = NULL;
	int least = 0, desired = 0;
	if (!x->in.scaling[0])
		return 0;
	if (!a->s.standby)
		return plan_note(
		    p,
		    "%s is a member of the auto-scaling group %s, which may end it for "
		    "being unhealthy (standby = no)",
		    x->in.id, x->in.scaling);
	int r = aws_member(a, x->in.id, &m, e);
	if (r == 0)
		r = capacity(a, x->in.scaling, &least, &desired, e);
	if (r == 0 && strcmp(m.state, "InService") != 0)
		return plan_note(p, "%s is %s in the auto-scaling group %s: it is left so",
		                 x->in.id, m.state[0] ? m.state : "nothing", x->in.scaling);
	struct step *s = r == 0 ? plan_add_step(p, a->point, aws_kind_standby.kind) : NULL;
	if (r < 0 || !s)
		return r < 0 ? r : no_memory(e);
	strcpy(out.instance, x->in.id);
	strcpy(out.group, x->in.scaling);
	out.shrink = desired > least;
	r = aws_standby_out(&out, &forward, e);
	if (r < 0)
		return r;
	s->effect =
	    text("put %s to standby in the auto-scaling group %s%s", x->in.id, x->in.scaling,
	         out.shrink ? " (its desired capacity shrinks by one)"
	                    : " (which starts another in its place: it is at its minimum)");
	s->undo_effect = text("let %s leave standby (the desired capacity grows by one)", x->in.id);
	return finish(s, false, forward, NULL, e);
}

static int add_group(struct aws *a, struct isolation *x, struct plan *p, struct err *e)
{
	struct buf kept = BUF_INIT(16384);
	char *forward = NULL;
	struct step *s = plan_add_step(p, a->point, aws_kind_group.kind);
	if (!s)
		return no_memory(e);
	strcpy(x->swap.group_token, s->token);
	int r = aws_group_out(&x->group, &forward, e);
	for (size_t i = 0; i < x->group.n_rules; i++) {
		buf_addf(&kept, "%s", i ? ", " : "");
		aws_rule_text(&x->group.rules[i], &kept);
	}
	if (r == 0) {
		s->effect = text("make a security group in %s%s that lets through %s",
		                 x->group.vpcs[0], x->group.n_vpcs > 1 ? " and its other VPCs" : "",
		                 kept.len ? buf_str(&kept) : "nothing");
		s->undo_effect = text("delete that group");
		r = finish(s, true, forward, NULL, e);
	}
	buf_free(&kept);
	return r;
}

static int add_swap(struct aws *a, struct isolation *x, struct plan *p, struct err *e)
{
	struct buf list = BUF_INIT(8192);
	char *forward = NULL;
	struct step *s = plan_add_step(p, a->point, aws_kind_swap.kind);
	if (!s)
		return no_memory(e);
	x->swap.untie = a->s.untie;
	int r = aws_swap_out(&x->swap, &forward, e);
	for (size_t i = 0; i < x->swap.n; i++)
		buf_addf(&list, "%s%s", i ? ", " : "", x->swap.v[i].id);
	if (r == 0) {
		s->effect = text("give all %zu interfaces of %s (%s) that group alone", x->swap.n,
		                 x->in.id, buf_str(&list));
		s->undo_effect = text("give each its groups back, where it has only ours: %s",
		                      buf_str(&x->groups));
		r = finish(s, true, forward, NULL, e);
	}
	buf_free(&list);
	return r;
}

static int role_of(struct aws *a, const char *profile, struct aws_role *ret, struct err *e)
{
	struct aws_call c;
	struct xml_doc *d = NULL;
	aws_call_new(&c, AWS_IAM, "GetInstanceProfile");
	aws_arg(&c, "InstanceProfileName", profile);
	int r = aws_do(a, &c, &d, e);
	if (r < 0)
		return r;
	ec2_text(ret->role, xml_text_at(xml_root(d), "GetInstanceProfileResult/InstanceProfile/"
	                                             "Roles/member/RoleName"));
	xml_free(d);
	return *ret->role ? 0 : err_set(e, -ENOENT, "the instance profile %s has no role", profile);
}

static int add_role(struct aws *a, struct isolation *x, struct plan *p, struct err *e)
{
	struct aws_role out = {.role = ""};
	char *forward = NULL;
	if (!x->in.profile[0])
		return 0;
	if (!a->s.revoke_role)
		return plan_note(p,
		                 "credentials that the role of %s (profile %s) gave out stay good, "
		                 "wherever they were taken to (revoke_role = no)",
		                 x->in.id, x->in.profile);
	int r = role_of(a, x->in.profile, &out, e);
	struct step *s = r == 0 ? plan_add_step(p, a->point, aws_kind_role.kind) : NULL;
	if (r < 0 || !s)
		return r < 0 ? r : no_memory(e);
	r = aws_role_out(&out, &forward, e);
	if (r < 0)
		return r;
	s->effect = text("deny everything to credentials that the role %s gave out until now, to "
	                 "every instance that has it",
	                 out.role);
	s->undo_effect = text("delete that policy of the role %s", out.role);
	return finish(s, false, forward, NULL, e);
}

/* --- what a person has to know --- */

static bool has_asset_addr(const struct isolation *x, const struct asset *asset)
{
	for (size_t i = 0; i < x->n_interfaces; i++)
		for (size_t k = 0; k < x->interfaces[i].n_addrs && k < EC2_ADDRS_MAX; k++)
			for (size_t m = 0; m < asset->n_addrs; m++)
				if (addr_equal(&x->interfaces[i].addrs[k], &asset->addrs[m]))
					return true;
	return false;
}

static void say_addrs(const struct isolation *x, struct buf *out)
{
	for (size_t i = 0; i < x->n_interfaces; i++)
		for (size_t k = 0; k < x->interfaces[i].n_addrs && k < EC2_ADDRS_MAX; k++) {
			char addr[ADDR_STR_MAX];
			buf_addf(out, "%s%s", out->len ? ", " : "",
			         addr_str(&x->interfaces[i].addrs[k], addr));
		}
}

static int note_deadline(const struct order *o, struct plan *p)
{
	if (!o->deadlines.confirm_by_wall && !o->deadlines.until_wall)
		return 0;
	return plan_note(p, "AWS holds no clocks: when the time is over, stanch guard --points "
	                    "or the next stanch command, with this journal, lifts it");
}

static int isolation_notes(struct aws *a, const struct isolation *x, struct plan *p, struct err *e)
{
	const struct asset *asset = inventory_asset(a->inventory, x->o->targets[0].name);
	struct buf addrs = BUF_INIT(2048);
	say_addrs(x, &addrs);
	int r = plan_note(p, "%s is %s%s%s, %s: %s", x->o->targets[0].name, x->in.id,
	                  x->in.name[0] ? ", " : "", x->in.name, x->in.state, buf_str(&addrs));
	if (r == 0 && asset && !has_asset_addr(x, asset))
		r = plan_note(
		    p,
		    "none of these is an address of %s in the configuration: look whether "
		    "it is the right instance",
		    asset->s.name);
	buf_free(&addrs);
	if (r == 0)
		r = plan_note(p, "it had the groups %s", buf_str(&x->groups));
	if (r == 0 && a->s.untie) {
		char wait[TIME_STR_MAX];
		r = plan_note(
		    p,
		    "for about %s all of its ports are open, so that its tracked flows end "
		    "(untie)",
		    duration_str(a->s.untie_wait, wait));
	}
	if (r == 0 && x->wider)
		r = plan_note(p,
		              "%zu of what is kept names ports on both sides; a security group "
		              "looks at one: the other is open",
		              x->wider);
	if (r == 0)
		r = note_deadline(x->o, p);
	return r < 0 ? no_memory(e) : 0;
}

static int isolation_dims(struct aws *a, struct plan *p, struct err *e)
{
	const char *tracked = a->s.untie ? TRACKED_WHY
	                                 : "flows that are tracked go on until they end by "
	                                   "themselves (untie = no)";
	int r = plan_set_dim(p, DIM_V4, DIM_PARTIAL, RESOLVER_WHY);
	if (r == 0)
		r = plan_set_dim(p, DIM_V6, DIM_PARTIAL, RESOLVER_WHY);
	if (r == 0)
		r = plan_set_dim(p, DIM_SESSIONS, DIM_PARTIAL, tracked);
	return r < 0 ? no_memory(e) : 0;
}

static int isolation_read(struct aws *a, struct isolation *x, const struct holds *others,
                          struct err *e)
{
	const struct order *o = x->o;
	int r = 0;
	if (o->deadlines.confirm_by_wall && o->deadlines.on_expiry == EXPIRY_WIDEN)
		return err_set(e, -EOPNOTSUPP,
		               "AWS cannot widen an isolation by itself; say "
		               "--on-expiry open, or --no-deadline");
	r = find_instance(a, o, &x->in, e);
	if (r == 0)
		r = not_twice(others, x->in.id, e);
	const char *id = x->in.id;
	if (r == 0)
		r = aws_interfaces(a, "attachment.instance-id", &id, 1, &x->interfaces,
		                   &x->n_interfaces, e);
	if (r == 0)
		r = take_places(x, e);
	if (r == 0)
		r = aws_rules_of(o, &x->group, &x->wider, e);
	if (r == 0)
		r = read_groups(a, x, e);
	return r < 0 ? r : rights_to_isolate(a, &x->in, &x->swap, e);
}

static int plan_isolate(struct aws *a, const struct order *o, const struct holds *others,
                        struct plan *p, struct err *e)
{
	static int (*const parts[])(struct aws *, struct isolation *, struct plan *,
	                            struct err *) = {add_snapshot, add_standby, add_group, add_swap,
	                                             add_role};
	struct isolation *x = calloc(1, sizeof *x);
	if (!x)
		return no_memory(e);
	x->o = o;
	x->groups = BUF_INIT(16384);
	int r = isolation_read(a, x, others, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = parts[i](a, x, p, e);
	if (r == 0)
		r = isolation_notes(a, x, p, e);
	if (r == 0)
		r = isolation_dims(a, p, e);
	buf_free(&x->groups);
	free(x->interfaces);
	free(x);
	return r;
}

/* --- blocks --- */

struct blocks {
	struct aws_block *v; /* of the others here */
	size_t n;
	bool *lasting; /* as long as the new order, at least */
};

static void blocks_free(struct blocks *b)
{
	for (size_t i = 0; i < b->n; i++)
		aws_block_free(&b->v[i]);
	free(b->v);
	free(b->lasting);
}

static bool lasts(const struct deadlines *old, const struct deadlines *new)
{
	return !old->confirm_by_wall &&
	       (!old->until_wall || (new->until_wall && old->until_wall >= new->until_wall));
}

static int read_blocks(const struct order *o, const struct holds *others, struct blocks *ret,
                       struct err *e)
{
	ret->v = calloc(others->n + 1, sizeof *ret->v);
	ret->lasting = calloc(others->n + 1, sizeof *ret->lasting);
	if (!ret->v || !ret->lasting)
		return no_memory(e);
	for (size_t i = 0; i < others->n; i++) {
		const struct hold *h = &others->v[i];
		if (strcmp(h->step->kind, aws_kind_acl.kind) != 0 ||
		    aws_block_in(h->step->forward, &ret->v[ret->n], NULL) < 0)
			continue;
		ret->lasting[ret->n++] = lasts(&h->order->deadlines, &o->deadlines);
	}
	return 0;
}

static bool held_for_long(const struct blocks *b, const struct aws_entry *t)
{
	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; b->lasting[i] && k < b->v[i].n; k++) {
			const struct aws_entry *x = &b->v[i].v[k];
			if (x->ours && x->number == t->number && x->egress == t->egress &&
			    !strcmp(x->acl, t->acl))
				return true;
		}
	return false;
}

static bool nothing_new(const struct blocks *held, const struct aws_block *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].ours && !held_for_long(held, &b->v[i]))
			return false;
	return true;
}

static int read_named_acls(struct aws *a, struct ec2_acl **ret, size_t *ret_n, struct err *e)
{
	int r;
	if (!a->s.n_acls && !a->s.n_vpcs)
		return err_set(
		    e, -EPERM,
		    "the section \"%s\" names no network_acl and no vpc: it does not know "
		    "where to block",
		    a->point);
	if (a->s.n_acls)
		r = aws_acls(a, "network-acl-id", a->s.acls, a->s.n_acls, ret, ret_n, e);
	else
		r = aws_acls(a, "vpc-id", a->s.vpcs, a->s.n_vpcs, ret, ret_n, e);
	if (r == 0 && (*ret_n < a->s.n_acls || !*ret_n || *ret_n > AWS_LIST_MAX)) {
		r = err_set(
		    e, *ret_n ? -E2BIG : -ENOENT,
		    "%zu network ACLs were found for the section \"%s\" (1 to %d, and every "
		    "one that is named)",
		    *ret_n, a->point, AWS_LIST_MAX);
		free(*ret);
		*ret = NULL;
	}
	return r;
}

static int note_acl(struct aws *a, const struct ec2_acl *acl, struct plan *p, struct err *e)
{
	const char *ids[EC2_SUBNETS_MAX];
	struct ec2_interface *v = NULL;
	size_t n = 0, n_v = 0, instances = 0;
	while (n < acl->n_subnets && n < EC2_SUBNETS_MAX) {
		ids[n] = acl->subnets[n];
		n++;
	}
	int r = aws_interfaces(a, "subnet-id", ids, n, &v, &n_v, e);
	if (r < 0 && r != -E2BIG)
		return r;
	for (size_t i = 0; i < n_v; i++)
		instances += v[i].instance[0] != 0;
	free(v);
	if (r == -E2BIG)
		return plan_note(p, "%s serves %zu subnets with more than %d interfaces", acl->id,
		                 acl->n_subnets, AWS_ROWS_MAX);
	return plan_note(p,
	                 "%s%s serves %zu subnets: it is for all of their %zu interfaces (%zu of "
	                 "instances)",
	                 acl->id, acl->is_default ? " (the default)" : "", acl->n_subnets, n_v,
	                 instances);
}

static int rights_to_block(struct aws *a, const struct aws_block *b, struct err *e)
{
	char number[12];
	snprintf(number, sizeof number, "%d", b->v[0].number);
	const struct try tries[] = {
	    {"CreateNetworkAclEntry",
	     {"NetworkAclId", b->v[0].acl, "RuleNumber", number, "Egress", "true", "Protocol", "-1",
	      "RuleAction", "deny", "CidrBlock", "192.0.2.0/32"}},
	    {"DeleteNetworkAclEntry",
	     {"NetworkAclId", b->v[0].acl, "RuleNumber", number, "Egress", "true"}},
	};
	return check_rights(a, tries, ARRAY_SIZE(tries), e);
}

static int add_block(struct aws *a, const struct order *o, const struct aws_block *b,
                     struct plan *p, struct err *e)
{
	char *forward = NULL;
	size_t ours = 0;
	for (size_t i = 0; i < b->n; i++)
		ours += b->v[i].ours;
	struct step *s = plan_add_step(p, a->point, aws_kind_acl.kind);
	int r = s ? aws_block_out(b, &forward, e) : no_memory(e);
	if (r < 0)
		return r;
	s->effect = text("deny %zu %s both ways: %zu entries in network ACLs", o->n_targets,
	                 o->n_targets == 1 ? "destination" : "destinations", ours);
	s->undo_effect = text("delete those of them that read as written and no other order wants");
	return finish(s, true, forward, NULL, e);
}

static int block_notes(struct aws *a, const struct order *o, const struct ec2_acl *acls, size_t n,
                       const struct aws_block *b, struct plan *p, struct err *e)
{
	bool of[2] = {false}, inside = false;
	size_t foreign = 0;
	int r = 0;
	for (size_t i = 0; i < o->n_targets; i++) {
		of[o->targets[i].prefix.addr.family == ADDR_V6] = true;
		inside |= addr_is_inside(&o->targets[i].prefix.addr);
	}
	for (size_t i = 0; i < b->n; i++)
		foreign += !b->v[i].ours;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = note_acl(a, &acls[i], p, e);
	if (r == 0 && foreign)
		r = plan_note(
		    p,
		    "%zu entries that deny the same stand there already and are not ours: "
		    "they are left",
		    foreign);
	if (r == 0 && inside)
		r = plan_note(p, "network ACLs do not see traffic within a subnet");
	if (r == 0)
		r = note_deadline(o, p);
	if (r == 0 && of[0])
		r = plan_set_dim(p, DIM_V4, DIM_CONTAINED, NULL);
	if (r == 0 && of[1])
		r = plan_set_dim(p, DIM_V6, DIM_CONTAINED, NULL);
	return r < 0 ? r : plan_set_dim(p, DIM_SESSIONS, DIM_CONTAINED, NULL);
}

static int plan_block(struct aws *a, const struct order *o, const struct holds *others,
                      struct plan *p, struct err *e)
{
	struct ec2_acl *acls = NULL;
	struct blocks held = {0};
	struct aws_block b = {0};
	size_t n = 0;
	int r = read_named_acls(a, &acls, &n, e);
	if (r == 0)
		r = read_blocks(o, others, &held, e);
	if (r == 0)
		r = aws_block_choose(o, acls, n, a->s.acl_entries, held.v, held.n, &b, e);
	if (r == 0 && nothing_new(&held, &b))
		r = err_set(e, -EALREADY,
		            "all of it is denied there already: nothing is to be done");
	if (r == 0)
		r = rights_to_block(a, &b, e);
	if (r == 0)
		r = add_block(a, o, &b, p, e);
	if (r == 0)
		r = block_notes(a, o, acls, n, &b, p, e);
	aws_block_free(&b);
	blocks_free(&held);
	free(acls);
	return r;
}

int aws_plan(void *ctx, const struct order *o, const struct holds *others, struct plan *ret,
             struct err *e)
{
	static int (*const plans[_VERB_MAX])(struct aws *, const struct order *,
	                                     const struct holds *, struct plan *, struct err *) = {
	    [VERB_ISOLATE] = plan_isolate, [VERB_BLOCK] = plan_block};
	struct plan p = {0};
	if ((unsigned)o->verb >= _VERB_MAX || !plans[o->verb])
		return err_set(e, -EOPNOTSUPP, "the driver aws cannot carry out this order");
	int r = plans[o->verb](ctx, o, others, &p, e);
	if (r < 0)
		plan_free(&p);
	else
		*ret = p;
	return r;
}
