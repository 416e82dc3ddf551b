/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the driver `aws` share. Not for other rooms. */
#ifndef STANCH_ENFORCE_AWS_PARTS_H
#define STANCH_ENFORCE_AWS_PARTS_H

#include "enforce/aws/aws.h"
#include "io/https.h"
#include "io/secret.h"
#include "wire/ec2.h"

#define AWS_TAG       "stanch"
#define AWS_TAG_HOST  "stanch-host"
#define AWS_LIST_MAX  32 /* of one setting */
#define AWS_ROWS_MAX  4096
#define AWS_FIELD_MAX 64 /* "Filter.1.Value.200" */

/* The section, read once; texts are the configuration's. */
struct aws_settings {
	const char *region, *endpoint, *ca_file, *metadata;
	const char *access_key, *access_key_env;
	const char *secret_key_file, *secret_key_env;
	const char *session_token_file, *session_token_env;
	const char *credentials_file, *profile;
	bool instance_role;
	const char *assume_role, *external_id;
	const char *vpcs[AWS_LIST_MAX], *acls[AWS_LIST_MAX], *protect[AWS_LIST_MAX];
	size_t n_vpcs, n_acls, n_protect;
	unsigned acl_entries;
	usec_t timeout, untie_wait;
	bool untie, snapshots, revoke_role, standby;
};

extern const struct setting_key aws_settings_table[];
void aws_settings_read(const struct section *s, struct aws_settings *ret);

struct aws_keys {
	struct secret id, key;
	struct secret token; /* a whole header; none: text NULL */
	bool short_lived;    /* was lent to us: may be fetched anew */
};

struct aws {
	char point[STEP_POINT_MAX];
	struct aws_settings s;
	const struct inventory *inventory;
	struct https *https, *metadata; /* NULL: not yet */
	struct aws_keys keys;
	bool have_keys;
};

/* ---- credentials.c ---- */

/* From where the configuration says, when they are needed for the first time. */
int aws_keys_load(struct aws *a, struct err *e);
void aws_keys_drop(struct aws *a);
/* The instance this runs on, where its role is used; "" else. */
int aws_own_instance(struct aws *a, char ret[static EC2_ID_MAX], struct err *e);

/* ---- call.c ---- */

enum aws_service { AWS_EC2, AWS_SCALING, AWS_IAM, AWS_STS, _AWS_SERVICE_MAX };

struct aws_call {
	enum aws_service service;
	const char *action;
	struct buf form;
	bool once;  /* is not sent again when the answer is lost */
	bool fresh; /* about what was only just made: "not found" means not yet */
	unsigned filters;
};

void aws_call_new(struct aws_call *c, enum aws_service service, const char *action);
void aws_arg(struct aws_call *c, const char *name, const char *value);
/* "NAME.i" */
void aws_arg_at(struct aws_call *c, const char *name, size_t i, const char *value);
void aws_filter(struct aws_call *c, const char *name, const char *value);
/* Sends it (and frees the form, whatever comes of it), again where that may help, until the point's
 * time is over. The answer in *ret (xml_free; ret NULL: only that it was good). -EACCES (the
 * rights), -EKEYREJECTED (the credentials or the certificate), -ENOENT, -EEXIST, -EBUSY (in use),
 * -ENOSPC (a quota), -EREMOTEIO (any other error that AWS tells), -EBADMSG, and those of https_do.
 */
int aws_do(struct aws *a, struct aws_call *c, struct xml_doc **ret, struct err *e);
/* Only whether it would be allowed. 0; -EACCES: no; else it could not be asked. */
int aws_dry(struct aws *a, struct aws_call *c, struct err *e);
/* Every item of `set` ("networkInterfaceSet"), page by page. */
typedef int (*aws_item)(void *arg, const struct xml_node *item, struct err *e);
int aws_each(struct aws *a, struct aws_call *c, const char *set, aws_item f, void *arg,
             struct err *e);
void aws_pause(usec_t d);

/* ---- read.c: what is there; *ret is malloc'd ---- */

/* filter: one of the Describe call's, or with a capital its list of ids ("NetworkAclId"). */
int aws_interfaces(struct aws *a, const char *filter, const char *const *values, size_t n,
                   struct ec2_interface **ret, size_t *ret_n, struct err *e);
int aws_groups(struct aws *a, const char *filter, const char *const *values, size_t n,
               struct ec2_group **ret, size_t *ret_n, struct err *e);
int aws_acls(struct aws *a, const char *filter, const char *const *values, size_t n,
             struct ec2_acl **ret, size_t *ret_n, struct err *e);
/* -ENOENT */
int aws_instance(struct aws *a, const char *id, struct ec2_instance *ret, struct err *e);
/* The life-cycle state and group of a member of an auto-scaling group; "" for none. */
struct aws_member {
	char group[EC2_TEXT_MAX], state[EC2_TEXT_MAX];
};
int aws_member(struct aws *a, const char *instance, struct aws_member *ret, struct err *e);

/* ---- payload.c ---- */

