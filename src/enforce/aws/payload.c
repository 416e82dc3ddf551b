/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Payloads of the steps as JSON. They come back from a journal that an enemy may have written:
 * every field is checked, and none can name anything but what the driver itself would do.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/aws/parts.h"
#include "model/field.h"

#define VERSION     1
#define PAYLOAD_MAX (1u << 20)

static void json_unrefp(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_unrefp)

static int dump(json_t *j, char **ret, struct err *e)
{
	char *text = j ? field_dump(j) : NULL;
	if (!text)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	*ret = text;
	return 0;
}

static int load(const char *json, const char *what, json_t **ret, struct err *e)
{
	return field_load(json ? json : "", PAYLOAD_MAX, what, ret, e);
}

static int check_version(int version, const char *what, struct err *e)
{
	if (version != VERSION)
		return err_set(e, -EBADMSG, "%s: version %d is not known here", what, version);
	return 0;
}

static int take_id(char dst[static EC2_ID_MAX], const char *s, const char *what, struct err *e)
{
	if (!ec2_id_ok(s))
		return err_set(e, -EBADMSG, "%s: \"%.70s\" is no id", what, s);
	strcpy(dst, s);
	return 0;
}

/* Names of roles and auto-scaling groups go into requests, percent-encoded. */
static int take_name(char dst[static EC2_TEXT_MAX], const char *s, const char *what, struct err *e)
{
	int r = field_copy(dst, EC2_TEXT_MAX, s, what, e);
	for (; r == 0 && *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			r = err_set(e, -EBADMSG, "%s: a name with control characters", what);
	return r == 0 && !*dst ? err_set(e, -EBADMSG, "%s: no name", what) : r;
}

/* A list of at most max; -EBADMSG else. */
static int check_list(const json_t *list, size_t max, const char *what, struct err *e)
{
	if (json_is_array(list) && json_array_size(list) <= max)
		return 0;
	return err_set(e, -EBADMSG, "%s: that is no list of at most %zu", what, max);
}

static int take_ids(const json_t *list, char (*dst)[EC2_ID_MAX], size_t max, size_t *ret_n,
                    const char *what, struct err *e)
{
	int r = check_list(list, max, what, e);
	size_t n = r == 0 ? json_array_size(list) : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *s = json_string_value(json_array_get(list, i));
		r = take_id(dst[i], s ? s : "", what, e);
	}
	*ret_n = n;
	return r;
}

