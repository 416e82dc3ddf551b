/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The driver's table, its probe, and what nobody claims. The work is in the kinds of steps. */
#include "enforce/aws/aws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/aws/parts.h"

static const struct aws_kind *const kinds[] = {&aws_kind_group, &aws_kind_swap,
                                               &aws_kind_acl,   &aws_kind_standby,
                                               &aws_kind_role,  &aws_kind_snapshot};

static const struct aws_kind *kind_of(const struct step *s, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i]->kind, s->kind))
			return kinds[i];
	err_set(e, -EBADMSG, "\"%s\" is no kind of step of the driver aws", s->kind);
	return NULL;
}

static int aws_open(const struct point *p, void **ret_ctx, struct err *e)
{
	struct aws *a = calloc(1, sizeof *a);
	if (!a)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(a->point, sizeof a->point, "%s", p->name);
	a->inventory = p->inventory;
	aws_settings_read(p->config, &a->s);
	*ret_ctx = a;
	return 0;
}

static void aws_close(void *ctx)
{
	struct aws *a = ctx;
	if (!a)
		return;
	aws_keys_drop(a);
	https_close(a->https);
	https_close(a->metadata);
	free(a);
}

/* --- the slots of a step --- */

static int aws_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	return 0; /* what is there before is in the payload already */
}

static int aws_apply(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                     struct err *e)
{
	const struct aws_kind *k = kind_of(s, e);
	return k ? k->apply(ctx, s, others, e) : -EBADMSG;
}

static int aws_verify(void *ctx, const struct order *o, const struct step *s,
                      const struct holds *others, struct readback *ret, struct err *e)
{
	const struct aws_kind *k = kind_of(s, e);
	struct buf drift = BUF_INIT(16384);
	struct readback rb = {.drift = NULL};
	int r = k ? k->verify(ctx, s, &rb, &drift, e) : -EBADMSG;
	if (r == 0 && drift.len)
		rb.drift = strndup(buf_str(&drift), drift.len - 1);
	buf_free(&drift);
	if (r == 0)
		*ret = rb;
	return r;
}

static int aws_undo(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                    struct err *e)
{
	const struct aws_kind *k = kind_of(s, e);
	if (k && !k->undo)
		return err_set(e, -EOPNOTSUPP, "%s cannot be taken back", s->kind);
	return k ? k->undo(ctx, s, others, e) : -EBADMSG;
}

/* There is no timer at AWS; what can be said is whether it is still in force. */
static int aws_rearm(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                     struct err *e)
{
	struct readback rb = {.drift = NULL};
	int r = aws_verify(ctx, o, s, others, &rb, e);
	bool absent = r == 0 && rb.verdict == VERDICT_ABSENT;
	readback_free(&rb);
	return absent ? err_set(e, -ENOENT, "%s is not in force any more", s->kind) : r;
}

static int aws_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                        struct err *e)
{
	const struct aws_kind *k = kind_of(s, e);
	return k ? k->describe(s, out, e) : -EBADMSG;
}

/* --- probe --- */

static struct capability *add(struct capabilities *c, const char *name)
{
	struct capability *k = &c->v[c->n++];
	*k = (struct capability){.name = name, .available = true};
	return k;
}

static void answer(struct capability *k, int r, const struct err *why)
{
	k->available = r == 0;
	if (r < 0)
		snprintf(k->why_not, sizeof k->why_not, "%.*s", (int)sizeof k->why_not - 1,
		         why->text);
}

static void whose(struct aws *a, struct capability *k)
{
	struct aws_call c;
	struct xml_doc *d = NULL;
	struct err why = {0};
	aws_call_new(&c, AWS_STS, "GetCallerIdentity");
	int r = aws_do(a, &c, &d, &why);
	answer(k, r, &why);
	if (r == 0)
		snprintf(k->why_not, sizeof k->why_not, "as %.140s",
		         xml_text_at(xml_root(d), "GetCallerIdentityResult/Arn"));
	xml_free(d);
}

