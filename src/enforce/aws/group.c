/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * aws.group: in every VPC of the instance a security group of ours, which lets through what the
 * order keeps and nothing else. Sources: EC2 API reference, CreateSecurityGroup (a new group lets
 * all out), AuthorizeSecurityGroupIngress, DeleteSecurityGroup.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/aws/parts.h"

/* --- rules --- */

static bool all_ports(const struct ec2_rule *r)
{
	return !strcmp(r->protocol, "-1") || (r->from <= 0 && (r->to < 0 || r->to == 65535));
}

static bool has_ports(const struct ec2_rule *r)
{
	return !strcmp(r->protocol, "tcp") || !strcmp(r->protocol, "udp");
}

bool aws_rule_equal(const struct ec2_rule *a, const struct ec2_rule *b)
{
	bool ports = (all_ports(a) && all_ports(b)) || (a->from == b->from && a->to == b->to);
	return a->egress == b->egress && !a->foreign && !b->foreign && ports &&
	       !strcmp(a->protocol, b->protocol) && a->prefix.len == b->prefix.len &&
	       addr_equal(&a->prefix.addr, &b->prefix.addr);
}

void aws_rule_text(const struct ec2_rule *r, struct buf *out)
{
	char prefix[PREFIX_STR_MAX];
	buf_addf(out, "%s %s", strcmp(r->protocol, "-1") ? r->protocol : "all",
	         r->egress ? "to" : "from");
	buf_addf(out, " %s", r->foreign ? "a group or list" : prefix_str(&r->prefix, prefix));
	if (!all_ports(r))
		buf_addf(out, " port %d", r->from);
	if (!all_ports(r) && r->to != r->from)
		buf_addf(out, "-%d", r->to);
}

static bool has_rule(const struct ec2_rule *v, size_t n, const struct ec2_rule *r)
{
	for (size_t i = 0; i < n; i++)
		if (aws_rule_equal(&v[i], r))
			return true;
	return false;
}

static int add_rule(struct aws_group *g, bool egress, const char *protocol, uint16_t port,
                    const struct prefix *peer, struct err *e)
{
	struct ec2_rule r = {
	    .egress = egress, .from = port ? port : -1, .to = port ? port : -1, .prefix = *peer};
	size_t same = 0;
	snprintf(r.protocol, sizeof r.protocol, "%s", protocol);
	if (has_rule(g->rules, g->n_rules, &r))
		return 0;
	for (size_t i = 0; i < g->n_rules; i++)
		same += g->rules[i].egress == egress &&
		        g->rules[i].prefix.addr.family == peer->addr.family;
	if (same >= AWS_RULES_MAX)
		return err_set(e, -E2BIG,
		               "what is to be kept takes more than the %d rules that a security "
		               "group holds each way; keep fewer addresses",
		               AWS_RULES_MAX);
	g->rules[g->n_rules++] = r;
	return 0;
}

static int add_ways(struct aws_group *g, const struct permit *p, const char *protocol,
                    struct err *e)
{
	bool any = !p->local_port && !p->peer_port;
	int r = 0;
	/* A group tracks: one way is enough for the answers. */
	if (p->local_port || any)
		r = add_rule(g, false, protocol, p->local_port, &p->peer, e);
	if (r == 0 && ((p->peer_port && !p->local_port) || any))
		r = add_rule(g, true, protocol, p->peer_port, &p->peer, e);
	return r;
}

/* As AWS reads them back. */
static void protocol_name(uint8_t proto, char ret[static EC2_PROTOCOL_MAX])
{
	static const struct {
		uint8_t proto;
		const char *name;
	} known[] = {{IPPROTO_ICMP, "icmp"},
	             {IPPROTO_TCP, "tcp"},
	             {IPPROTO_UDP, "udp"},
	             {IPPROTO_ICMPV6, "icmpv6"}};
	snprintf(ret, EC2_PROTOCOL_MAX, "%u", proto);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].proto == proto)
			strcpy(ret, known[i].name);
}