static json_t *ids_json(const char (*v)[EC2_ID_MAX], size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_string(v[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/* --- aws.swap --- */

int aws_swap_out(const struct aws_swap *p, char **ret, struct err *e)
{
	_cleanup_json_ json_t *list = json_array();
	for (size_t i = 0; i < p->n; i++) {
		json_t *groups = ids_json(p->v[i].groups, p->v[i].n_groups);
		json_t *row = groups ? json_pack("{s:s,s:s,s:o}", "id", p->v[i].id, "vpc",
		                                 p->v[i].vpc, "groups", groups)
		                     : NULL;
		if (json_array_append_new(list, row) < 0)
			return err_set(e, -ENOMEM, "out of memory for a step's payload");
	}
	_cleanup_json_ json_t *j =
	    json_pack("{s:i,s:s,s:s,s:b,s:O}", "version", VERSION, "instance", p->instance,
	              "group_token", p->group_token, "untie", p->untie, "interfaces", list);
	return dump(j, ret, e);
}

static int take_place(json_t *row, struct aws_place *p, struct err *e)
{
	static const char what[] = "aws.swap: interface";
	const char *id, *vpc;
	json_t *groups;
	int r =
	    field_unpack(row, what, e, "{s:s,s:s,s:o!}", "id", &id, "vpc", &vpc, "groups", &groups);
	if (r == 0)
		r = take_id(p->id, id, what, e);
	if (r == 0)
		r = take_id(p->vpc, vpc, what, e);
	if (r == 0)
		r = take_ids(groups, p->groups, EC2_GROUPS_MAX, &p->n_groups, what, e);
	return r == 0 && !p->n_groups ? err_set(e, -EBADMSG, "%s without groups", what) : r;
}

int aws_swap_in(const char *json, struct aws_swap *ret, struct err *e)
{
	static const char what[] = "aws.swap";
	_cleanup_json_ json_t *j = NULL;
	json_t *list;
	const char *instance, *token;
	int version, untie, r = load(json, what, &j, e);
	if (r == 0)
		r = field_unpack(j, what, e, "{s:i,s:s,s:s,s:b,s:o!}", "version", &version,
		                 "instance", &instance, "group_token", &token, "untie", &untie,
		                 "interfaces", &list);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof *ret);
	ret->untie = untie;
	r = check_version(version, what, e);
	if (r == 0)
		r = take_id(ret->instance, instance, what, e);
	if (r == 0)
		r = field_copy(ret->group_token, sizeof ret->group_token, token, what, e);
	if (r == 0 && !ec2_id_ok(ret->group_token))
		r = err_set(e, -EBADMSG, "%s: the group's token is none", what);
	if (r == 0)
		r = check_list(list, AWS_PLACES_MAX, what, e);
	for (size_t n = r == 0 ? json_array_size(list) : 0; r == 0 && ret->n < n; ret->n++)
		r = take_place(json_array_get(list, ret->n), &ret->v[ret->n], e);
	return r == 0 && !ret->n ? err_set(e, -EBADMSG, "%s without interfaces", what) : r;
}

/* --- aws.group --- */

int aws_group_out(const struct aws_group *p, char **ret, struct err *e)
{
	_cleanup_json_ json_t *vpcs = ids_json(p->vpcs, p->n_vpcs), *rules = json_array();
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct ec2_rule *t = &p->rules[i];
		char prefix[PREFIX_STR_MAX];
		json_t *row = json_pack("{s:b,s:s,s:i,s:i,s:s}", "egress", t->egress, "protocol",
		                        t->protocol, "from", t->from, "to", t->to, "prefix",
		                        prefix_str(&t->prefix, prefix));
		if (json_array_append_new(rules, row) < 0)
			return err_set(e, -ENOMEM, "out of memory for a step's payload");
	}
	_cleanup_json_ json_t *j =
	    json_pack("{s:i,s:O?,s:O}", "version", VERSION, "vpcs", vpcs, "rules", rules);
	return dump(vpcs ? j : NULL, ret, e);
}

static int take_rule(json_t *row, struct ec2_rule *t, struct err *e)
{
	static const char what[] = "aws.group: rule";
	const char *protocol, *prefix;
	int egress;
	int r = field_unpack(row, what, e, "{s:b,s:s,s:i,s:i,s:s!}", "egress", &egress, "protocol",
	                     &protocol, "from", &t->from, "to", &t->to, "prefix", &prefix);
	if (r == 0)
		r = field_copy(t->protocol, sizeof t->protocol, protocol, what, e);
	if (r == 0 && !ec2_id_ok(t->protocol))
		r = err_set(e, -EBADMSG, "%s: no protocol", what);
	if (r == 0 && (t->from < -1 || t->to < t->from || t->to > 65535))
		r = err_set(e, -EBADMSG, "%s: ports %d to %d are none", what, t->from, t->to);
	if (r == 0 && prefix_parse(prefix, &t->prefix, NULL) < 0)
		r = err_set(e, -EBADMSG, "%s: \"%.60s\" is no prefix", what, prefix);
	t->egress = r == 0 && egress;
	return r;
}

int aws_group_in(const char *json, struct aws_group *ret, struct err *e)
{
	static const char what[] = "aws.group";
	_cleanup_json_ json_t *j = NULL;
	json_t *vpcs, *rules;
	int version, r = load(json, what, &j, e);
	if (r == 0)
		r = field_unpack(j, what, e, "{s:i,s:o,s:o!}", "version", &version, "vpcs", &vpcs,
		                 "rules", &rules);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof *ret);
	r = check_version(version, what, e);
	if (r == 0)
		r = take_ids(vpcs, ret->vpcs, AWS_VPCS_MAX, &ret->n_vpcs, what, e);
	if (r == 0)
		r = check_list(rules, sizeof ret->rules / sizeof *ret->rules, what, e);
	size_t n = r == 0 ? json_array_size(rules) : 0;
	for (; r == 0 && ret->n_rules < n; ret->n_rules++)
		r = take_rule(json_array_get(rules, ret->n_rules), &ret->rules[ret->n_rules], e);
	return r;
}

/* --- aws.acl --- */

void aws_block_free(struct aws_block *b)
{
	free(b->v);
	*b = (struct aws_block){0};
}

int aws_block_out(const struct aws_block *p, char **ret, struct err *e)
{
	_cleanup_json_ json_t *list = json_array();
	for (size_t i = 0; i < p->n; i++) {
		const struct aws_entry *t = &p->v[i];
		char prefix[PREFIX_STR_MAX];
		json_t *row =
		    json_pack("{s:s,s:i,s:b,s:b,s:s}", "acl", t->acl, "number", t->number, "egress",
		              t->egress, "ours", t->ours, "prefix", prefix_str(&t->prefix, prefix));
		if (json_array_append_new(list, row) < 0)
			return err_set(e, -ENOMEM, "out of memory for a step's payload");
	}
	_cleanup_json_ json_t *j = json_pack("{s:i,s:O}", "version", VERSION, "entries", list);
	return dump(j, ret, e);
}

