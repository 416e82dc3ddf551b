/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a blocklist costs in the kernel: blocklist_load MEANS FILE, in the network namespace it is
 * started in. FILE has one prefix a line. MEANS is
 *
 *   trie       the bulk tier: LPM tries at tc
 *   interval   what it was weighed against: nftables interval sets by netlink, one batch, the set
 *              replaced by a fresh one in one transaction
 *   chunks     single addresses in an nftables hash set with time-outs, 200 a transaction: how a
 *              CrowdSec bouncer does it; prefixes are cut to their first address
 *
 * Prints one JSON object, times in milliseconds.
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/bulk.h"

#define DELTA  1000
#define CHUNK  200
#define REPEAT 1000000u
#define SINGLE 200

static void __attribute__((noreturn)) die(const struct err *e)
{
	fprintf(stderr, "blocklist_load: %s\n", e->text);
	exit(1);
}

static struct bulk_want *list(const char *path, size_t *ret_n)
{
	struct err e = {0};
	FILE *f = fopen(path, "re");
	size_t n = 0, cap = 1u << 16;
	struct bulk_want *v = malloc(cap * sizeof *v);
	char line[80];
	if (!f || !v) {
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (n == cap && !(v = realloc(v, (cap *= 2) * sizeof *v)))
			exit(1);
		v[n].until = 0;
		if (prefix_parse(line, &v[n++].prefix, &e) < 0)
			die(&e);
	}
	fclose(f);
	*ret_n = n;
	return v;
}

static double since(usec_t t)
{
	return (double)(boot_now() - t) / 1e3;
}

/* An entry that no list of the bench has: 198.18.0.0/15 is left out of them. */
static struct bulk_entry fresh(unsigned i)
{
	return (struct bulk_entry){
	    .addr = {198, 18, (uint8_t)(i >> 8), (uint8_t)i}, .len = 32, .until = 0};
}

static double one_packet(const struct bulkprog *b, const uint8_t *dst, bool expect)
{
	uint8_t frame[64] = {
	    [12] = 8, [14] = 0x45, [17] = 50, [22] = 64, [23] = 17, [26] = 198, 51, 100, 9};
	struct err e = {0};
	uint32_t nsec;
	bool pass;
	memcpy(frame + 30, dst, 4);
	if (bulkprog_try(b, BULK_ETHERNET, frame, sizeof frame, REPEAT, &pass, &nsec, &e) < 0)
		die(&e);
	if (pass != expect) {
		fprintf(stderr, "blocklist_load: the program judges a packet wrongly\n");
		exit(1);
	}
	return nsec;
}

/* Half of it new entries, half of it old ones to be taken out. */
static double trie_delta(const struct bulkprog *b, struct bulk_sets *want)
{
	struct bulk_entry add[DELTA / 2], *old = want->v[BULK_V4];
	struct err e = {0};
	size_t n_old = want->n[BULK_V4] < DELTA / 2 ? want->n[BULK_V4] : DELTA / 2, done;
	for (unsigned i = 0; i < DELTA / 2; i++)
		add[i] = fresh(4096 + i);
	usec_t t = boot_now();
	if (bulkprog_put(b, ADDR_V4, add, DELTA / 2, &done, &e) < 0 ||
	    bulkprog_del(b, ADDR_V4, old, n_old, &done, &e) < 0)
		die(&e);
	double took = since(t);
	if (bulkprog_put(b, ADDR_V4, old, n_old, &done, &e) < 0 ||
	    bulkprog_del(b, ADDR_V4, add, DELTA / 2, &done, &e) < 0)
		die(&e);
	return took;
}

static double trie_single(const struct bulkprog *b, bool put)
{
	struct err e = {0};
	size_t done;
	usec_t t = boot_now();
	for (unsigned i = 0; i < SINGLE; i++) {
		struct bulk_entry x = fresh(i);
		int r = put ? bulkprog_put(b, ADDR_V4, &x, 1, &done, &e)
		            : bulkprog_del(b, ADDR_V4, &x, 1, &done, &e);
		if (r < 0)
			die(&e);
	}
	return since(t) / SINGLE;
}

