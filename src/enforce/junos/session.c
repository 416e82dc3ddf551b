/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/junos/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "wire/netconf.h"

#define BASE_NS  "urn:ietf:params:xml:ns:netconf:base:1.0"
#define BASE_1_1 "urn:ietf:params:netconf:base:1.1"
#define TIMEOUT  (30 * USEC_PER_SEC)
#define IN_SIZE  16384

struct netconf {
	struct ssh_link *link;
	struct netconf_reader reader;
	struct xml_doc *hello; /* the server's */
	usec_t timeout;
	unsigned id;
	bool broken; /* what comes next has no meaning */
	char host[128];
	uint8_t in[IN_SIZE];
	size_t at, have; /* of in: not yet fed */
};

/* --- messages --- */

static int more(struct netconf *n, usec_t until, struct err *e)
{
	usec_t now = boot_now();
	if (now >= until)
		return err_set(e, -ETIMEDOUT, "%s does not answer within %llu s", n->host,
		               (unsigned long long)(n->timeout / USEC_PER_SEC));
	n->at = 0;
	int r = ssh_link_read(n->link, n->in, sizeof n->in, until - now, &n->have, e);
	if (r == 0 && !n->have)
		r = err_set(e, -EPIPE, "%s has closed the session", n->host);
	return r;
}

static int receive(struct netconf *n, struct err *e)
{
	usec_t until = boot_now() + n->timeout;
	bool done = false;
	int r = 0;
	netconf_reader_next(&n->reader);
	while (r == 0 && !done) {
		size_t used = 0;
		r = n->at < n->have ? 0 : more(n, until, e);
		if (r == 0)
			r = netconf_feed(&n->reader, n->in + n->at, n->have - n->at, &used, &done,
			                 e);
		n->at += used;
	}
	if (r < 0)
		n->broken = true;
	return r;
}

static int send(struct netconf *n, const char *message, struct err *e)
{
	struct buf out = BUF_INIT(NETCONF_MESSAGE_MAX);
	int r = netconf_frame(n->reader.framing, message, strlen(message), &out, e);
	if (r == 0)
		r = ssh_link_write(n->link, out.data, out.len, e);
	if (r < 0)
		n->broken = true;
	buf_free(&out);
	return r;
}

/* --- hello --- */

static const struct xml_node *capability(const struct netconf *n, const struct xml_node *after)
{
	return after ? xml_next(after, "capability")
	             : xml_child(xml_child(xml_root(n->hello), "capabilities"), "capability");
}

static bool offers(const struct netconf *n, const char *part)
{
	for (const struct xml_node *c = capability(n, NULL); c; c = capability(n, c))
		if (strstr(xml_text(c), part))
			return true;
	return false;
}

bool netconf_can(const struct netconf *n, const char *capability)
{
	char part[64];
	snprintf(part, sizeof part, "capability%s:", capability);
	return offers(n, part);
}

bool netconf_is_junos(const struct netconf *n)
{
	return offers(n, "xml.juniper.net/netconf/junos") || offers(n, "net.juniper/junos") ||
	       offers(n, "xml.juniper.net/dmi/system");
}

static int say_hello(struct netconf *n, struct err *e)
{
	int r = send(n,
	             "<?xml version=\"1.0\" encoding=\"UTF-8\"?><hello xmlns=\"" BASE_NS
	             "\"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>"
	             "<capability>" BASE_1_1 "</capability></capabilities></hello>",
	             e);
	if (r == 0)
		r = receive(n, e);
	if (r == 0)
		r = xml_parse(n->reader.message.data, n->reader.message.len, &n->hello, e);
	if (r == 0 && strcmp(xml_root(n->hello)->name, "hello") != 0)
		r = err_set(e, -EBADMSG, "%s does not begin with a hello: is it NETCONF?", n->host);
	if (r == 0 && offers(n, BASE_1_1))
		n->reader.framing = NETCONF_CHUNKED;
	return r;
}

int netconf_open(const struct ssh_target *t, struct netconf **ret, struct err *e)
{
	struct netconf *n = calloc(1, sizeof *n);
	if (!n)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(n->host, sizeof n->host, "%s", t->host);
	n->timeout = t->timeout ? t->timeout : TIMEOUT;
	netconf_reader_init(&n->reader, NETCONF_EOM, NETCONF_MESSAGE_MAX);
	int r = ssh_link_open(t, "netconf", &n->link, e);
	if (r == 0)
		r = say_hello(n, e);
	if (r < 0) {
		n->broken = true;
		netconf_close(n);
	} else {
		*ret = n;
	}
	return r;
}

void netconf_close(struct netconf *n)
{
	if (!n)
		return;
	if (!n->broken)
		netconf_rpc(n, "<close-session/>", NULL, NULL);
	ssh_link_close(n->link);
	netconf_reader_free(&n->reader);
	xml_free(n->hello);
	free(n);
}

