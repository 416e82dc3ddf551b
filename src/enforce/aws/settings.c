/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "enforce/aws/parts.h"

#define TIMEOUT_DEFAULT (30 * USEC_PER_SEC)
#define UNTIE_DEFAULT   USEC_PER_SEC
#define ENTRIES_DEFAULT 20 /* AWS's quota unless it was raised */
#define ENTRIES_MAX     40

static int check_region(const char *s, struct err *e)
{
	for (size_t i = 0; s[i]; i++)
		if (i > 30 ||
		    (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) && s[i] != '-'))
			return err_set(e, -EINVAL, "\"%.40s\" is no region", s);
	return 0;
}

static int check_yes(const char *s, struct err *e)
{
	if (!strcmp(s, "yes") || !strcmp(s, "no"))
		return 0;
	return err_set(e, -EINVAL, "takes yes or no, not \"%.40s\"", s);
}

static int check_id(const char *s, struct err *e)
{
	if (ec2_id_ok(s))
		return 0;
	return err_set(e, -EINVAL, "\"%.70s\" is no id", s);
}

static int check_entries(const char *s, struct err *e)
{
	char *end;
	long n = strtol(s, &end, 10);
	if (isdigit((unsigned char)*s) && !*end && n >= 1 && n <= ENTRIES_MAX)
		return 0;
	return err_set(e, -EINVAL, "takes a number from 1 to %d, not \"%.40s\"", ENTRIES_MAX, s);
}

static int check_duration(const char *s, struct err *e)
{
	usec_t d;
	return duration_parse(s, &d, e);
}

static int check_path(const char *s, struct err *e)
{
	return *s == '/' ? 0 : err_set(e, -EINVAL, "\"%.60s\" is no absolute path", s);
}

const struct setting_key aws_settings_table[] = {
    {"region", false, true, "REGION", "The region: eu-central-1.", check_region},
    {"access_key", false, false, "ID", "The id of an access key (it is no secret).", check_id},
    {"access_key_env", false, false, "NAME", "The environment variable it is in.", NULL},
    {"secret_key_file", false, false, "FILE", "The access key itself.", check_path},
    {"secret_key_env", false, false, "NAME", "The environment variable it is in.", NULL},
    {"session_token_file", false, false, "FILE", "The token of short-lived credentials.",
     check_path},
    {"session_token_env", false, false, "NAME", "The environment variable it is in.", NULL},
    {"credentials_file", false, false, "FILE", "A shared credentials file (~/.aws/credentials).",
     check_path},
    {"profile", false, false, "NAME", "Which profile of it (default: default).", NULL},
    {"instance_role", false, false, "yes|no",
     "Use the role of the instance that this runs on (IMDSv2).", check_yes},
    {"assume_role", false, false, "ARN", "Then take on this role.", NULL},
    {"external_id", false, false, "TEXT", "The external id that it asks for.", NULL},
    {"vpc", true, false, "ID", "Only look in these VPCs; their network ACLs carry blocks.",
     check_id},
    {"network_acl", true, false, "ID", "The network ACLs that carry blocks.", check_id},
    {"acl_entries", false, false, "N",
     "The quota of entries each way and family of a network ACL, with the last deny (default 20).",
     check_entries},
    {"protect", true, false, "ID", "Instances that are never isolated.", check_id},
    {"untie", false, false, "yes|no",
     "Swap through a group that allows all, for a second, so that tracked flows are cut (default "
     "yes).",
     check_yes},
    {"untie_wait", false, false, "DUR", "How long that is (default 1s).", check_duration},
    {"standby", false, false, "yes|no",
     "Put members of an auto-scaling group to standby first (default yes).", check_yes},
    {"snapshots", false, false, "yes|no", "Snapshot the instance's volumes first (default no).",
     check_yes},
    {"revoke_role", false, false, "yes|no",
     "Revoke the credentials that its role has given out (default no).", check_yes},
    {"endpoint", false, false, "URL", "Instead of AWS's own (VPC endpoint, tests).", NULL},
    {"metadata", false, false, "URL", "Instead of http://169.254.169.254.", NULL},
    {"ca_file", false, false, "FILE", "Trust only these authorities.", check_path},
    {NULL},
};

static bool yes(const struct section *s, const char *key, bool otherwise)
{
	const char *v = section_get(s, key, 0);
	return v ? !strcmp(v, "yes") : otherwise;
}

static usec_t duration(const struct section *s, const char *key, usec_t otherwise)
{
	const char *v = section_get(s, key, 0);
	usec_t d;
	return v && duration_parse(v, &d, NULL) == 0 ? d : otherwise;
}

static size_t list(const struct section *s, const char *key, const char *ret[static AWS_LIST_MAX])
{
	size_t n = 0;
	const char *v;
	while (n < AWS_LIST_MAX && (v = section_get(s, key, n)))
		ret[n++] = v;
	return n;
}

void aws_settings_read(const struct section *s, struct aws_settings *ret)
{
	const char *entries = section_get(s, "acl_entries", 0);
	const struct {
		const char *key, **to;
	} texts[] = {
	    {"region", &ret->region},
	    {"endpoint", &ret->endpoint},
	    {"metadata", &ret->metadata},
	    {"ca_file", &ret->ca_file},
	    {"access_key", &ret->access_key},
	    {"access_key_env", &ret->access_key_env},
	    {"secret_key_file", &ret->secret_key_file},
	    {"secret_key_env", &ret->secret_key_env},
	    {"session_token_file", &ret->session_token_file},
	    {"session_token_env", &ret->session_token_env},
	    {"credentials_file", &ret->credentials_file},
	    {"profile", &ret->profile},
	    {"assume_role", &ret->assume_role},
	    {"external_id", &ret->external_id},
	};
	memset(ret, 0, sizeof *ret);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i].to = section_get(s, texts[i].key, 0);
	ret->n_vpcs = list(s, "vpc", ret->vpcs);
	ret->n_acls = list(s, "network_acl", ret->acls);
	ret->n_protect = list(s, "protect", ret->protect);
	ret->acl_entries = entries ? (unsigned)atoi(entries) : ENTRIES_DEFAULT;
	ret->timeout = duration(s, "timeout", TIMEOUT_DEFAULT);
	ret->untie_wait = duration(s, "untie_wait", UNTIE_DEFAULT);
	ret->untie = yes(s, "untie", true);
	ret->standby = yes(s, "standby", true);
	ret->snapshots = yes(s, "snapshots", false);
	ret->revoke_role = yes(s, "revoke_role", false);
	ret->instance_role = yes(s, "instance_role", false);
}