static int rules_of_permit(struct aws_group *g, const struct permit *p, struct err *e)
{
	char name[EC2_PROTOCOL_MAX];
	if (p->proto) {
		protocol_name(p->proto, name);
		return add_ways(g, p, name, e);
	}
	if (!p->local_port && !p->peer_port)
		return add_ways(g, p, "-1", e);
	int r = add_ways(g, p, "tcp", e);
	return r < 0 ? r : add_ways(g, p, "udp", e);
}

int aws_rules_of(const struct order *o, struct aws_group *ret, size_t *ret_wider, struct err *e)
{
	int r = 0;
	*ret_wider = 0;
	ret->n_rules = 0;
	for (size_t i = 0; r == 0 && i < o->n_permits; i++) {
		const struct permit *p = &o->permits[i];
		if (p->kind != PERMIT_FLOW || p->breakglass)
			continue;
		*ret_wider += p->local_port && p->peer_port;
		r = rules_of_permit(ret, p, e);
	}
	return r;
}

/* --- what there is --- */

int aws_groups_of(struct aws *a, const char *token, struct ec2_group **ret, size_t *ret_n,
                  struct err *e)
{
	return aws_groups(a, "tag:" AWS_TAG, &token, 1, ret, ret_n, e);
}

const struct ec2_group *aws_group_in_vpc(const struct ec2_group *v, size_t n, const char *vpc)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(v[i].vpc, vpc))
			return &v[i];
	return NULL;
}

/* --- making it --- */

static void our_host(char ret[static 128])
{
	char name[128] = "";
	gethostname(name, sizeof name - 1);
	size_t n = 0;
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f)
			ret[n++] = *p;
	ret[n] = 0;
}

static void tag(struct aws_call *c, const char *at, size_t i, const char *key, const char *value)
{
	char field[AWS_FIELD_MAX];
	snprintf(field, sizeof field, "%s.%zu.Key", at, i);
	aws_arg(c, field, key);
	snprintf(field, sizeof field, "%s.%zu.Value", at, i);
	aws_arg(c, field, value);
}

static int create(struct aws *a, const char *token, const char *vpc, const char *what,
                  struct err *e)
{
	struct aws_call c;
	char name[96], host[128];
	our_host(host);
	snprintf(name, sizeof name, "stanch-%s-%s", what, token);
	aws_call_new(&c, AWS_EC2, "CreateSecurityGroup");
	aws_arg(&c, "GroupName", name);
	aws_arg(&c, "GroupDescription", "made by stanch, and taken away by its undo");
	aws_arg(&c, "VpcId", vpc);
	aws_arg(&c, "TagSpecification.1.ResourceType", "security-group");
	tag(&c, "TagSpecification.1.Tag", 1, AWS_TAG, token);
	tag(&c, "TagSpecification.1.Tag", 2, AWS_TAG_HOST, host);
	return aws_do(a, &c, NULL, e);
}

static void rule_args(struct aws_call *c, size_t i, const struct ec2_rule *r)
{
	char at[AWS_FIELD_MAX], field[AWS_FIELD_MAX + 32], text[PREFIX_STR_MAX + 4];
	bool v6 = r->prefix.addr.family == ADDR_V6;
	const struct {
		const char *name;
		int value;
	} ports[] = {{"FromPort", r->from}, {"ToPort", r->to}};
	snprintf(at, sizeof at, "IpPermissions.%zu", i);
	snprintf(field, sizeof field, "%s.IpProtocol", at);
	aws_arg(c, field, r->protocol);
	for (size_t k = 0; strcmp(r->protocol, "-1") != 0 && k < ARRAY_SIZE(ports); k++) {
		int all = !has_ports(r) ? -1 : k ? 65535 : 0;
		snprintf(field, sizeof field, "%s.%s", at, ports[k].name);
		snprintf(text, sizeof text, "%d", ports[k].value < 0 ? all : ports[k].value);
		aws_arg(c, field, text);
	}
	snprintf(field, sizeof field, "%s.%s.1.%s", at, v6 ? "Ipv6Ranges" : "IpRanges",
	         v6 ? "CidrIpv6" : "CidrIp");
	prefix_str(&r->prefix, text);
	if (!strchr(text, '/'))
		strcat(text, v6 ? "/128" : "/32");
	aws_arg(c, field, text);
}

