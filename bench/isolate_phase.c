/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Times the netlink phase of `isolate self` in this network namespace: from the derived order to
 * the cut that was read back, without journal and process start.
 *
 *   isolate_phase RUNS PEER… > JSON       milliseconds of each run: transaction, read-back, undo
 *   isolate_phase describe PEER…          the same rules as input for nft -f
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "enforce/host/host.h"

static double now_msec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int permits(struct order *o, char **peers, int n, struct err *e)
{
	int r = 0;
	for (int i = 0; r == 0 && i < n; i++) {
		struct permit p = {.kind = PERMIT_FLOW, .local_port = 22};
		r = prefix_parse(peers[i], &p.peer, e);
		if (r == 0)
			r = order_add_permit(o, &p, e);
	}
	return r < 0 ? r : host_sustain(o, e);
}

static int describe(void *ctx, const struct order *o, const struct step *s, struct err *e)
{
	struct buf out = BUF_INIT(16u << 20);
	int r = host_driver.describe(ctx, o, s, &out, e);
	const char *text = buf_str(&out), *end = strstr(text, "\nEOF\n");
	if (r == 0) /* between the lines of the here-document */
		printf("%.*s\n", (int)(end - strchr(text, '\n') - 1), strchr(text, '\n') + 1);
	buf_free(&out);
	return r;
}

static int one_run(void *ctx, const struct order *o, struct step *s, bool first, struct err *e)
{
	const struct holds none = {0};
	struct readback rb = {0};
	double t0 = now_msec();
	int r = host_driver.apply(ctx, o, s, &none, e);
	double t1 = now_msec();
	if (r == 0)
		r = host_driver.verify(ctx, o, s, &none, &rb, e);
	double t2 = now_msec();
	if (r == 0 && rb.verdict != VERDICT_HOLDS)
		r = err_set(e, -EIO, "the cut does not hold: %.300s", rb.drift ? rb.drift : "");
	readback_free(&rb);
	if (r == 0)
		r = host_driver.undo(ctx, o, s, &none, e);
	if (r == 0)
		printf("%s{\"apply\":%.3f,\"verify\":%.3f,\"undo\":%.3f}", first ? "" : ",\n",
		       t1 - t0, t2 - t1, now_msec() - t2);
	return r;
}

static int run(void *ctx, const char *what, char **peers, int n, struct err *e)
{
	struct order o = {.id = 1, .verb = VERB_ISOLATE};
	struct plan p = {0};
	const struct holds none = {0};
	o.deadlines.confirm_by_boot = boot_now() + 600 * USEC_PER_SEC;
	int r = permits(&o, peers, n, e), runs = atoi(what);
	if (r == 0)
		r = host_driver.plan(ctx, &o, &none, &p, e);
	if (r == 0 && !strcmp(what, "describe"))
		r = describe(ctx, &o, &p.steps[0], e);
	else if (r == 0)
		printf("[");
	for (int i = 0; r == 0 && i < runs; i++)
		r = one_run(ctx, &o, &p.steps[0], i == 0, e);
	if (r == 0 && runs)
		printf("]\n");
	plan_free(&p);
	order_free(&o);
	return r;
}

static const struct point self = {.name = "self", .driver = &host_driver};

int main(int argc, char **argv)
{
	struct err e = {0};
	void *ctx;
	if (argc < 2)
		return 2;
	int r = host_driver.open(&self, &ctx, &e);
	if (r == 0) {
		r = run(ctx, argv[1], argv + 2, argc - 2, &e);
		host_driver.close(ctx);
	}
	if (r < 0)
		fprintf(stderr, "isolate_phase: %s\n", e.text);
	return r < 0;
}
