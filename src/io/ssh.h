/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One SSH connection with one channel: a shell with a terminal (devices that are typed at) or a
 * subsystem (NETCONF, RFC 6242). libssh underneath.
 *
 * Invariants
 *  1. The server's key is checked before anything secret is sent: it must be the one that is
 * pinned, or stand in the known-hosts file that is named. There is no "accept anew".
 *  2. No file of the user's is read: no ~/.ssh/config, no keys or agents that were not named.
 *  3. Every call ends by its time; a link that failed once only closes.
 */
#ifndef STANCH_IO_SSH_H
#define STANCH_IO_SSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct ssh_target {
	const char *host; /* name or address */
	uint16_t port;    /* 0: 22 */
	const char *user;
	/* Tried in this order, each only where it is not NULL. */
	const char *key_file; /* private key, without a passphrase */
	const char *agent;    /* socket of an agent */
	const char *password; /* by "password" and by "keyboard-interactive" */
	/* One of the two must be given. */
	const char *host_key;    /* "SHA256:…", as ssh-keygen -l prints it */
	const char *known_hosts; /* a file in OpenSSH's format */
	/* Old devices: lists as OpenSSH has them, "+" in front adds to the defaults; NULL:
	 * defaults. */
	const char *kex, *host_key_types, *ciphers, *macs;
	usec_t timeout; /* for connecting, and for one answer where a call names none; 0: 30 s */
};

struct ssh_link;

/* Connects, checks the key, logs in, opens the channel. what: NULL a shell with a terminal of 511 x
 * 0 characters, else a subsystem's name. *ret is freed by ssh_link_close. -ECONNREFUSED,
 * -ETIMEDOUT, -EHOSTUNREACH, -EKEYREJECTED (the host's key), -EACCES (login), -EPROTO. */
int ssh_link_open(const struct ssh_target *t, const char *what, struct ssh_link **ret,
                  struct err *e);
void ssh_link_close(struct ssh_link *l); /* takes NULL */

/* All n bytes, or an error. */
int ssh_link_write(struct ssh_link *l, const void *bytes, size_t n, struct err *e);
/* What is there, at least one byte, waiting at most `wait` (0: the target's). *ret_n 0: the other
 * side has closed. -ETIMEDOUT. */
int ssh_link_read(struct ssh_link *l, void *dst, size_t size, usec_t wait, size_t *ret_n,
                  struct err *e);

/* "SHA256:…" of what the server showed; "" before it did. For set-up and for error messages. */
const char *ssh_link_host_key(const struct ssh_link *l);

#endif
