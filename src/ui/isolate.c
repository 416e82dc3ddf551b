/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/table.h"
#include "enforce/host/host.h"
#include "kern/link.h"
#include "ui/cut.h"
#include "ui/guard.h"
#include "ui/isolate_group.h"
#include "ui/verbs.h"
#include "ui/via.h"

#define QUESTION_MAX 512
#define SHOWN_ADDRS  4

const struct opt isolate_opts[] = {
    {"via", 0, OPT_LIST, "POINT,…",
     "enforcement points that do it (default: self, or those of the asset)"},
    {"console", 0, OPT_FLAG, NULL, "you sit at the console: no network way in needs to be kept"},
    {"unit", 0, OPT_TEXT, "U", "only this systemd unit (or the cgroup of this path)"},
    {"account", 0, OPT_TEXT, "A", "only what this user (name or uid) opens"},
    {"pid", 0, OPT_TEXT, "P", "only this process and what descends from it"},
    {"container", 0, OPT_TEXT, "C", "only this container, by id (its beginning), name, or path"},
    {NULL},
};

const struct opt contain_opts[] = {
    {"via", 0, OPT_LIST, "POINT,…", "enforcement points that do it (default: self)"},
    {"console", 0, OPT_FLAG, NULL, "you sit at the console: no network way in needs to be kept"},
    {NULL},
};