static void may(struct aws *a, struct capabilities *ret, const char *name, const char *action,
                const char *const *args)
{
	struct aws_call c;
	struct err why = {0};
	aws_call_new(&c, AWS_EC2, action);
	for (; *args; args += 2)
		aws_arg(&c, args[0], args[1]);
	answer(add(ret, name), aws_dry(a, &c, &why), &why);
}

int aws_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	static const char *const none[] = {NULL};
	static const char *const in_group[] = {"GroupName", "stanch-dry-run", "GroupDescription",
	                                       "stanch", NULL};
	struct aws *a = ctx;
	struct capabilities c = {.n = 0};
	whose(a, add(&c, "credentials"));
	if (c.v[0].available) {
		const char *vpc = a->s.n_vpcs ? a->s.vpcs[0] : "vpc-00000000";
		const char *acl = a->s.n_acls ? a->s.acls[0] : "acl-00000000";
		const char *with_vpc[] = {in_group[0], in_group[1], in_group[2], in_group[3],
		                          "VpcId",     vpc,         NULL};
		const char *entry[] = {"NetworkAclId",
		                       acl,
		                       "Egress",
		                       "true",
		                       "RuleNumber",
		                       "1",
		                       "Protocol",
		                       "-1",
		                       "RuleAction",
		                       "deny",
		                       "CidrBlock",
		                       "192.0.2.0/32",
		                       NULL};
		may(a, &c, "read", "DescribeInstances", none);
		may(a, &c, "isolate", "CreateSecurityGroup", with_vpc);
		may(a, &c, "block", "CreateNetworkAclEntry", entry);
		if (c.v[c.n - 1].available && !a->s.n_acls && !a->s.n_vpcs) {
			c.v[c.n - 1].available = false;
			strcpy(c.v[c.n - 1].why_not, "the section names no network_acl and no vpc");
		}
	}
	struct capability *k = add(&c, "deadlines");
	k->available = false;
	strcpy(k->why_not, "AWS holds no clocks; stanch guard --points (stanch-keeper.service), "
	                   "else the next stanch command, lifts what ran out");
	*ret = c;
	return 0;
}

/* --- strays --- */

static bool is_claimed(const struct holds *claims, const char *token)
{
	for (size_t i = 0; i < claims->n; i++)
		if (!strcmp(claims->v[i].step->token, token))
			return true;
	return false;
}

/* Another stanch may work in this account: what another host made is its own to take away. */
static int one_stray(struct aws *a, const struct ec2_group *g, bool remove, struct buf *out,
                     struct err *e)
{
	char host[128] = "";
	struct err why = {0};
	gethostname(host, sizeof host - 1);
	if (strcmp(g->host, host) != 0)
		return 0;
	buf_addf(out, "%s: the security group %s (%s) belongs to no order of this journal",
	         a->point, g->id, g->name);
	int r = remove ? aws_group_delete(a, g->id, &why) : 0;
	buf_addf(out, "%s%s\n", r < 0 ? "; " : remove ? ": deleted" : "", r < 0 ? why.text : "");
	return r == -EBUSY ? 0 : r < 0 ? err_set(e, r, "%s", why.text) : 0;
}

int aws_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out, struct err *e)
{
	static const char *const key = AWS_TAG;
	struct aws *a = ctx;
	struct ec2_group *v = NULL;
	size_t n = 0;
	int r = aws_groups(a, "tag-key", &key, 1, &v, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (v[i].token[0] && !is_claimed(claims, v[i].token))
			r = one_stray(a, &v[i], remove, out, e);
	free(v);
	return r;
}

const struct driver_ops aws_driver = {
    .name = "aws",
    .settings = aws_settings_table,
    .open = aws_open,
    .close = aws_close,
    .probe = aws_probe,
    .plan = aws_plan,
    .prepare = aws_prepare,
    .apply = aws_apply,
    .verify = aws_verify,
    .undo = aws_undo,
    .rearm = aws_rearm,
    .describe = aws_describe,
    .strays = aws_strays,
};
