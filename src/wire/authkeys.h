/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of authorized_keys. Source: sshd(8), AUTHORIZED_KEYS FILE FORMAT. */
#ifndef STANCH_WIRE_AUTHKEYS_H
#define STANCH_WIRE_AUTHKEYS_H

#include "wire/lines.h"

#define AUTHKEYS_FINGERPRINT_MAX 51 /* "SHA256:" and 43 characters of base64 */

struct authkeys_line {
	uint32_t number;
	struct cursor options, type, blob, comment; /* views; options and comment may be empty */
	bool bad;                                   /* no key in it; the type holds the line */
};

/* Comments and blank lines are passed over. */
bool authkeys_next(struct lines *l, struct authkeys_line *ret);
/* One option after another: name without its value; value without quotes, empty if it has none. */
bool authkeys_option(struct cursor *options, struct cursor *ret_name, struct cursor *ret_value);
/* As ssh-keygen -l shows it; false when the blob is not base64, or too long. */
bool authkeys_fingerprint(struct cursor blob, char dst[static AUTHKEYS_FINGERPRINT_MAX]);

#endif
