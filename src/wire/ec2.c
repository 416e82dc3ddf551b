/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/ec2.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

#define TAG_TOKEN "stanch"
#define TAG_HOST  "stanch-host"

bool ec2_id_ok(const char *s)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-')
			return false;
	return n > 0 && n < EC2_ID_MAX;
}

void ec2_text(char dst[static EC2_TEXT_MAX], const char *text)
{
	size_t n = 0;
	for (; *text && n + 1 < EC2_TEXT_MAX; text++)
		if ((unsigned char)*text >= 0x20)
			dst[n++] = *text;
	/* Not in the middle of a character. */
	while (*text && n && ((unsigned char)dst[n - 1] & 0xc0) == 0x80)
		n--;
	if (*text && n && (unsigned char)dst[n - 1] >= 0xc0)
		n--;
	dst[n] = 0;
}

static int bad(struct err *e, const char *what, const char *text)
{
	return err_set(e, -EBADMSG, "the answer has \"%.60s\" as %s", text, what);
}

static int take_id(const struct xml_node *n, const char *path, char dst[static EC2_ID_MAX],
                   struct err *e)
{
	const char *s = xml_text_at(n, path);
	if (!ec2_id_ok(s))
		return bad(e, path, s);
	strcpy(dst, s);
	return 0;
}

/* It may be missing. */
static int take_id_if(const struct xml_node *n, const char *path, char dst[static EC2_ID_MAX],
                      struct err *e)
{
	return *xml_text_at(n, path) ? take_id(n, path, dst, e) : 0;
}

static int take_int(const struct xml_node *n, const char *path, int none, int *ret, struct err *e)
{
	const char *s = xml_text_at(n, path);
	char *end;
	if (!*s) {
		*ret = none;
		return 0;
	}
	errno = 0;
	long v = strtol(s, &end, 10);
	if (*end || errno || v < -1 || v > 65536 || isspace((unsigned char)*s))
		return bad(e, path, s);
	*ret = (int)v;
	return 0;
}

static const char *tag(const struct xml_node *item, const char *key)
{
	const struct xml_node *t = xml_child(xml_child(item, "tagSet"), "item");
	for (; t; t = xml_next(t, "item"))
		if (!strcmp(xml_text_at(t, "key"), key))
			return xml_text_at(t, "value");
	return "";
}

/* --- interfaces --- */

static int add_addr(struct ec2_interface *i, const char *s, struct err *e)
{
	struct addr a;
	if (!*s)
		return 0;
	if (addr_parse(s, &a) < 0)
		return bad(e, "an address", s);
	if (i->n_addrs < EC2_ADDRS_MAX)
		i->addrs[i->n_addrs] = a;
	i->n_addrs++;
	return 0;
}

static int take_addrs(const struct xml_node *item, struct ec2_interface *i, struct err *e)
{
	static const struct {
		const char *set, *addr, *also;
	} lists[] = {{"privateIpAddressesSet", "privateIpAddress", "association/publicIp"},
	             {"ipv6AddressesSet", "ipv6Address", NULL}};
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
		const struct xml_node *n = xml_child(xml_child(item, lists[k].set), "item");
		for (; n; n = xml_next(n, "item")) {
			int r = add_addr(i, xml_text_at(n, lists[k].addr), e);
			if (r == 0 && lists[k].also)
				r = add_addr(i, xml_text_at(n, lists[k].also), e);
			if (r < 0)
				return r;
		}
	}
	return i->n_addrs ? 0 : add_addr(i, xml_text_at(item, "privateIpAddress"), e);
}

static int take_groups(const struct xml_node *item, struct ec2_interface *i, struct err *e)
{
	const struct xml_node *n = xml_child(xml_child(item, "groupSet"), "item");
	for (; n; n = xml_next(n, "item")) {
		if (i->n_groups == EC2_GROUPS_MAX)
			return bad(e, "groups", "more than an interface can have");
		int r = take_id(n, "groupId", i->groups[i->n_groups], e);
		if (r < 0)
			return r;
		i->n_groups++;
	}
	return 0;
}

int ec2_take_interface(const struct xml_node *item, struct ec2_interface *ret, struct err *e)
{
	struct ec2_interface i = {.n_groups = 0};
	int r = take_id(item, "networkInterfaceId", i.id, e);
	if (r == 0)
		r = take_id(item, "vpcId", i.vpc, e);
	if (r == 0)
		r = take_id(item, "subnetId", i.subnet, e);
	if (r == 0)
		r = take_id_if(item, "attachment/instanceId", i.instance, e);
	if (r == 0)
		r = take_groups(item, &i, e);
	if (r == 0)
		r = take_addrs(item, &i, e);
	if (r == 0)
		*ret = i;
	return r;
}

/* --- groups --- */

static int add_rule(struct ec2_group *g, const struct ec2_rule *like, const char *cidr,
                    struct err *e)
{
	struct ec2_rule rule = *like;
	rule.foreign = !cidr;
	if (cidr && prefix_parse(cidr, &rule.prefix, NULL) < 0)
		return bad(e, "a prefix", cidr);
	if (g->n_rules < EC2_RULES_MAX)
		g->rules[g->n_rules] = rule;
	g->n_rules++;
	return 0;
}