static void trie(struct bulk_want *v, size_t n)
{
	static const uint8_t outside[4] = {203, 0, 113, 7};
	struct err e = {0};
	struct bulk_sets want;
	struct bulkprog b;
	size_t done;
	usec_t t = boot_now();
	if (bulk_desired(v, n, NULL, 0, &want, &e) < 0)
		die(&e);
	double aggregate = since(t);
	t = boot_now();
	if (bulkprog_load(&b, &e) < 0)
		die(&e);
	for (size_t k = 0; k < _BULK_TRIE_MAX; k++)
		if (bulkprog_put(&b, bulk_family((enum bulk_trie)k), want.v[k], want.n[k], &done,
		                 &e) < 0)
			die(&e);
	double load = since(t);
	t = boot_now();
	for (size_t k = 0; k < _BULK_TRIE_MAX; k++) {
		struct bulk_entry *back;
		if (bulkprog_read(&b, bulk_family((enum bulk_trie)k), &back, &done, &e) < 0)
			die(&e);
		free(back);
		if (done != want.n[k])
			exit(1);
	}
	double readback = since(t), add = trie_single(&b, true), del = trie_single(&b, false);
	printf("{\"entries\": %zu, \"held\": %zu, \"aggregate_ms\": %.3f, \"load_ms\": %.3f, "
	       "\"readback_ms\": %.3f, \"add_ms\": %.5f, \"delete_ms\": %.5f, \"delta_ms\": %.3f, ",
	       n, want.n[0] + want.n[1], aggregate, load, readback, add, del,
	       trie_delta(&b, &want));
	printf("\"packet_passed_ns\": %.0f, \"packet_dropped_ns\": %.0f}\n",
	       one_packet(&b, outside, true),
	       want.n[0] ? one_packet(&b, want.v[0][want.n[0] / 2].addr, false) : 0);
	fflush(stdout);
	getchar(); /* holds it while memory is measured */
	bulkprog_close(&b);
	bulk_sets_free(&want);
}

/* ---- what it was weighed against ---- */

static struct nft_set *table_with(struct nft_table *t, const char *set4, const char *set6,
                                  uint32_t flags)
{
	*t = (struct nft_table){.family = NFPROTO_INET};
	strcpy(t->name, "bench_blocklist");
	if (!nft_add_set(t, set4, NFT_KEY_IP4, flags) || !nft_add_set(t, set6, NFT_KEY_IP6, flags))
		exit(1);
	return t->sets;
}

static void add_elem(struct nft_set *s, const struct bulk_entry *x, bool interval, unsigned bits)
{
	struct nft_elem *el = nft_add_elem(s);
	if (!el)
		exit(1);
	memcpy(el->key, x->addr, 16);
	if (!interval) {
		el->timeout = 4 * 3600 * 1000;
		return;
	}
	if (!(el = nft_add_elem(s)))
		exit(1);
	struct addr a = {.family = bits == 32 ? ADDR_V4 : ADDR_V6};
	memcpy(a.bytes, x->addr, 16);
	struct prefix p = {a, x->len};
	a = prefix_last(&p);
	for (unsigned i = bits / 8; i-- > 0 && ++a.bytes[i] == 0;)
		;
	memcpy(el->key, a.bytes, 16);
	el->interval_end = true;
}

static double commit(struct nl *nl, struct nft_batch *b)
{
	struct err e = {0};
	usec_t t = boot_now();
	if (nft_commit(nl, b, &e) < 0)
		die(&e);
	nft_batch_free(b);
	return since(t);
}