/* --- requests --- */

/* The first error, however deep: Junos wraps those of a commit. Depth is bounded by wire/xml. */
static const struct xml_node *find_error(const struct xml_node *n)
{
	for (n = xml_child(n, NULL); n; n = xml_next(n, NULL)) {
		if (!strcmp(n->name, "rpc-error")) {
			if (strcmp(xml_text_at(n, "error-severity"), "warning") != 0)
				return n;
			continue;
		}
		const struct xml_node *inside = find_error(n);
		if (inside)
			return inside;
	}
	return NULL;
}

/* The device's words, on one line. */
static void clean(const char *text, char *dst, size_t size)
{
	size_t n = 0;
	bool space = false;
	for (; *text && n + 2 < size; text++) {
		bool blank = strchr(" \t\r\n", *text) != NULL;
		if (!blank && space && n)
			dst[n++] = ' ';
		if (!blank)
			dst[n++] = *text;
		space = blank;
	}
	dst[n] = 0;
}

/* Junos says operation-failed for a command that it does not have, or that the user's class hides.
 */
static bool is_unknown(const char *words)
{
	static const char *const says[] = {"syntax error", "unknown command"};
	for (size_t i = 0; i < ARRAY_SIZE(says); i++)
		if (!strncasecmp(words, says[i], strlen(says[i])))
			return true;
	return false;
}

static int tell_error(const struct netconf *n, const struct xml_node *error, struct err *e)
{
	static const struct {
		const char *tag;
		int code;
	} codes[] = {{"lock-denied", -EBUSY},
	             {"in-use", -EBUSY},
	             {"access-denied", -EACCES},
	             {"resource-denied", -ENOSPC},
	             {"data-missing", -ENOENT},
	             {"unknown-element", -EOPNOTSUPP},
	             {"operation-not-supported", -EOPNOTSUPP}};
	char words[300], what[120];
	const char *tag = xml_text_at(error, "error-tag");
	const char *holder = xml_text_at(error, "error-info/session-id");
	int code = -EIO;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (!strcmp(tag, codes[i].tag))
			code = codes[i].code;
	clean(xml_text_at(error, "error-message"), words, sizeof words);
	if (code == -EIO && is_unknown(words))
		code = -EOPNOTSUPP;
	clean(xml_text_at(error, "error-info/bad-element"), what, sizeof what);
	return err_set(e, code, "%s refuses: %s%s%s%s%s%s", n->host, words[0] ? words : tag,
	               what[0] ? " (at " : "", what, what[0] ? ")" : "",
	               code == -EBUSY && *holder ? "; the lock is held by session " : "",
	               code == -EBUSY ? holder : "");
}

static int check_reply(const struct netconf *n, const struct xml_doc *d, struct err *e)
{
	const struct xml_node *root = xml_root(d), *error;
	const char *id = xml_attr(root, "message-id");
	char want[16];
	snprintf(want, sizeof want, "%u", n->id);
	if (strcmp(root->name, "rpc-reply") != 0 || !id || strcmp(id, want) != 0)
		return err_set(e, -EBADMSG, "%s answers something else than was asked (<%.40s>)",
		               n->host, root->name);
	error = find_error(root);
	return error ? tell_error(n, error, e) : 0;
}

static int reply(struct netconf *n, struct xml_doc **ret, struct err *e)
{
	struct xml_doc *d = NULL;
	int r = receive(n, e);
	if (r == 0 && (r = xml_parse(n->reader.message.data, n->reader.message.len, &d, e)) < 0) {
		n->broken = true;
		err_prefix(e, r, "%s", n->host);
	}
	if (r == 0)
		r = check_reply(n, d, e);
	n->broken |= r == -EBADMSG;
	if (r == 0 && ret)
		*ret = d;
	else
		xml_free(d);
	return r;
}

int netconf_rpc(struct netconf *n, const char *body, struct xml_doc **ret, struct err *e)
{
	struct buf out = BUF_INIT(NETCONF_MESSAGE_MAX);
	if (n->broken)
		return err_set(e, -EPIPE, "%s: the session was lost", n->host);
	buf_addf(&out,
	         "<?xml version=\"1.0\" encoding=\"UTF-8\"?><rpc message-id=\"%u\" xmlns=\"" BASE_NS
	         "\">",
	         ++n->id);
	buf_add(&out, body, strlen(body));
	buf_addf(&out, "</rpc>");
	int r = out.error ? err_set(e, out.error, "out of memory for the request")
	                  : send(n, buf_str(&out), e);
	buf_free(&out);
	return r < 0 ? r : reply(n, ret, e);
}