static int take_permission(const struct xml_node *p, bool egress, struct ec2_group *g,
                           struct err *e)
{
	static const struct {
		const char *set, *cidr;
	} lists[] = {{"ipRanges", "cidrIp"},
	             {"ipv6Ranges", "cidrIpv6"},
	             {"groups", NULL},
	             {"prefixListIds", NULL}};
	struct ec2_rule like = {.egress = egress};
	const char *protocol = xml_text_at(p, "ipProtocol");
	if (!*protocol || strlen(protocol) >= sizeof like.protocol)
		return bad(e, "a protocol", protocol);
	strcpy(like.protocol, protocol);
	int r = take_int(p, "fromPort", -1, &like.from, e);
	if (r == 0)
		r = take_int(p, "toPort", -1, &like.to, e);
	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(lists); k++) {
		const struct xml_node *n = xml_child(xml_child(p, lists[k].set), "item");
		for (; r == 0 && n; n = xml_next(n, "item"))
			r = add_rule(g, &like, lists[k].cidr ? xml_text_at(n, lists[k].cidr) : NULL,
			             e);
	}
	return r;
}

int ec2_take_group(const struct xml_node *item, struct ec2_group *ret, struct err *e)
{
	static const char *const sets[] = {"ipPermissions", "ipPermissionsEgress"};
	memset(ret, 0, sizeof *ret);
	ec2_text(ret->name, xml_text_at(item, "groupName"));
	ec2_text(ret->token, tag(item, TAG_TOKEN));
	ec2_text(ret->host, tag(item, TAG_HOST));
	int r = take_id(item, "groupId", ret->id, e);
	if (r == 0)
		r = take_id_if(item, "vpcId", ret->vpc, e);
	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(sets); k++) {
		const struct xml_node *p = xml_child(xml_child(item, sets[k]), "item");
		for (; r == 0 && p; p = xml_next(p, "item"))
			r = take_permission(p, k == 1, ret, e);
	}
	return r;
}

/* --- network ACLs --- */

static int take_entry(const struct xml_node *n, struct ec2_acl *a, struct err *e)
{
	struct ec2_entry t = {.egress = !strcmp(xml_text_at(n, "egress"), "true"),
	                      .allow = !strcmp(xml_text_at(n, "ruleAction"), "allow"),
	                      .plain = !strcmp(xml_text_at(n, "protocol"), "-1")};
	const char *cidr = xml_text_at(n, "cidrBlock"), *cidr6 = xml_text_at(n, "ipv6CidrBlock");
	int r = take_int(n, "ruleNumber", -1, &t.number, e);
	if (r == 0 && t.number < 0)
		r = bad(e, "ruleNumber", "");
	if (r == 0 && prefix_parse(*cidr6 ? cidr6 : cidr, &t.prefix, NULL) < 0)
		r = bad(e, "a prefix", *cidr6 ? cidr6 : cidr);
	if (r == 0 && a->n_entries == EC2_ENTRIES_MAX)
		r = bad(e, "entries", "more than an ACL can have");
	if (r == 0)
		a->entries[a->n_entries++] = t;
	return r;
}

static int take_subnets(const struct xml_node *item, struct ec2_acl *a, struct err *e)
{
	const struct xml_node *n = xml_child(xml_child(item, "associationSet"), "item");
	for (; n; n = xml_next(n, "item")) {
		char id[EC2_ID_MAX];
		int r = take_id(n, "subnetId", id, e);
		if (r < 0)
			return r;
		if (a->n_subnets < EC2_SUBNETS_MAX)
			strcpy(a->subnets[a->n_subnets], id);
		a->n_subnets++;
	}
	return 0;
}

int ec2_take_acl(const struct xml_node *item, struct ec2_acl *ret, struct err *e)
{
	memset(ret, 0, sizeof *ret);
	ret->is_default = !strcmp(xml_text_at(item, "default"), "true");
	int r = take_id(item, "networkAclId", ret->id, e);
	if (r == 0)
		r = take_id(item, "vpcId", ret->vpc, e);
	const struct xml_node *n = xml_child(xml_child(item, "entrySet"), "item");
	for (; r == 0 && n; n = xml_next(n, "item"))
		r = take_entry(n, ret, e);
	return r < 0 ? r : take_subnets(item, ret, e);
}

/* --- instances --- */

int ec2_take_instance(const struct xml_node *item, struct ec2_instance *ret, struct err *e)
{
	struct ec2_instance i = {.id = ""};
	const char *arn = xml_text_at(item, "iamInstanceProfile/arn"), *slash = strrchr(arn, '/');
	ec2_text(i.state, xml_text_at(item, "instanceState/name"));
	ec2_text(i.name, tag(item, "Name"));
	ec2_text(i.token, tag(item, TAG_TOKEN));
	ec2_text(i.scaling, tag(item, "aws:autoscaling:groupName"));
	ec2_text(i.profile, slash ? slash + 1 : "");
	int r = take_id(item, "instanceId", i.id, e);
	if (r == 0)
		*ret = i;
	return r;
}

/* --- errors --- */

bool ec2_take_error(const struct xml_node *root, char code[static EC2_TEXT_MAX],
                    char message[static EC2_TEXT_MAX])
{
	static const char *const paths[] = {"Errors/Error", "Error"};
	const struct xml_node *n = NULL;
	for (size_t i = 0; !n && i < ARRAY_SIZE(paths); i++)
		n = xml_at(root, paths[i]);
	if (!n)
		return false;
	ec2_text(code, xml_text_at(n, "Code"));
	ec2_text(message, xml_text_at(n, "Message"));
	return true;
}
