/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A conversation with a device: one command, its output, the prompt again. */
#ifndef STANCH_ENFORCE_CLI_TALK_H
#define STANCH_ENFORCE_CLI_TALK_H

#include "enforce/cli/device.h"
#include "io/ssh.h"

struct talk;

/* Logs in, becomes privileged where the device has such a thing (enable: the secret, NULL: none),
 * and switches its pager off. */
int talk_open(const struct ssh_target *t, const struct device *d, const char *enable,
              struct talk **ret, struct err *e);
void talk_close(struct talk *t); /* takes NULL */

/* One line. out (may be NULL) gets what the device shows, a line each, without the command itself.
 * -EINVAL: command would be more than one; -EIO: the device calls it an error, in its words;
 * -ETIMEDOUT, -EPIPE, -EMSGSIZE. */
int talk_line(struct talk *t, const char *command, struct buf *out, struct err *e);
/* Every value of a key, expanded; those with "; " in them are several lines. */
int talk_all(struct talk *t, const char *key, const struct device_vars *v, struct buf *out,
             struct err *e);

#endif
