/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What there is in the account, page by page. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/aws/parts.h"

#define PAGE "1000"

struct rows {
	char *v;
	size_t n, cap, size;
	int (*take)(const struct xml_node *item, void *row, struct err *e);
};

static int add_row(void *arg, const struct xml_node *item, struct err *e)
{
	struct rows *r = arg;
	if (r->n == AWS_ROWS_MAX)
		return err_set(e, -E2BIG, "AWS lists more than %d of them", AWS_ROWS_MAX);
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 8;
		char *more = reallocarray(r->v, cap, r->size);
		if (!more)
			return err_set(e, -ENOMEM, "out of memory while reading what is there");
		r->v = more;
		r->cap = cap;
	}
	int x = r->take(item, r->v + r->n * r->size, e);
	r->n += x == 0;
	return x;
}

/* EC2 numbers a filter's values from 1 on. */
static void filter_values(struct aws_call *c, const char *name, const char *const *values, size_t n)
{
	char field[AWS_FIELD_MAX];
	c->filters++;
	snprintf(field, sizeof field, "Filter.%u.Name", c->filters);
	aws_arg(c, field, name);
	snprintf(field, sizeof field, "Filter.%u.Value", c->filters);
	for (size_t i = 0; i < n; i++)
		aws_arg_at(c, field, i + 1, values[i]);
}

/* A filter, or, where it begins with a capital, a parameter of ids, which takes no page size. */
static int read_rows(struct aws *a, const char *action, const char *set, const char *filter,
                     const char *const *values, size_t n, struct rows *rows, struct err *e)
{
	struct aws_call c;
	aws_call_new(&c, AWS_EC2, action);
	if (isupper((unsigned char)*filter)) {
		for (size_t i = 0; i < n; i++)
			aws_arg_at(&c, filter, i + 1, values[i]);
	} else {
		aws_arg(&c, "MaxResults", PAGE);
		filter_values(&c, filter, values, n);
	}
	int r = n ? aws_each(a, &c, set, add_row, rows, e) : 0;
	if (!n)
		buf_free(&c.form);
	if (r < 0) {
		free(rows->v);
		rows->v = NULL;
	}
	return r;
}

static int take_interface(const struct xml_node *item, void *row, struct err *e)
{
	return ec2_take_interface(item, row, e);
}

int aws_interfaces(struct aws *a, const char *filter, const char *const *values, size_t n,
                   struct ec2_interface **ret, size_t *ret_n, struct err *e)
{
	struct rows rows = {.size = sizeof **ret, .take = take_interface};
	int r = read_rows(a, "DescribeNetworkInterfaces", "networkInterfaceSet", filter, values, n,
	                  &rows, e);
	if (r == 0) {
		*ret = (struct ec2_interface *)(void *)rows.v;
		*ret_n = rows.n;
	}
	return r;
}

static int take_group(const struct xml_node *item, void *row, struct err *e)
{
	return ec2_take_group(item, row, e);
}

int aws_groups(struct aws *a, const char *filter, const char *const *values, size_t n,
               struct ec2_group **ret, size_t *ret_n, struct err *e)
{
	struct rows rows = {.size = sizeof **ret, .take = take_group};
	int r = read_rows(a, "DescribeSecurityGroups", "securityGroupInfo", filter, values, n,
	                  &rows, e);
	if (r == 0) {
		*ret = (struct ec2_group *)(void *)rows.v;
		*ret_n = rows.n;
	}
	return r;
}

static int take_acl(const struct xml_node *item, void *row, struct err *e)
{
	return ec2_take_acl(item, row, e);
}

int aws_acls(struct aws *a, const char *filter, const char *const *values, size_t n,
             struct ec2_acl **ret, size_t *ret_n, struct err *e)
{
	struct rows rows = {.size = sizeof **ret, .take = take_acl};
	int r = read_rows(a, "DescribeNetworkAcls", "networkAclSet", filter, values, n, &rows, e);
	if (r == 0) {
		*ret = (struct ec2_acl *)(void *)rows.v;
		*ret_n = rows.n;
	}
	return r;
}

/* --- instances --- */

struct sought {
	struct ec2_instance *ret;
	bool found;
};

static int take_reservation(void *arg, const struct xml_node *item, struct err *e)
{
	struct sought *s = arg;
	const struct xml_node *n = xml_child(xml_child(item, "instancesSet"), "item");
	if (!n)
		return 0;
	s->found = true;
	return ec2_take_instance(n, s->ret, e);
}

int aws_instance(struct aws *a, const char *id, struct ec2_instance *ret, struct err *e)
{
	struct aws_call c;
	struct sought s = {.ret = ret};
	aws_call_new(&c, AWS_EC2, "DescribeInstances");
	aws_arg(&c, "InstanceId.1", id);
	int r = aws_each(a, &c, "reservationSet", take_reservation, &s, e);
	if (r == 0 && !s.found)
		r = err_set(e, -ENOENT, "there is no instance %s in %s", id, a->s.region);
	return r;
}

/* --- auto scaling --- */

int aws_member(struct aws *a, const char *instance, struct aws_member *ret, struct err *e)
{
	struct aws_call c;
	struct xml_doc *d = NULL;
	struct aws_member m = {.group = ""};
	aws_call_new(&c, AWS_SCALING, "DescribeAutoScalingInstances");
	aws_arg(&c, "InstanceIds.member.1", instance);
	int r = aws_do(a, &c, &d, e);
	if (r < 0)
		return r;
	const struct xml_node *n =
	    xml_at(xml_root(d), "DescribeAutoScalingInstancesResult/AutoScalingInstances/member");
	ec2_text(m.group, xml_text_at(n, "AutoScalingGroupName"));
	ec2_text(m.state, xml_text_at(n, "LifecycleState"));
	xml_free(d);
	*ret = m;
	return 0;
}
