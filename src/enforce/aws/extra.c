/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What may go with an isolation: aws.standby (a member of an auto-scaling group is not replaced or
 * ended for being unhealthy), aws.role (credentials that the instance's role gave out end), and
 * aws.snapshot (evidence). Sources: Auto Scaling API reference, EnterStandby and ExitStandby; IAM
 * user guide, "Revoke IAM role temporary security credentials"; EC2 API reference, CreateSnapshots.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/aws/parts.h"
#include "model/field.h"

/* --- aws.standby --- */

static int standby_call(struct aws *a, const char *action, const struct aws_standby *p,
                        struct err *e)
{
	struct aws_call c;
	aws_call_new(&c, AWS_SCALING, action);
	aws_arg(&c, "AutoScalingGroupName", p->group);
	aws_arg(&c, "InstanceIds.member.1", p->instance);
	if (!strcmp(action, "EnterStandby"))
		aws_arg(&c, "ShouldDecrementDesiredCapacity", p->shrink ? "true" : "false");
	return aws_do(a, &c, NULL, e);
}

static bool stands_by(const struct aws_member *m, const struct aws_standby *p)
{
	return !strcmp(m->group, p->group) &&
	       (!strcmp(m->state, "Standby") || !strcmp(m->state, "EnteringStandby"));
}

static int standby_apply(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	struct aws_standby p = {.group = ""};
	struct aws_member m = {.group = ""};
	int r = aws_standby_in(s->forward, &p, e);
	if (r == 0)
		r = aws_member(a, p.instance, &m, e);
	if (r < 0 || stands_by(&m, &p))
		return r;
	return standby_call(a, "EnterStandby", &p, e);
}

static int standby_verify(struct aws *a, const struct step *s, struct readback *ret,
                          struct buf *drift, struct err *e)
{
	struct aws_standby p = {.group = ""};
	struct aws_member m = {.group = ""};
	int r = aws_standby_in(s->forward, &p, e);
	if (r == 0)
		r = aws_member(a, p.instance, &m, e);
	if (r < 0)
		return r;
	ret->verdict = stands_by(&m, &p) ? VERDICT_HOLDS : VERDICT_ABSENT;
	if (ret->verdict != VERDICT_HOLDS)
		buf_addf(drift, "%s is %s in the auto-scaling group %s, and not in standby\n",
		         p.instance, *m.state ? m.state : "no member any more", p.group);
	return 0;
}

static int standby_undo(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	struct aws_standby p = {.group = ""};
	struct aws_member m = {.group = ""};
	int r = aws_standby_in(s->forward, &p, e);
	if (r == 0)
		r = aws_member(a, p.instance, &m, e);
	if (r < 0)
		return r;
	if (stands_by(&m, &p))
		return standby_call(a, "ExitStandby", &p, e);
	if (strcmp(m.group, p.group) != 0)
		return err_set(e, -ESTALE, "%s is no member of the auto-scaling group %s any more",
		               p.instance, p.group);
	return 0;
}

static int standby_describe(const struct step *s, struct buf *out, struct err *e)
{
	struct aws_standby p = {.group = ""};
	int r = aws_standby_in(s->forward, &p, e);
	if (r == 0)
		buf_addf(out,
		         "autoscaling EnterStandby AutoScalingGroupName=%s InstanceIds=%s "
		         "ShouldDecrementDesiredCapacity=%s\n",
		         p.group, p.instance, p.shrink ? "true" : "false");
	return r;
}

const struct aws_kind aws_kind_standby = {
    .kind = "aws.standby",
    .apply = standby_apply,
    .verify = standby_verify,
    .undo = standby_undo,
    .describe = standby_describe,
};

/* --- aws.role --- */

static void policy_name(const struct step *s, char ret[static 64])
{
	snprintf(ret, 64, "stanch-%s", s->token);
}

static void role_call(struct aws_call *c, const char *action, const struct aws_role *p,
                      const struct step *s)
{
	char name[64];
	policy_name(s, name);
	aws_call_new(c, AWS_IAM, action);
	aws_arg(c, "RoleName", p->role);
	aws_arg(c, "PolicyName", name);
}

/* What was issued before now; an own policy that stands already is moved to now. */
static int role_apply(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	struct aws_role p = {.role = ""};
	struct aws_call c;
	char now[TIME_STR_MAX], policy[512];
	int r = aws_role_in(s->forward, &p, e);
	if (r < 0)
		return r;
	role_call(&c, "PutRolePolicy", &p, s);
	snprintf(policy, sizeof policy,
	         "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"Stanch\",\"Effect\":"
	         "\"Deny\",\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{\"DateLessThan\":"
	         "{\"aws:TokenIssueTime\":\"%.19sZ\"}}}]}",
	         time_str(wall_now(), now));
	aws_arg(&c, "PolicyDocument", policy);
	return aws_do(a, &c, NULL, e);
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *p = c ? strchr(digits, c) : NULL;
	return p ? (int)(p - digits) & 15 : -1;
}

static void percent_decode(char *s)
{
	char *to = s;
	for (; *s; s++) {
		int high = *s == '%' ? hex(s[1]) : -1, low = high < 0 ? -1 : hex(s[2]);
		*to++ = low < 0 ? *s : (char)(high << 4 | low);
		s += low < 0 ? 0 : 2;
	}
	*to = 0;
}

/* Does it deny all, to what was issued before a time, and nothing else? */
static bool policy_is_ours(const char *text)
{
	json_t *j = NULL, *list;
	const char *version, *sid, *effect, *action, *resource, *time;
	bool ours = field_load(text, 8192, "policy", &j, NULL) == 0 &&
	            field_unpack(j, "policy", NULL, "{s:s,s:o!}", "Version", &version, "Statement",
	                         &list) == 0 &&
	            json_array_size(list) == 1 &&
	            field_unpack(json_array_get(list, 0), "policy", NULL,
	                         "{s:s,s:s,s:s,s:s,s:{s:{s:s!}!}!}", "Sid", &sid, "Effect", &effect,
	                         "Action", &action, "Resource", &resource, "Condition",
	                         "DateLessThan", "aws:TokenIssueTime", &time) == 0 &&
	            !strcmp(effect, "Deny") && !strcmp(action, "*") && !strcmp(resource, "*");
	json_decref(j);
	return ours;
}

enum policy { POLICY_NONE, POLICY_OURS, POLICY_OTHER };

static int role_look(struct aws *a, const struct step *s, struct aws_role *p, enum policy *ret,
                     struct err *e)
{
	struct aws_call c;
	struct xml_doc *d = NULL;
	int r = aws_role_in(s->forward, p, e);
	if (r < 0)
		return r;
	role_call(&c, "GetRolePolicy", p, s);
	r = aws_do(a, &c, &d, e);
	*ret = POLICY_NONE;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	_cleanup_free_ char *text =
	    strdup(xml_text_at(xml_root(d), "GetRolePolicyResult/PolicyDocument"));
	if (text)
		percent_decode(text);
	*ret = text && policy_is_ours(text) ? POLICY_OURS : POLICY_OTHER;
	xml_free(d);
	return 0;
}

static int role_verify(struct aws *a, const struct step *s, struct readback *ret, struct buf *drift,
                       struct err *e)
{
	static const enum verdict verdicts[] = {[POLICY_NONE] = VERDICT_ABSENT,
	                                        [POLICY_OURS] = VERDICT_HOLDS,
	                                        [POLICY_OTHER] = VERDICT_DRIFTED};
	struct aws_role p = {.role = ""};
	enum policy is;
	int r = role_look(a, s, &p, &is, e);
	if (r < 0)
		return r;
	ret->verdict = verdicts[is];
	if (is != POLICY_OURS)
		buf_addf(drift, "the policy that revokes the credentials of the role %s %s\n",
		         p.role, is == POLICY_NONE ? "is gone" : "was changed");
	return 0;
}

static int role_undo(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	struct aws_role p = {.role = ""};
	struct aws_call c;
	enum policy is;
	int r = role_look(a, s, &p, &is, e);
	if (r < 0 || is == POLICY_NONE)
		return r;
	if (is == POLICY_OTHER)
		return err_set(e, -ESTALE,
		               "the policy stanch-%s of the role %s was changed and is left",
		               s->token, p.role);
	role_call(&c, "DeleteRolePolicy", &p, s);
	r = aws_do(a, &c, NULL, e);
	return r == -ENOENT ? 0 : r;
}

static int role_describe(const struct step *s, struct buf *out, struct err *e)
{
	struct aws_role p = {.role = ""};
	int r = aws_role_in(s->forward, &p, e);
	if (r == 0)
		buf_addf(out,
		         "iam PutRolePolicy RoleName=%s PolicyName=stanch-%s (deny * where "
		         "aws:TokenIssueTime is before now)\n",
		         p.role, s->token);
	return r;
}

const struct aws_kind aws_kind_role = {
    .kind = "aws.role",
    .apply = role_apply,
    .verify = role_verify,
    .undo = role_undo,
    .describe = role_describe,
};

/* --- aws.snapshot --- */

static int count_one(void *arg, const struct xml_node *item, struct err *e)
{
	(*(size_t *)arg)++;
	return 0;
}

static int snapshots_of(struct aws *a, const struct step *s, size_t *ret, struct err *e)
{
	struct aws_call c;
	*ret = 0;
	aws_call_new(&c, AWS_EC2, "DescribeSnapshots");
	aws_arg(&c, "Owner.1", "self");
	aws_filter(&c, "tag:" AWS_TAG, s->token);
	return aws_each(a, &c, "snapshotSet", count_one, ret, e);
}

static int snapshot_apply(struct aws *a, struct step *s, const struct holds *others, struct err *e)
{
	struct aws_snapshot p = {.instance = ""};
	struct aws_call c;
	size_t n = 0;
	int r = aws_snapshot_in(s->forward, &p, e);
	if (r == 0)
		r = snapshots_of(a, s, &n, e);
	if (r < 0 || n)
		return r;
	aws_call_new(&c, AWS_EC2, "CreateSnapshots");
	c.once = true;
	aws_arg(&c, "InstanceSpecification.InstanceId", p.instance);
	aws_arg(&c, "Description", "evidence, taken by stanch");
	aws_arg(&c, "TagSpecification.1.ResourceType", "snapshot");
	aws_arg(&c, "TagSpecification.1.Tag.1.Key", AWS_TAG);
	aws_arg(&c, "TagSpecification.1.Tag.1.Value", s->token);
	return aws_do(a, &c, NULL, e);
}

static int snapshot_verify(struct aws *a, const struct step *s, struct readback *ret,
                           struct buf *drift, struct err *e)
{
	size_t n = 0;
	int r = snapshots_of(a, s, &n, e);
	if (r == 0)
		ret->verdict = n ? VERDICT_HOLDS : VERDICT_ABSENT;
	return r;
}

static int snapshot_describe(const struct step *s, struct buf *out, struct err *e)
{
	struct aws_snapshot p = {.instance = ""};
	int r = aws_snapshot_in(s->forward, &p, e);
	if (r == 0)
		buf_addf(out, "ec2 CreateSnapshots InstanceSpecification.InstanceId=%s\n",
		         p.instance);
	return r;
}

const struct aws_kind aws_kind_snapshot = {
    .kind = "aws.snapshot",
    .apply = snapshot_apply,
    .verify = snapshot_verify,
    .describe = snapshot_describe,
};