struct aws_place { /* one interface and what it had */
	char id[EC2_ID_MAX], vpc[EC2_ID_MAX];
	char groups[EC2_GROUPS_MAX][EC2_ID_MAX];
	size_t n_groups;
};
#define AWS_PLACES_MAX 64
#define AWS_VPCS_MAX   8
#define AWS_RULES_MAX  60 /* of one group, direction and family: AWS's quota */

struct aws_swap {
	char instance[EC2_ID_MAX];
	char group_token[STEP_TOKEN_MAX];
	bool untie;
	struct aws_place v[AWS_PLACES_MAX];
	size_t n;
};

struct aws_group {
	char vpcs[AWS_VPCS_MAX][EC2_ID_MAX];
	size_t n_vpcs;
	struct ec2_rule rules[4 * AWS_RULES_MAX];
	size_t n_rules;
};

struct aws_entry {
	char acl[EC2_ID_MAX];
	int number;
	bool egress;
	bool ours; /* false: somebody else's deny that does it already */
	struct prefix prefix;
};
struct aws_block {
	struct aws_entry *v; /* owned */
	size_t n;
};
#define AWS_BLOCK_MAX (AWS_LIST_MAX * 80)

struct aws_standby {
	char instance[EC2_ID_MAX];
	char group[EC2_TEXT_MAX];
	bool shrink;
};

struct aws_role {
	char role[EC2_TEXT_MAX];
};

struct aws_snapshot {
	char instance[EC2_ID_MAX];
};

/* To JSON, malloc'd, and back; every field is checked, none left over. -EBADMSG, -ENOMEM. */
int aws_swap_out(const struct aws_swap *p, char **ret, struct err *e);
int aws_swap_in(const char *json, struct aws_swap *ret, struct err *e);
int aws_group_out(const struct aws_group *p, char **ret, struct err *e);
int aws_group_in(const char *json, struct aws_group *ret, struct err *e);
int aws_block_out(const struct aws_block *p, char **ret, struct err *e);
int aws_block_in(const char *json, struct aws_block *ret, struct err *e);
int aws_standby_out(const struct aws_standby *p, char **ret, struct err *e);
int aws_standby_in(const char *json, struct aws_standby *ret, struct err *e);
int aws_role_out(const struct aws_role *p, char **ret, struct err *e);
int aws_role_in(const char *json, struct aws_role *ret, struct err *e);
int aws_snapshot_out(const struct aws_snapshot *p, char **ret, struct err *e);
int aws_snapshot_in(const char *json, struct aws_snapshot *ret, struct err *e);

/* ---- the kinds of steps ---- */

struct aws_kind {
	const char *kind;
	int (*apply)(struct aws *a, struct step *s, const struct holds *others, struct err *e);
	int (*verify)(struct aws *a, const struct step *s, struct readback *ret, struct buf *drift,
	              struct err *e);
	/* NULL: has no inverse */
	int (*undo)(struct aws *a, struct step *s, const struct holds *others, struct err *e);
	int (*describe)(const struct step *s, struct buf *out, struct err *e);
};

extern const struct aws_kind aws_kind_group, aws_kind_swap, aws_kind_acl, aws_kind_standby,
    aws_kind_role, aws_kind_snapshot;

/* group.c: security groups of ours. token: the step's. */
int aws_groups_of(struct aws *a, const char *token, struct ec2_group **ret, size_t *ret_n,
                  struct err *e);
/* The one of that VPC; NULL: none. */
const struct ec2_group *aws_group_in_vpc(const struct ec2_group *v, size_t n, const char *vpc);
/* Makes it where it is missing, with exactly these rules. */
int aws_group_make(struct aws *a, const char *token, const char *vpc, const char *what,
                   const struct ec2_rule *rules, size_t n, struct err *e);
/* -EBUSY with who uses it; gone already is good. */
int aws_group_delete(struct aws *a, const char *id, struct err *e);
/* Pure: the rules that permits become. *ret_wider counts those that let through more than the
 * permit. -E2BIG. */
int aws_rules_of(const struct order *o, struct aws_group *ret, size_t *ret_wider, struct err *e);
bool aws_rule_equal(const struct ec2_rule *a, const struct ec2_rule *b);
void aws_rule_text(const struct ec2_rule *r, struct buf *out);

/* acl.c */
/* Pure: the entries that deny every target in each of the ACLs, in free numbers below their lowest
 * allow. -ENOSPC with what would fit. *ret is to be freed. */
int aws_block_choose(const struct order *o, const struct ec2_acl *acls, size_t n, unsigned limit,
                     const struct aws_block *held, size_t n_held, struct aws_block *ret,
                     struct err *e);
void aws_block_free(struct aws_block *b);

/* ---- plan.c, probe.c, strays.c ---- */

int aws_plan(void *ctx, const struct order *o, const struct holds *others, struct plan *ret,
             struct err *e);
int aws_probe(void *ctx, struct capabilities *ret, struct err *e);
int aws_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out, struct err *e);

#endif
