/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `stanch reach`: does a host answer, and if not, how does it not. */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "ui/args.h"
#include "ui/ctx.h"
#include "ui/probe.h"
#include "ui/stop.h"
#include "ui/verbs.h"

const struct opt reach_opts[] = {
    {"port", 0, OPT_LIST, "P", "TCP port to connect to; repeats (default 22, with SSH's banner)"},
    {"from", 0, OPT_TEXT, "ADDR", "source address to ask from"},
    {0},
};

#define PORTS_MAX     64
#define ADDRESSES_MAX 32

struct reach_job {
	struct ctx *c;
	const char *host;
	struct addr from;
	struct addr to[ADDRESSES_MAX];
	size_t n_to;
	uint16_t ports[PORTS_MAX];
	size_t n_ports;
	bool all_ok;
};

static int read_ports(struct reach_job *j, const struct args *a, struct err *e)
{
	const struct arg_value *v;

	for (size_t i = 0; (v = args_nth(a, "port", i)); i++) {
		char *end;
		unsigned long port = strtoul(v->text, &end, 10);
		if (v->text[0] < '0' || v->text[0] > '9' || *end || !port || port > 65535)
			return err_set(e, -EINVAL, "--port %s is no port, 1 to 65535", v->text);
		if (i == PORTS_MAX)
			return err_set(e, -EINVAL, "at most %d ports at once", PORTS_MAX);
		j->ports[j->n_ports++] = (uint16_t)port;
	}
	if (!j->n_ports)
		j->ports[j->n_ports++] = SSH_PORT;
	return 0;
}

static void add_address(struct reach_job *j, const struct addr *a)
{
	for (size_t i = 0; i < j->n_to; i++)
		if (addr_equal(&j->to[i], a))
			return;
	if (j->n_to < ADDRESSES_MAX)
		j->to[j->n_to++] = *a;
}

static int resolve(struct reach_job *j, struct err *e)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct addr a;
	int r;

	if (!addr_parse(j->host, &a)) {
		add_address(j, &a);
		return 0;
	}
	if ((r = getaddrinfo(j->host, NULL, &hints, &list)))
		return err_set(e, -EHOSTUNREACH, "cannot find an address of %s: %s", j->host,
		               r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
	for (const struct addrinfo *i = list; i; i = i->ai_next)
		if (!addr_from_sockaddr(i->ai_addr, &a, NULL))
			add_address(j, &a);
	freeaddrinfo(list);
	return j->n_to ? 0 : err_set(e, -EHOSTUNREACH, "%s has no address", j->host);
}

static void show(struct reach_job *j, const struct addr *to, const char *kind, uint16_t port,
                 const struct probe *p)
{
	char text[ADDR_STR_MAX], what[24], now[TIME_STR_MAX];
	enum out_style style = p->outcome == REACH_OK ? STYLE_GOOD : STYLE_BAD;

	j->all_ok &= p->outcome == REACH_OK;
	if (j->c->out.json) {
		json_t *o = json_pack("{s:s s:s s:s s:s s:s s:s s:s}", "timestamp",
		                      time_str(wall_now(), now), "event_type", "reach", "host",
		                      j->host, "address", addr_str(to, text), "probe", kind,
		                      "outcome", reach_str(p->outcome), "detail", p->detail);
		if (o && port)
			json_object_set_new(o, "port", json_integer(port));
		if (o && p->latency)
			json_object_set_new(o, "latency_usec",
			                    json_integer((json_int_t)p->latency));
		if (o && p->banner[0])
			json_object_set_new(o, "banner", json_string(p->banner));
		out_json(&j->c->out, o);
		return;
	}
	snprintf(what, sizeof(what), port ? "%s %u" : "%s", kind, port);
	if (p->latency)
		snprintf(now, sizeof(now), "%.1f ms", (double)p->latency / 1000);
	else
		snprintf(now, sizeof(now), "-");
	out_line(&j->c->out, "%-24s %-10s %s%-11s%s %9s  %s", addr_str(to, text), what,
	         out_on(&j->c->out, style), reach_str(p->outcome), out_off(&j->c->out, style), now,
	         p->banner[0] ? p->banner : p->detail);
	fflush(j->c->out.to);
}

static void probe_all(struct reach_job *j, const struct addr *to)
{
	struct probe p;

	probe_icmp(to, &j->from, &p);
	show(j, to, "icmp", 0, &p);
	for (size_t i = 0; i < j->n_ports && !stop_asked; i++) {
		probe_tcp(to, j->ports[i], &j->from, &p);
		show(j, to, j->ports[i] == SSH_PORT ? "ssh" : "tcp", j->ports[i], &p);
	}
}

int verb_reach(struct ctx *c, const struct args *a)
{
	struct reach_job j = {.c = c, .host = a->pos[0], .all_ok = true};
	const char *from = args_text(a, "from", NULL);
	struct err e = {0};
	size_t asked = 0;

	if (read_ports(&j, a, &e) < 0)
		return ctx_fail(c, EXIT_USAGE, &e);
	if (from && addr_parse(from, &j.from) < 0) {
		err_set(&e, -EINVAL,
		        "--from %s is no address; give one of this host's (see `ip address`)",
		        from);
		return ctx_fail(c, EXIT_USAGE, &e);
	}
	if (resolve(&j, &e) < 0)
		return ctx_fail(c, EXIT_FOUND, &e);
	stop_catch();
	for (size_t i = 0; i < j.n_to && !stop_asked; i++) {
		if (j.from.family && j.from.family != j.to[i].family)
			continue;
		probe_all(&j, &j.to[i]);
		asked++;
	}
	if (!asked) {
		err_set(&e, -EINVAL, "%s has no address of the same family as --from %s", j.host,
		        from);
		return ctx_fail(c, EXIT_USAGE, &e);
	}
	return j.all_ok && !stop_asked ? EXIT_DONE : EXIT_FOUND;
}
