/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What this kernel takes, found out while the command still looks for the operator and reads its
 * journal: the nftables trial sleeps until the kernel has let go of its hooks again, and the
 * verification of the tc program keeps a processor busy.
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

static struct {
	pthread_t trial, load;
	bool trial_runs, load_runs;
	struct layers *layers; /* NULL: not all of them */
	struct raw_programs *programs;
	bool loaded;
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

static void *run_load(void *arg)
{
	ahead.loaded = raw_probe(ahead.programs, NULL) == 0;
	return NULL;
}

void host_look_ahead(void)
{
	if (ahead.trial_runs || ahead.programs)
		return;
	ahead.trial_runs = pthread_create(&ahead.trial, NULL, run_trial, NULL) == 0;
	ahead.programs = raw_programs_new();
	ahead.load_runs = ahead.programs && pthread_create(&ahead.load, NULL, run_load, NULL) == 0;
}

void ahead_take(struct host *h)
{
	if (ahead.load_runs)
		pthread_join(ahead.load, NULL);
	if (ahead.trial_runs)
		pthread_join(ahead.trial, NULL);
	h->layers = ahead.layers;
	h->programs = ahead.programs;
	h->loaded = ahead.loaded;
	memset(&ahead, 0, sizeof ahead);
}

void host_look_ahead_done(void)
{
	struct host h = {0};
	ahead_take(&h);
	layers_free(h.layers);
	free(h.layers);
	raw_programs_free(h.programs);
}
