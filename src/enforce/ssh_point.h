/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A point that is reached by SSH: the settings that say how, shared by the drivers that need them.
 */
#ifndef STANCH_ENFORCE_SSH_POINT_H
#define STANCH_ENFORCE_SSH_POINT_H

#include "base/buf.h"
#include "io/secret.h"
#include "io/ssh.h"
#include "model/inventory.h"

int ssh_point_check_address(const char *text, struct err *e);

/* Rows for a driver's table of settings. */
#define SSH_POINT_SETTINGS                                                                         \
	{"address", false, true, "HOST[:PORT]", "Where it answers.", ssh_point_check_address},     \
	    {"user", false, true, "NAME", "Who logs in.", NULL},                                   \
	    {"key_file", false, false, "FILE", "A private key without a passphrase.", NULL},       \
	    {"agent", false, false, "SOCKET", "An SSH agent.", NULL},                              \
	    {"password_file", false, false, "FILE", "A file that holds the password.", NULL},      \
	    {"password_env",                                                                       \
	     false,                                                                                \
	     false,                                                                                \
	     "NAME",                                                                               \
	     "A variable of the environment that holds the password.",                             \
	     NULL},                                                                                \
	    {"host_key",                                                                           \
	     false,                                                                                \
	     false,                                                                                \
	     "SHA256:…",                                                                           \
	     "The host's key as ssh-keygen -l prints it; or known_hosts.",                         \
	     NULL},                                                                                \
	    {"known_hosts", false, false, "FILE", "Host keys in OpenSSH's format.", NULL},         \
	    {"kex", false, false, "LIST", "Key exchanges; \"+NAME\" adds an old one.", NULL},      \
	    {"host_key_types", false, false, "LIST", "Types of host keys, likewise.", NULL},       \
	    {"ciphers", false, false, "LIST", "Ciphers, likewise.", NULL},                         \
	{                                                                                          \
		"macs", false, false, "LIST", "Message authentication codes, likewise.", NULL      \
	}

struct ssh_point {
	const struct section *config;
	char host[256];
	uint16_t port;
	usec_t timeout;
};

/* default_port: where the address names none. */
void ssh_point_init(struct ssh_point *p, const struct section *config, uint16_t default_port);
/* Loads the password, where one is named, into *secret (to be freed when the link is open) and
 * fills *ret, whose pointers are p's and secret's. */
int ssh_point_target(const struct ssh_point *p, struct ssh_target *ret, struct secret *secret,
                     struct err *e);

/* {"what": "…"}: what a device showed before it was destroyed; bytes that are no text are left
 * out. */
int ssh_point_evidence(const struct buf *shown, const char *what, char **ret, struct err *e);

#endif
