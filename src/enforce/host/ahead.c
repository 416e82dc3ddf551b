/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this kernel takes, found out while the command still looks for the operator and reads its
 * journal: the nftables trial sleeps until the kernel has let go of its hooks again, and the
 * verification of the BPF programs keeps a processor busy.
 *
 * Invariants
 *  1. A result is taken once, by the next driver that is opened, and only when the kernel took
 *     everything; whatever else came out is found out again in the ordinary way, with its reasons.
 *  2. The threads touch nothing but their own result, and are joined before it is read.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/host/parts.h"
#include "enforce/host/programs.h"

static struct {
	pthread_t trial;
	bool trial_runs;
	struct layers *layers; /* NULL: not all of them */
	struct loading {
		pthread_t thread;
		bool runs, loaded;
		struct cut_programs *programs;
	} out, in; /* tc egress, XDP */
} ahead;

static void *run_trial(void *arg)
{
	struct host h = {0};
	struct layers *l = calloc(1, sizeof *l);
	int r = l ? nl_open(&h.nl, NETLINK_NETFILTER, NULL) : -ENOMEM;
	if (r == 0) {
		r = layers_probe(&h, l, NULL);
		nl_close(&h.nl);
	}
	if (r == 0 && l->egress && l->ingress) {
		ahead.layers = l;
	} else {
		layers_free(l);
		free(l);
	}
	return NULL;
}

static void *load_out(void *arg)
{
	ahead.out.loaded = cut_programs_probe(ahead.out.programs, CUTPROG_OUT, NULL) == 0;
	return NULL;
}

static void *load_in(void *arg)
{
	ahead.in.loaded = cut_programs_probe(ahead.in.programs, CUTPROG_IN, NULL) == 0;
	return NULL;
}

static void start(struct loading *l, enum cutprog_way way, void *(*run)(void *))
{
	l->programs = cut_programs_new(way);
	l->runs = l->programs && pthread_create(&l->thread, NULL, run, NULL) == 0;
}

void host_look_ahead(void)
{
	if (ahead.trial_runs || ahead.out.programs)
		return;
	ahead.trial_runs = pthread_create(&ahead.trial, NULL, run_trial, NULL) == 0;
	start(&ahead.out, CUTPROG_OUT, load_out);
	start(&ahead.in, CUTPROG_IN, load_in);
}

static void join(const struct loading *l)
{
	if (l->runs)
		pthread_join(l->thread, NULL);
}

void ahead_take(struct host *h)
{
	join(&ahead.out);
	join(&ahead.in);
	if (ahead.trial_runs)
		pthread_join(ahead.trial, NULL);
	h->layers = ahead.layers;
	h->programs = ahead.out.programs;
	h->loaded = ahead.out.loaded;
	h->inbound = ahead.in.programs;
	h->inbound_loaded = ahead.in.loaded;
	memset(&ahead, 0, sizeof ahead);
}

void host_look_ahead_done(void)
{
	struct host h = {0};
	ahead_take(&h);
	layers_free(h.layers);
	free(h.layers);
	cut_programs_free(h.programs);
	cut_programs_free(h.inbound);
}