static void own_addresses(struct buf *out)
{
	struct link_addr *v = NULL;
	size_t n = 0, shown = 0;
	if (link_addr_list(NULL, &v, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		char a[ADDR_STR_MAX];
		if (addr_is_loopback(&v[i].addr) || addr_is_linklocal(&v[i].addr))
			continue;
		if (shown < SHOWN_ADDRS)
			buf_addf(out, "%s%s", shown ? ", " : "", addr_str(&v[i].addr, a));
		shown++;
	}
	if (shown > SHOWN_ADDRS)
		buf_addf(out, " and %zu more", shown - SHOWN_ADDRS);
	free(v);
}

static void question_self(struct buf *out)
{
	char raw[256] = "this host", name[256];
	struct buf addrs = BUF_INIT(1024);
	gethostname(raw, sizeof raw - 1);
	own_addresses(&addrs);
	buf_addf(out, "Isolate %s (%s)?", out_clean(raw, name, sizeof name),
	         addrs.len ? buf_str(&addrs) : "no address");
	buf_free(&addrs);
}

static void question_asset(const struct cut *k, const struct addr *v, size_t n, struct buf *out)
{
	char text[ADDR_STR_MAX];
	buf_addf(out, "Isolate %s (", k->order.targets[0].name);
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%s%s", i ? ", " : "", addr_str(&v[i], text));
	buf_addf(out, ") at ");
	via_text(&k->at, out);
	buf_addf(out, "?");
}

static bool anything_kept(const struct config *keeps)
{
	return keeps->n_keep || keeps->n_keep_in || keeps->n_keep_out;
}

/* A host cut from its disk does not come back. */
static bool root_on_network(void)
{
	static const unsigned long kinds[] = {0x6969, 0xff534d42, 0xfe534d42, 0x00c36400,
	                                      0x5346414f};
	struct statfs fs;
	if (statfs("/", &fs) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (((unsigned long)fs.f_type & 0xffffffff) == kinds[i])
			return true;
	return false;
}

static int check_guards(struct cut *k)
{
	if (root_on_network() && !cut_forced(k, "rootfs")) {
		out_error(&k->c->out,
		          "the root file system is on the network; this host would hang. "
		          "Block the bad addresses instead, or --force rootfs");
		return EXIT_REFUSED;
	}
	if (k->sessions.n || anything_kept(&k->keeps) || args_has(k->a, "console"))
		return EXIT_DONE;
	out_error(&k->c->out, "no way in was found that could be kept: you would be locked out. "
	                      "Nothing was changed. Type one of:");
	out_error(&k->c->out,
	          "  stanch isolate self --keep ADDR:22    (ADDR: where you come from)");
	out_error(&k->c->out, "  stanch isolate self --console         (you sit at the console)");
	return EXIT_REFUSED;
}

/* Accounts that are looked up over the network do not log in while it is cut. */
static void note_directory(struct cut *k)
{
	char text[4096];
	FILE *f = fopen("/etc/nsswitch.conf", "re");
	if (!f)
		return;
	size_t n = fread(text, 1, sizeof text - 1, f);
	text[n] = 0;
	fclose(f);
	const char *line = strstr(text, "\npasswd:");
	char services[128] = "";
	if (line)
		sscanf(line, "\npasswd:%127[^\n#]", services);
	if (strstr(services, "ldap") || strstr(services, "sss") || strstr(services, "winbind"))
		buf_addf(&k->notes,
		         "accounts come from a directory (nsswitch: %s); logins that need "
		         "it will fail unless --keep-out names its server\n",
		         services);
}

static int fill_order(struct cut *k, const char *name)
{
	struct err e = {0};
	struct target t = {.kind = TARGET_HOST};
	bool self = !strcmp(name, SELF);
	/* Sessions into this host say nothing of another. */
	static const struct operator_sessions none;
	snprintf(t.name, sizeof t.name, "%s", name);
	k->order.verb = VERB_ISOLATE;
	int r = order_add_target(&k->order, &t, &e);
	if (r == 0)
		r = cut_add_permits(&k->keeps, self ? &k->sessions : &none, k->on_expiry, &k->order,
		                    &e);
	if (r == 0 && self)
		r = host_sustain(&k->order, &e);
	return r < 0 ? ctx_fail(k->c, EXIT_REFUSED, &e) : EXIT_DONE;
}

static int isolate_self(struct cut *k)
{
	struct buf question = BUF_INIT(QUESTION_MAX);
	int r = EXIT_DONE;
	if (k->at.n != 1 || !via_has_self(&k->at)) {
		out_error(
		    &k->c->out,
		    "this host does not load the credentials of other points to isolate "
		    "itself: whoever owns it would own them. Run it from a trusted host by the "
		    "asset's name; here: stanch isolate self. Nothing was changed");
		return EXIT_REFUSED;
	}
	r = check_guards(k);
	if (r == EXIT_DONE)
		r = fill_order(k, SELF);
	if (r == EXIT_DONE) {
		cut_default_deadline(k);
		note_directory(k);
		question_self(&question);
		r = cut_carry_out(k, buf_str(&question));
	}
	buf_free(&question);
	return r;
}

/* --- another host --- */

static int not_from_itself(struct cut *k, const struct prefix *v, size_t n)
{
	struct surroundings s = {0};
	struct err e = {0};
	char text[ADDR_STR_MAX];
	int r = surroundings_read(&s, &e);
	if (r < 0)
		return ctx_fail(k->c, ctx_exit_of(r), &e);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < s.n_own; j++) {
			if (!addr_equal(&v[i].addr, &s.own[j]))
				continue;
			out_error(&k->c->out,
			          "%s has the address %s, and so has this host: it does not load "
			          "the credentials of other points against itself. Run it from a "
			          "trusted host; here: stanch isolate self. Nothing was changed",
			          k->a->pos[0], addr_str(&s.own[j], text));
			return EXIT_REFUSED;
		}
	return EXIT_DONE;
}

static int isolate_asset(struct cut *k)
{
	struct buf question = BUF_INIT(4096);
	struct addr addrs[ASSET_ADDRS_MAX];
	struct prefix whole[ASSET_ADDRS_MAX];
	struct err e = {0};
	struct target t = {.kind = TARGET_HOST};
	size_t n = 0;
	snprintf(t.name, sizeof t.name, "%s", k->a->pos[0]);
	if (via_has_self(&k->at)) {
		out_error(&k->c->out,
		          "the point \"self\" isolates this host only (stanch isolate self); name "
		          "one in front of %s. Nothing was changed",
		          t.name);
		return EXIT_REFUSED;
	}
	if (inventory_addrs(k->c->config.inventory, &t, addrs, &n, &e) < 0)
		return ctx_fail(k->c, EXIT_REFUSED, &e);
	for (size_t i = 0; i < n; i++)
		whole[i] = prefix_of(&addrs[i], addr_bits(&addrs[i]));
	int r = not_from_itself(k, whole, n);
	if (r == EXIT_DONE)
		r = cut_check_prefixes(k, whole, n);
	if (r == EXIT_DONE)
		r = fill_order(k, t.name);
	if (r == EXIT_DONE) {
		if (!anything_kept(&k->keeps))
			buf_addf(&k->notes, "no way in to %s is kept; --keep ADDR:PORT keeps one\n",
			         t.name);
		question_asset(k, addrs, n, &question);
		r = cut_carry_out(k, buf_str(&question));
	}
	buf_free(&question);
	return r;
}

static int isolate_host(struct ctx *c, const struct args *a)
{
	struct cut k;
	bool self = !strcmp(a->pos[0], SELF);
	const struct asset *asset = self ? NULL : inventory_asset(c->config.inventory, a->pos[0]);
	struct addr any;
	if (!self && !asset && addr_parse(a->pos[0], &any) < 0) {
		out_error(
		    &c->out,
		    "no asset in %s is called \"%.60s\"; add it, or run stanch isolate self on "
		    "that host. Nothing was changed",
		    c->config_path, a->pos[0]);
		return EXIT_REFUSED;
	}
	if (self)
		host_look_ahead();
	int r = cut_begin(&k, c, a, asset);
	if (r == EXIT_DONE)
		r = self ? isolate_self(&k) : isolate_asset(&k);
	cut_end(&k);
	if (self)
		host_look_ahead_done();
	return r;
}

int verb_isolate(struct ctx *c, const struct args *a)
{
	return isolate_is_group(a) || !a->n_pos ? isolate_group(c, a) : isolate_host(c, a);
}