/* One call for each direction, of the rules in `from` that are not in `but`. */
static int change(struct aws *a, const char *group, bool add, bool egress,
                  const struct ec2_rule *from, size_t n, const struct ec2_rule *but, size_t n_but,
                  struct err *e)
{
	static const char *const actions[2][2] = {
	    {"RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"},
	    {"AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"}};
	struct aws_call c;
	size_t k = 0;
	aws_call_new(&c, AWS_EC2, actions[add][egress]);
	c.fresh = add;
	aws_arg(&c, "GroupId", group);
	for (size_t i = 0; i < n; i++)
		if (from[i].egress == egress && !from[i].foreign && !has_rule(but, n_but, &from[i]))
			rule_args(&c, ++k, &from[i]);
	if (!k) {
		buf_free(&c.form);
		return 0;
	}
	int r = aws_do(a, &c, NULL, e);
	/* An answer that was lost: it is there, or gone, already. */
	return (add && r == -EEXIST) || (!add && r == -ENOENT) ? 0 : r;
}

static int set_rules(struct aws *a, const struct ec2_group *have, const struct ec2_rule *rules,
                     size_t n, struct err *e)
{
	size_t n_have = have->n_rules < EC2_RULES_MAX ? have->n_rules : EC2_RULES_MAX;
	int r = 0;
	for (int egress = 0; r == 0 && egress < 2; egress++) {
		r = change(a, have->id, false, egress, have->rules, n_have, rules, n, e);
		if (r == 0)
			r = change(a, have->id, true, egress, rules, n, have->rules, n_have, e);
	}
	return r;
}

static int find(struct aws *a, const char *token, const char *vpc, bool *ret_found,
                struct ec2_group *ret, struct err *e)
{
	struct ec2_group *v = NULL;
	size_t n = 0;
	int r = aws_groups_of(a, token, &v, &n, e);
	const struct ec2_group *g = r == 0 ? aws_group_in_vpc(v, n, vpc) : NULL;
	*ret_found = g != NULL;
	if (g)
		*ret = *g;
	free(v);
	return r;
}

/* What was only just made is not seen at once everywhere. */
static int create_and_find(struct aws *a, const char *token, const char *vpc, const char *what,
                           struct ec2_group *ret, struct err *e)
{
	usec_t end = boot_now() + a->s.timeout;
	bool found = false;
	int r = create(a, token, vpc, what, e);
	/* The name has our token in it: whose else could it be. */
	r = r == -EEXIST ? 0 : r;
	for (usec_t pause = 50 * USEC_PER_MSEC; r == 0 && !found; pause *= 2) {
		r = find(a, token, vpc, &found, ret, e);
		if (r == 0 && !found && boot_now() + pause > end)
			r = err_set(e, -ETIMEDOUT, "the group that was made in %s does not show",
			            vpc);
		else if (r == 0 && !found)
			aws_pause(pause);
	}
	return r;
}

int aws_group_make(struct aws *a, const char *token, const char *vpc, const char *what,
                   const struct ec2_rule *rules, size_t n, struct err *e)
{
	struct ec2_group *g = malloc(sizeof *g);
	int r =
	    g ? create_and_find(a, token, vpc, what, g, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = set_rules(a, g, rules, n, e);
	free(g);
	return r;
}

/* --- taking it away --- */

static int tell_users(struct aws *a, const char *id, struct err *e)
{
	_cleanup_free_ struct ec2_interface *v = NULL;
	size_t n = 0;
	int r = aws_interfaces(a, "group-id", &id, 1, &v, &n, e);
	if (r < 0)
		return r;
	if (!n)
		return 0;
	return err_set(e, -EBUSY, "the group %s is still used by %s%s, and is left", id, v[0].id,
	               n > 1 ? " and others" : "");
}

int aws_group_delete(struct aws *a, const char *id, struct err *e)
{
	usec_t end = boot_now() + a->s.timeout;
	for (usec_t pause = 100 * USEC_PER_MSEC;; pause *= 2) {
		struct aws_call c;
		aws_call_new(&c, AWS_EC2, "DeleteSecurityGroup");
		aws_arg(&c, "GroupId", id);
		int r = aws_do(a, &c, NULL, e);
		if (r == -ENOENT)
			return 0;
		/* AWS takes a moment to see that no interface has it any more. */
		if (r != -EBUSY || boot_now() + pause > end)
			return r;
		if ((r = tell_users(a, id, e)) < 0)
			return r;
		aws_pause(pause);
	}
}

/* --- the step --- */

static int delete_all(struct aws *a, const char *token, struct err *e)
{
	_cleanup_free_ struct ec2_group *v = NULL;
	size_t n = 0;
	int r = aws_groups_of(a, token, &v, &n, e), worst = r;
	for (size_t i = 0; r == 0 && i < n; i++) {
		int x = aws_group_delete(a, v[i].id, e);
		worst = worst == 0 || x < 0 ? x : worst;
	}
	return worst;
}

static int group_apply(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	_cleanup_free_ struct aws_group *p = calloc(1, sizeof *p);
	int r = p ? aws_group_in(s->forward, p, e) : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < p->n_vpcs; i++)
		r = aws_group_make(a, s->token, p->vpcs[i], "quarantine", p->rules, p->n_rules, e);
	if (r < 0 && p && p->n_vpcs)
		delete_all(a, s->token, NULL);
	return r;
}

