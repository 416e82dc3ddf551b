/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/ssh_point.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/field.h"

static bool port_parse(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || !v || v > 65535)
		return false;
	*ret = (uint16_t)v;
	return true;
}

/* "host", "host:port", "192.0.2.1:22", "[2001:db8::1]:22", "2001:db8::1". */
static int split_address(const char *text, char host[static 256], uint16_t *port, struct err *e)
{
	bool bracket = text[0] == '[';
	const char *begin = text + bracket, *colon = strchr(text, ':');
	size_t n = bracket                                ? strcspn(begin, "]")
	           : colon && colon == strrchr(text, ':') ? (size_t)(colon - text)
	                                                  : strlen(text);
	const char *tail = begin + n;
	if (bracket && *tail)
		tail++;
	else if (bracket)
		n = 0;
	if (!n || n >= 256)
		return err_set(e, -EINVAL, "\"%.60s\" is no HOST[:PORT]", text);
	if (*tail && (*tail != ':' || !port_parse(tail + 1, port)))
		return err_set(e, -EINVAL, "\"%.60s\": behind the host stands no port", text);
	memcpy(host, begin, n);
	host[n] = 0;
	return 0;
}

int ssh_point_check_address(const char *text, struct err *e)
{
	char host[256];
	uint16_t port;
	return split_address(text, host, &port, e);
}

void ssh_point_init(struct ssh_point *p, const struct section *config, uint16_t default_port)
{
	const char *timeout = section_get(config, "timeout", 0);
	*p = (struct ssh_point){.config = config, .port = default_port};
	split_address(section_get(config, "address", 0), p->host, &p->port, NULL);
	if (timeout)
		duration_parse(timeout, &p->timeout, NULL);
}

int ssh_point_target(const struct ssh_point *p, struct ssh_target *ret, struct secret *secret,
                     struct err *e)
{
	const struct section *s = p->config;
	const char *file = section_get(s, "password_file", 0);
	const char *env = section_get(s, "password_env", 0);
	struct secret found = {0};
	int r = file  ? secret_from_file(file, &found, e)
	        : env ? secret_from_env(env, &found, e)
	              : 0;
	if (r < 0)
		return r;
	*secret = found;
	*ret = (struct ssh_target){
	    .host = p->host,
	    .port = p->port,
	    .user = section_get(s, "user", 0),
	    .key_file = section_get(s, "key_file", 0),
	    .agent = section_get(s, "agent", 0),
	    .password = found.text,
	    .host_key = section_get(s, "host_key", 0),
	    .known_hosts = section_get(s, "known_hosts", 0),
	    .kex = section_get(s, "kex", 0),
	    .host_key_types = section_get(s, "host_key_types", 0),
	    .ciphers = section_get(s, "ciphers", 0),
	    .macs = section_get(s, "macs", 0),
	    .timeout = p->timeout,
	};
	return 0;
}

int ssh_point_evidence(const struct buf *shown, const char *what, char **ret, struct err *e)
{
	char *text = calloc(1, shown->len + 1);
	size_t n = 0;
	for (size_t i = 0; text && i < shown->len; i++)
		if ((shown->data[i] >= 0x20 && shown->data[i] < 0x7f) || shown->data[i] == '\n')
			text[n++] = (char)shown->data[i];
	json_t *j = text ? json_pack("{s:s}", what, text) : NULL;
	char *out = j ? field_dump(j) : NULL;
	json_decref(j);
	free(text);
	if (!out)
		return err_set(e, -ENOMEM, "out of memory for the evidence");
	free(*ret);
	*ret = out;
	return 0;
}
