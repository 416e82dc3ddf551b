/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the EC2 API (2016-11-15) and its neighbours answer, as values. Each reader takes one element
 * of a read answer (wire/xml.h); what is missing or is no such thing is an error that names it.
 * Source: the AWS API references of EC2, Auto Scaling, IAM and STS.
 *
 * Invariant: every id that is handed out consists of letters, digits and '-', so it can be put into
 * a request, a journal or a message as it is; other texts have no control characters.
 */
#ifndef STANCH_WIRE_EC2_H
#define STANCH_WIRE_EC2_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "wire/xml.h"

#define EC2_ID_MAX       64
#define EC2_TEXT_MAX     256
#define EC2_GROUPS_MAX   16 /* of one interface: AWS's own limit */
#define EC2_ADDRS_MAX    32 /* further ones are counted */
#define EC2_RULES_MAX    400
#define EC2_ENTRIES_MAX  400
#define EC2_SUBNETS_MAX  200
#define EC2_PROTOCOL_MAX 16

struct ec2_interface {
	char id[EC2_ID_MAX], vpc[EC2_ID_MAX], subnet[EC2_ID_MAX];
	char instance[EC2_ID_MAX]; /* "": attached to none */
	char groups[EC2_GROUPS_MAX][EC2_ID_MAX];
	size_t n_groups;
	struct addr addrs[EC2_ADDRS_MAX]; /* private, public and IPv6 */
	size_t n_addrs;                   /* may be larger than fits */
};

/* What a rule lets through; one for each prefix. */
struct ec2_rule {
	bool egress;
	bool foreign; /* about another group or a prefix list: `prefix` is none */
	char protocol[EC2_PROTOCOL_MAX]; /* "tcp", "udp", "-1", or a number */
	int from, to;                    /* ports; -1: all */
	struct prefix prefix;
};

struct ec2_group {
	char id[EC2_ID_MAX], vpc[EC2_ID_MAX];
	char name[EC2_TEXT_MAX];
	char token[EC2_TEXT_MAX], host[EC2_TEXT_MAX]; /* tags "stanch", "stanch-host"; "" */
	struct ec2_rule rules[EC2_RULES_MAX];
	size_t n_rules; /* may be larger than fits */
};

struct ec2_entry {
	int number;
	bool egress, allow;
	bool plain; /* every protocol and port */
	struct prefix prefix;
};

struct ec2_acl {
	char id[EC2_ID_MAX], vpc[EC2_ID_MAX];
	bool is_default;
	struct ec2_entry entries[EC2_ENTRIES_MAX];
	size_t n_entries;
	char subnets[EC2_SUBNETS_MAX][EC2_ID_MAX];
	size_t n_subnets; /* may be larger than fits */
};

struct ec2_instance {
	char id[EC2_ID_MAX];
	char state[EC2_TEXT_MAX];   /* "running" */
	char name[EC2_TEXT_MAX];    /* tag "Name" */
	char token[EC2_TEXT_MAX];   /* tag "stanch" */
	char scaling[EC2_TEXT_MAX]; /* the auto-scaling group it is a member of; "" */
	char profile[EC2_TEXT_MAX]; /* name of its instance profile; "" */
};

bool ec2_id_ok(const char *s);

/* item of networkInterfaceSet, securityGroupInfo, networkAclSet, instancesSet. -EBADMSG. */
int ec2_take_interface(const struct xml_node *item, struct ec2_interface *ret, struct err *e);
int ec2_take_group(const struct xml_node *item, struct ec2_group *ret, struct err *e);
int ec2_take_acl(const struct xml_node *item, struct ec2_acl *ret, struct err *e);
int ec2_take_instance(const struct xml_node *item, struct ec2_instance *ret, struct err *e);

/* The code and message of an answer that is an error, of whichever service; false: it is none. */
bool ec2_take_error(const struct xml_node *root, char code[static EC2_TEXT_MAX],
                    char message[static EC2_TEXT_MAX]);
/* Copies text, control characters and what does not fit left out. */
void ec2_text(char dst[static EC2_TEXT_MAX], const char *text);

#endif