static size_t compare(const struct ec2_group *g, const struct aws_group *want, struct buf *drift)
{
	size_t bad = 0, n = g->n_rules < EC2_RULES_MAX ? g->n_rules : EC2_RULES_MAX;
	for (size_t i = 0; i < n; i++) {
		if (has_rule(want->rules, want->n_rules, &g->rules[i]))
			continue;
		buf_addf(drift, "the quarantine group %s lets through ", g->id);
		aws_rule_text(&g->rules[i], drift);
		buf_addf(drift, ", which is not ours\n");
		bad++;
	}
	for (size_t i = 0; i < want->n_rules; i++) {
		if (has_rule(g->rules, n, &want->rules[i]))
			continue;
		buf_addf(drift, "the quarantine group %s does not keep ", g->id);
		aws_rule_text(&want->rules[i], drift);
		buf_addf(drift, "\n");
		bad++;
	}
	return bad;
}

static int group_verify(struct aws *a, const struct step *s, struct readback *ret,
                        struct buf *drift, struct err *e)
{
	_cleanup_free_ struct aws_group *p = calloc(1, sizeof *p);
	_cleanup_free_ struct ec2_group *v = NULL;
	size_t n = 0, bad = 0;
	int r = p ? aws_group_in(s->forward, p, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = aws_groups_of(a, s->token, &v, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n_vpcs; i++) {
		const struct ec2_group *g = aws_group_in_vpc(v, n, p->vpcs[i]);
		if (!g)
			buf_addf(drift, "the quarantine group in %s is gone\n", p->vpcs[i]);
		bad += g ? compare(g, p, drift) : 1;
	}
	ret->verdict = !n ? VERDICT_ABSENT : bad ? VERDICT_DRIFTED : VERDICT_HOLDS;
	return 0;
}

static int group_undo(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	int r = delete_all(a, s->token, e);
	/* Somebody put an interface into it: that is theirs to end. */
	return r == -EBUSY ? err_set(e, -ESTALE, "%s", e ? e->text : "") : r;
}

static int group_describe(const struct step *s, struct buf *out, struct err *e)
{
	_cleanup_free_ struct aws_group *p = calloc(1, sizeof *p);
	int r = p ? aws_group_in(s->forward, p, e) : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < p->n_vpcs; i++) {
		buf_addf(out,
		         "ec2 CreateSecurityGroup VpcId=%s GroupName=stanch-quarantine-%s "
		         "TagSpecification=" AWS_TAG ":%s\n",
		         p->vpcs[i], s->token, s->token);
		buf_addf(out, "ec2 RevokeSecurityGroupEgress all to 0.0.0.0/0 and ::/0\n");
		for (size_t k = 0; k < p->n_rules; k++) {
			buf_addf(out, "ec2 AuthorizeSecurityGroup%s ",
			         p->rules[k].egress ? "Egress" : "Ingress");
			aws_rule_text(&p->rules[k], out);
			buf_addf(out, "\n");
		}
	}
	return r;
}

const struct aws_kind aws_kind_group = {
    .kind = "aws.group",
    .apply = group_apply,
    .verify = group_verify,
    .undo = group_undo,
    .describe = group_describe,
};
