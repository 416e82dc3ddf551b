/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/finding.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const finding_kind_names[_FINDING_MAX] = {
    [FINDING_UPLOAD] = "upload",
    [FINDING_BEACON] = "beacon",
    [FINDING_DNS_TUNNEL] = "dns_tunnel",
    [FINDING_ICMP_TUNNEL] = "icmp_tunnel",
    [FINDING_LONG_SESSION] = "long_session",
    [FINDING_SCAN] = "scan",
    [FINDING_LATERAL] = "lateral",
    [FINDING_MISMATCH] = "mismatch",
    [FINDING_TAMPER] = "tamper",
    [FINDING_PROCESS] = "process",
    [FINDING_SOCKET] = "socket",
    [FINDING_KERNEL] = "kernel",
    [FINDING_LOGIN] = "login",
    [FINDING_PERSISTENCE] = "persistence",
    [FINDING_ACCOUNT] = "account",
};
STRING_TABLE_DEFINE(finding_kind, enum finding_kind, finding_kind_names)

static void add_line(char lines[][FINDING_REASON_MAX], size_t max, size_t *n, const char *fmt,
                     va_list ap) __attribute__((format(printf, 4, 0)));
static void add_line(char lines[][FINDING_REASON_MAX], size_t max, size_t *n, const char *fmt,
                     va_list ap)
{
	if (*n < max)
		vsnprintf(lines[(*n)++], FINDING_REASON_MAX, fmt, ap);
}

void finding_reason(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(f->reasons, FINDING_REASONS_MAX, &f->n_reasons, fmt, ap);
	va_end(ap);
}

void finding_order(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(f->orders, FINDING_ORDERS_MAX, &f->n_orders, fmt, ap);
	va_end(ap);
}

/* A finding about names: a DNS tunnel, or a beacon that beats in queries. */
static bool about_domain(const struct finding *f)
{
	return f->kind == FINDING_DNS_TUNNEL ||
	       (f->kind == FINDING_BEACON && f->dest.port == 53 && f->domain[0]);
}

const char *finding_advice(const struct finding *f)
{
	return f->score >= FINDING_SCORE_ACT    ? "act"
	       : f->score >= FINDING_SCORE_LOOK ? "look"
	                                        : "note";
}

bool finding_of_host(const struct finding *f)
{
	return f->kind >= FINDING_PROCESS && f->kind <= FINDING_ACCOUNT;
}

bool finding_same(const struct finding *a, const struct finding *b)
{
	if (finding_of_host(a))
		return a->kind == b->kind && !strcmp(a->rule, b->rule) &&
		       !strcmp(a->selector, b->selector);
	if (a->kind != b->kind || !addr_equal(&a->src.addr, &b->src.addr) ||
	    about_domain(a) != about_domain(b))
		return false;
	if (about_domain(a))
		return !strcmp(a->domain, b->domain);
	/* The main port of all that went to one address may change as more goes there. */
	return addr_equal(&a->dest.addr, &b->dest.addr) &&
	       (a->kind == FINDING_UPLOAD ||
	        (a->dest.port == b->dest.port && a->proto == b->proto));
}