/* Neighbours would share an end with the next one's start: intervals are told apart by it. */
static void intervals(struct bulk_want *v, size_t n)
{
	struct err e = {0};
	struct bulk_sets want;
	struct nl nl;
	struct nft_table t;
	struct nft_batch b;
	if (bulk_desired(v, n, NULL, 0, &want, &e) < 0 || nl_open(&nl, NETLINK_NETFILTER, &e) < 0)
		die(&e);
	struct nft_set *sets = table_with(&t, "v4", "v6", NFT_SET_INTERVAL);
	for (size_t k = 0; k < _BULK_TRIE_MAX; k++)
		for (size_t i = 0; i < want.n[k]; i++)
			add_elem(&sets[k], &want.v[k][i], true, k ? 128 : 32);
	usec_t from = boot_now();
	nft_batch_begin(&b);
	nft_put_table(&b, &t);
	commit(&nl, &b);
	double load = since(from), add = 0;
	struct nft_set one = sets[0];
	for (unsigned i = 0; i < 20; i++) {
		struct bulk_entry x = fresh(2 * i);
		one.elems = NULL;
		one.n_elems = 0;
		add_elem(&one, &x, true, 32);
		nft_batch_begin(&b);
		nft_put_elems(&b, &t, &one, one.elems, one.n_elems);
		add += commit(&nl, &b) / 20;
		free(one.elems);
	}
	nft_batch_begin(&b);
	one.elems = NULL;
	one.n_elems = 0;
	for (unsigned i = 0; i < DELTA; i++) {
		struct bulk_entry x = fresh(4096 + 2 * i);
		add_elem(&one, &x, true, 32);
	}
	nft_put_elems(&b, &t, &one, one.elems, one.n_elems);
	printf("{\"entries\": %zu, \"held\": %zu, \"load_ms\": %.3f, \"add_ms\": %.5f, "
	       "\"delta_ms\": %.3f}\n",
	       n, want.n[0] + want.n[1], load, add, commit(&nl, &b));
	fflush(stdout);
	getchar();
	nl_close(&nl);
}

static void chunks(struct bulk_want *v, size_t n)
{
	struct err e = {0};
	struct nl nl;
	struct nft_table t;
	struct nft_batch b;
	if (nl_open(&nl, NETLINK_NETFILTER, &e) < 0)
		die(&e);
	struct bulk_sets want;
	for (size_t i = 0; i < n; i++)
		v[i].prefix.len = (uint8_t)addr_bits(&v[i].prefix.addr);
	if (bulk_desired(v, n, NULL, 0, &want, &e) < 0)
		die(&e);
	const struct nft_set *sets = table_with(&t, "v4", "v6", NFT_SET_TIMEOUT);
	usec_t from = boot_now();
	nft_batch_begin(&b);
	nft_put_table(&b, &t);
	commit(&nl, &b);
	for (size_t i = 0; i < n; i += CHUNK) {
		struct nft_elem el[2][CHUNK];
		size_t k[2] = {0};
		for (size_t x = i; x < n && x < i + CHUNK; x++) {
			size_t f = v[x].prefix.addr.family == ADDR_V6;
			if (x && addr_equal(&v[x].prefix.addr, &v[x - 1].prefix.addr))
				continue;
			el[f][k[f]] = (struct nft_elem){.timeout = 4 * 3600 * 1000};
			memcpy(el[f][k[f]++].key, v[x].prefix.addr.bytes, 16);
		}
		nft_batch_begin(&b);
		for (size_t f = 0; f < 2; f++)
			nft_put_elems(&b, &t, &sets[f], el[f], k[f]);
		commit(&nl, &b);
	}
	printf("{\"entries\": %zu, \"load_ms\": %.3f}\n", n, since(from));
	fflush(stdout);
	getchar();
	nl_close(&nl);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(struct bulk_want *v, size_t n);
	} means[] = {{"trie", trie}, {"interval", intervals}, {"chunks", chunks}};
	for (size_t i = 0; argc == 3 && i < sizeof means / sizeof means[0]; i++) {
		size_t n;
		if (strcmp(argv[1], means[i].name) != 0)
			continue;
		struct bulk_want *v = list(argv[2], &n);
		means[i].run(v, n);
		free(v);
		return 0;
	}
	fprintf(stderr, "usage: blocklist_load trie|interval|chunks FILE\n");
	return 2;
}
