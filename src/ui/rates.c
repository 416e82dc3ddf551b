/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `stanch rates`: what each interface carries, as `sar -n DEV` shows it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "kern/nl.h"
#include "ui/args.h"
#include "ui/ctx.h"
#include "ui/rate_table.h"
#include "ui/stop.h"
#include "ui/verbs.h"

const struct opt rates_opts[] = {
    {"every", 0, OPT_DURATION, "DUR", "length of an interval (default 1s)"},
    {"count", 0, OPT_COUNT, "N", "stop after N intervals (default: at Ctrl-C)"},
    {0},
};

#define EVERY_MIN (10 * USEC_PER_MSEC)
#define KB        1024.0 /* as sar counts */

struct rates {
	struct ctx *c;
	const struct args *a;
	struct nl nl;
	struct rate_table table;
};

static bool wanted(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->n_pos; i++)
		if (!strcmp(a->pos[i], name))
			return true;
	return !a->n_pos;
}

static int sample(struct rates *r, struct err *e)
{
	_cleanup_free_ struct link *links = NULL;
	size_t n = 0, kept = 0;
	int k = link_list(&r->nl, &links, &n, e);

	if (k < 0)
		return k;
	for (size_t i = 0; i < n; i++)
		if (wanted(r->a, links[i].name))
			links[kept++] = links[i];
	if ((k = rate_sample(&r->table, links, kept, boot_now())) < 0)
		return err_set(e, k, "out of memory for interface counters");
	return 0;
}

static json_t *row_json(const char *type, const struct rate_row *r, const struct link_counters *d,
                        usec_t time)
{
	char name[4 * IFNAMSIZ], now[TIME_STR_MAX];

	return json_pack(
	    "{s:s s:s s:s s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:b}", "timestamp",
	    time_str(wall_now(), now), "event_type", type, "iface",
	    out_clean(r->name, name, sizeof(name)), "interval_usec", (json_int_t)time, "rx_packets",
	    (json_int_t)d->rx_packets, "tx_packets", (json_int_t)d->tx_packets, "rx_bytes",
	    (json_int_t)d->rx_bytes, "tx_bytes", (json_int_t)d->tx_bytes, "rx_packets_per_second",
	    (json_int_t)rate_per_second(d->rx_packets, time), "tx_packets_per_second",
	    (json_int_t)rate_per_second(d->tx_packets, time), "rx_bytes_per_second",
	    (json_int_t)rate_per_second(d->rx_bytes, time), "tx_bytes_per_second",
	    (json_int_t)rate_per_second(d->tx_bytes, time), "rx_dropped", (json_int_t)d->rx_dropped,
	    "tx_dropped", (json_int_t)d->tx_dropped, "rx_errors", (json_int_t)d->rx_errors,
	    "tx_errors", (json_int_t)d->tx_errors, "reset", r->reset);
}

static void row_text(struct out *o, const char *when, const struct rate_row *r,
                     const struct link_counters *d, usec_t time)
{
	double s = (double)time / (double)USEC_PER_SEC;
	char name[4 * IFNAMSIZ];

	out_clean(r->name, name, sizeof(name));
	if (r->reset)
		out_line(o, "%-10s %-15s counters were set back in this interval", when, name);
	else
		out_line(o, "%-10s %-15s %11.2f %11.2f %11.2f %11.2f", when, name,
		         (double)d->rx_packets / s, (double)d->tx_packets / s,
		         (double)d->rx_bytes / KB / s, (double)d->tx_bytes / KB / s);
}

static void heading(struct out *o, const char *when)
{
	out_line(o, "%s%-10s %-15s %11s %11s %11s %11s%s", out_on(o, STYLE_STRONG), when, "IFACE",
	         "rxpck/s", "txpck/s", "rxkB/s", "txkB/s", out_off(o, STYLE_STRONG));
}

static void show_interval(struct rates *r)
{
	char when[TIME_STR_MAX];
	const char *clock = time_str(wall_now(), when) + sizeof("2026-11-24T") - 1;

	when[sizeof("2026-11-24T04:07:00") - 1] = 0;
	heading(&r->c->out, clock);
	for (size_t i = 0; i < r->table.n; i++) {
		const struct rate_row *row = &r->table.rows[i];
		if (!row->seen || (!row->interval && !row->reset))
			continue;
		row_text(&r->c->out, clock, row, &row->delta, row->interval);
		out_json(&r->c->out, r->c->out.json
		                         ? row_json("rates", row, &row->delta, row->interval)
		                         : NULL);
	}
	out_line(&r->c->out, "%s", "");
	fflush(r->c->out.to);
}

static void show_average(struct rates *r)
{
	heading(&r->c->out, "Average:");
	for (size_t i = 0; i < r->table.n; i++) {
		struct rate_row row = r->table.rows[i];
		if (!row.sum_time)
			continue;
		row.reset = false;
		row_text(&r->c->out, "Average:", &row, &row.sum, row.sum_time);
		out_json(&r->c->out, r->c->out.json
		                         ? row_json("rates_average", &row, &row.sum, row.sum_time)
		                         : NULL);
	}
}

static int run(struct rates *r, struct err *e)
{
	usec_t every = args_duration(r->a, "every", USEC_PER_SEC), due = boot_now();
	uint64_t count = args_count(r->a, "count", UINT64_MAX);
	int k;

	if (every < EVERY_MIN)
		return err_set(e, -EINVAL, "--every is too short, at least 10ms");
	if ((k = sample(r, e)) < 0)
		return k;
	for (size_t i = 0; i < r->a->n_pos; i++) {
		size_t at = 0;
		while (at < r->table.n && strcmp(r->table.rows[at].name, r->a->pos[i]))
			at++;
		if (at == r->table.n)
			return err_set(e, -EINVAL, "no interface %s here (see `ip link`)",
			               r->a->pos[i]);
	}
	while (count--) {
		due += every;
		bool asked = !stop_sleep_until(due);
		if ((k = sample(r, e)) < 0)
			return k;
		show_interval(r);
		if (asked)
			break;
	}
	show_average(r);
	return 0;
}

int verb_rates(struct ctx *c, const struct args *a)
{
	struct rates r = {.c = c, .a = a};
	struct err e = {0};
	int k = nl_open(&r.nl, NETLINK_ROUTE, &e);

	if (k < 0)
		return ctx_fail(c, ctx_exit_of(k), &e);
	stop_catch();
	k = run(&r, &e);
	rate_table_free(&r.table);
	nl_close(&r.nl);
	return k < 0 ? ctx_fail(c, ctx_exit_of(k), &e) : EXIT_DONE;
}
