/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/http.h"

#include <string.h>
#include <strings.h>

#include "base/cursor.h"
#include "base/table.h"

/* RFC 9110 9 and 5789; WebDAV. Others are believed once their line has shown a version. */
static const char *const methods[] = {
    "GET",   "HEAD",  "POST",   "PUT",      "DELETE",    "CONNECT", "OPTIONS",
    "TRACE", "PATCH", "PRI",    "PROPFIND", "PROPPATCH", "MKCOL",   "COPY",
    "MOVE",  "LOCK",  "UNLOCK", "REPORT",   "SEARCH",
};

struct text {
	const uint8_t *p;
	size_t n;
};

static bool is_text(struct text t, const char *s)
{
	return t.n == strlen(s) && !memcmp(t.p, s, t.n);
}

static bool starts(struct text t, const char *s)
{
	return t.n >= strlen(s) && !strncasecmp((const char *)t.p, s, strlen(s));
}

/* What stands before the first c; t goes on behind it. False: there is none. */
static bool split(struct text *t, uint8_t c, struct text *ret)
{
	const uint8_t *at = t->n ? memchr(t->p, c, t->n) : NULL;

	if (!at)
		return false;
	*ret = (struct text){t->p, (size_t)(at - t->p)};
	t->p += ret->n + 1;
	t->n -= ret->n + 1;
	return true;
}

/* A line without its end, LF or CR LF. */
static bool line(struct text *t, struct text *ret)
{
	if (!split(t, '\n', ret))
		return false;
	if (ret->n && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

static bool is_method(struct text t)
{
	if (!t.n || t.n >= HTTP_METHOD_MAX)
		return false;
	for (size_t i = 0; i < t.n; i++)
		if ((t.p[i] < 'A' || t.p[i] > 'Z') && t.p[i] != '-')
			return false;
	return true;
}

/* Whether a line that is not all there may become a request. */
static bool may_become(struct text t)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		size_t n = strlen(methods[i]);
		if (!memcmp(t.p, methods[i], t.n < n ? t.n : n) && (t.n <= n || t.p[n] == ' '))
			return true;
	}
	return false;
}

static bool port_number(struct text t, uint16_t *ret)
{
	uint32_t v = 0;

	if (!t.n || t.n > 5)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(t.p[i] - '0');
	}
	if (v > UINT16_MAX)
		return false;
	*ret = (uint16_t)v;
	return true;
}

/* "user@host:port", of which user and port may be missing. */
static void authority(struct text t, struct http_request *r)
{
	struct text part;
	uint16_t port = 0;
	char host[HOSTNAME_MAX];

	while (split(&t, '@', &part))
		;
	if (split(&t, ':', &part)) {
		if (t.n && !port_number(t, &port))
			return;
		t = part;
	}
	if (!hostname_of(t.p, t.n, host))
		return;
	memcpy(r->host, host, sizeof host);
	r->port = port;
}

/* True: the target itself says who is meant, by a name or not. */
static bool target(struct text t, struct http_request *r)
{
	static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};

	if (!strcmp(r->method, "CONNECT")) {
		authority(t, r);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i]);
		if (!starts(t, schemes[i]))
			continue;
		t.p += n;
		t.n -= n;
		for (n = 0; n < t.n && t.p[n] != '/' && t.p[n] != '?' && t.p[n] != '#';)
			n++;
		authority((struct text){t.p, n}, r);
		return true;
	}
	return false;
}

static bool is_version(struct text t)
{
	return t.n == 8 && !memcmp(t.p, "HTTP/", 5) && (t.p[5] == '1' || t.p[5] == '2') &&
	       t.p[6] == '.' && t.p[7] >= '0' && t.p[7] <= '9';
}

static bool request_line(struct text t, struct http_request *r, struct text *ret_target)
{
	struct text method;

	if (!split(&t, ' ', &method) || !is_method(method) || !split(&t, ' ', ret_target) ||
	    !ret_target->n || !is_version(t))
		return false;
	memcpy(r->method, method.p, method.n);
	return t.p[5] == '1' || (is_text(method, "PRI") && is_text(*ret_target, "*"));
}

static struct text trim(struct text t)
{
	while (t.n && (*t.p == ' ' || *t.p == '\t'))
		t = (struct text){t.p + 1, t.n - 1};
	while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
		t.n--;
	return t;
}

/* Reads fields up to the empty line; true when that was there. *ret_hosts: how many Host fields, a
 * folded one counted twice: which would be meant? */
static bool fields(struct text *t, struct text *ret_host, unsigned *ret_hosts)
{
	struct text l, name;
	bool was_host = false;

	*ret_hosts = 0;
	while (line(t, &l)) {
		if (!l.n)
			return true;
		if (*l.p == ' ' || *l.p == '\t') {
			*ret_hosts += was_host;
			continue;
		}
		was_host = split(&l, ':', &name) && name.n == 4 && starts(name, "host");
		if (was_host) {
			*ret_host = trim(l);
			++*ret_hosts;
		}
	}
	return false;
}

enum http_step http_request(const uint8_t *p, size_t n, bool last, struct http_request *ret)
{
	struct text t = {p, n < HTTP_HEAD_MAX ? n : HTTP_HEAD_MAX}, first, to, host = {0};
	struct http_request r = {0};
	unsigned hosts;

	last = last || n >= HTTP_HEAD_MAX;
	if (!n)
		return last ? HTTP_NOT : HTTP_MORE;
	if (*p < 'A' || *p > 'Z')
		return HTTP_NOT;
	if (!line(&t, &first))
		return !last && may_become(t) ? HTTP_MORE : HTTP_NOT;
	if (!request_line(first, &r, &to))
		return HTTP_NOT;
	if (!fields(&t, &host, &hosts) && !last)
		return HTTP_MORE;
	if (!target(to, &r) && hosts == 1)
		authority(host, &r);
	*ret = r;
	return HTTP_HAVE;
}