static int take_entry(json_t *row, struct aws_entry *t, struct err *e)
{
	static const char what[] = "aws.acl: entry";
	const char *acl, *prefix;
	int egress, ours;
	int r = field_unpack(row, what, e, "{s:s,s:i,s:b,s:b,s:s!}", "acl", &acl, "number",
	                     &t->number, "egress", &egress, "ours", &ours, "prefix", &prefix);
	if (r == 0)
		r = take_id(t->acl, acl, what, e);
	if (r == 0 && (t->number < 1 || t->number > 32766))
		r = err_set(e, -EBADMSG, "%s: %d is no number of one", what, t->number);
	if (r == 0 && prefix_parse(prefix, &t->prefix, NULL) < 0)
		r = err_set(e, -EBADMSG, "%s: \"%.60s\" is no prefix", what, prefix);
	t->egress = r == 0 && egress;
	t->ours = r == 0 && ours;
	return r;
}

int aws_block_in(const char *json, struct aws_block *ret, struct err *e)
{
	static const char what[] = "aws.acl";
	_cleanup_json_ json_t *j = NULL;
	json_t *list;
	int version, r = load(json, what, &j, e);
	if (r == 0)
		r = field_unpack(j, what, e, "{s:i,s:o!}", "version", &version, "entries", &list);
	if (r == 0)
		r = check_version(version, what, e);
	if (r == 0)
		r = check_list(list, AWS_BLOCK_MAX, what, e);
	if (r < 0)
		return r;
	size_t n = json_array_size(list);
	struct aws_block b = {.v = calloc(n ? n : 1, sizeof *b.v)};
	if (!b.v)
		return err_set(e, -ENOMEM, "out of memory for a step's payload");
	for (; r == 0 && b.n < n; b.n++)
		r = take_entry(json_array_get(list, b.n), &b.v[b.n], e);
	if (r < 0)
		aws_block_free(&b);
	else
		*ret = b;
	return r;
}

/* --- the small ones --- */

int aws_standby_out(const struct aws_standby *p, char **ret, struct err *e)
{
	_cleanup_json_ json_t *j = json_pack("{s:i,s:s,s:s,s:b}", "version", VERSION, "instance",
	                                     p->instance, "group", p->group, "shrink", p->shrink);
	return dump(j, ret, e);
}

int aws_standby_in(const char *json, struct aws_standby *ret, struct err *e)
{
	static const char what[] = "aws.standby";
	_cleanup_json_ json_t *j = NULL;
	const char *instance, *group;
	int version, shrink, r = load(json, what, &j, e);
	if (r == 0)
		r = field_unpack(j, what, e, "{s:i,s:s,s:s,s:b!}", "version", &version, "instance",
		                 &instance, "group", &group, "shrink", &shrink);
	if (r == 0)
		r = check_version(version, what, e);
	if (r == 0)
		r = take_id(ret->instance, instance, what, e);
	if (r == 0)
		r = take_name(ret->group, group, what, e);
	ret->shrink = r == 0 && shrink;
	return r;
}

int aws_role_out(const struct aws_role *p, char **ret, struct err *e)
{
	_cleanup_json_ json_t *j = json_pack("{s:i,s:s}", "version", VERSION, "role", p->role);
	return dump(j, ret, e);
}

int aws_role_in(const char *json, struct aws_role *ret, struct err *e)
{
	static const char what[] = "aws.role";
	_cleanup_json_ json_t *j = NULL;
	const char *role;
	int version, r = load(json, what, &j, e);
	if (r == 0)
		r = field_unpack(j, what, e, "{s:i,s:s!}", "version", &version, "role", &role);
	if (r == 0)
		r = check_version(version, what, e);
	return r < 0 ? r : take_name(ret->role, role, what, e);
}

int aws_snapshot_out(const struct aws_snapshot *p, char **ret, struct err *e)
{
	_cleanup_json_ json_t *j =
	    json_pack("{s:i,s:s}", "version", VERSION, "instance", p->instance);
	return dump(j, ret, e);
}

int aws_snapshot_in(const char *json, struct aws_snapshot *ret, struct err *e)
{
	static const char what[] = "aws.snapshot";
	_cleanup_json_ json_t *j = NULL;
	const char *instance;
	int version, r = load(json, what, &j, e);
	if (r == 0)
		r = field_unpack(j, what, e, "{s:i,s:s!}", "version", &version, "instance",
		                 &instance);
	if (r == 0)
		r = check_version(version, what, e);
	return r < 0 ? r : take_id(ret->instance, instance, what, e);
}
