/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/table.h"
#include "enforce/host/host.h"
#include "kern/link.h"
#include "ui/cut.h"
#include "ui/verbs.h"

#define QUESTION_MAX 512
#define SHOWN_ADDRS  4

const struct opt isolate_opts[] = {
    {"via", 0, OPT_LIST, "POINT", "enforcement point that does it (default: self)"},
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

static void make_question(char dst[static QUESTION_MAX])
{
	char raw[256] = "this host", name[256];
	struct buf addrs = BUF_INIT(1024);
	gethostname(raw, sizeof raw - 1);
	own_addresses(&addrs);
	snprintf(dst, QUESTION_MAX, "Isolate %s (%s)?", out_clean(raw, name, sizeof name),
	         addrs.len ? buf_str(&addrs) : "no address");
	buf_free(&addrs);
}

static int check_target(struct ctx *c, const struct args *a)
{
	const struct arg_value *via;
	for (size_t i = 0; (via = args_nth(a, "via", i)); i++)
		if (strcmp(via->text, "self") != 0) {
			out_error(&c->out,
			          "no such point in this build: \"%.60s\"; see stanch points",
			          via->text);
			return EXIT_REFUSED;
		}
	if (!strcmp(a->pos[0], "self"))
		return EXIT_DONE;
	out_error(
	    &c->out,
	    "no such point in this build knows \"%.60s\"; run stanch isolate self on that host",
	    a->pos[0]);
	return EXIT_REFUSED;
}

static bool anything_kept(const struct cut *k)
{
	return k->sessions.n || k->keeps.n_keep || k->keeps.n_keep_in || k->keeps.n_keep_out;
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
	if (anything_kept(k) || args_has(k->a, "console"))
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

static int fill_order(struct cut *k)
{
	struct err e = {0};
	struct target t = {.kind = TARGET_HOST, .name = "self"};
	k->order.verb = VERB_ISOLATE;
	int r = order_add_target(&k->order, &t, &e);
	if (r == 0)
		r = cut_add_permits(&k->keeps, &k->sessions, k->on_expiry, &k->order, &e);
	if (r == 0)
		r = host_sustain(&k->order, &e);
	return r < 0 ? ctx_fail(k->c, EXIT_REFUSED, &e) : EXIT_DONE;
}

int verb_isolate(struct ctx *c, const struct args *a)
{
	struct cut k;
	char question[QUESTION_MAX];
	int r = check_target(c, a);
	if (r != EXIT_DONE)
		return r;
	host_look_ahead();
	r = cut_begin(&k, c, a);
	if (r == EXIT_DONE)
		r = check_guards(&k);
	if (r == EXIT_DONE)
		r = fill_order(&k);
	if (r == EXIT_DONE) {
		cut_default_deadline(&k);
		note_directory(&k);
		make_question(question);
		r = cut_carry_out(&k, question);
	}
	cut_end(&k);
	host_look_ahead_done();
	return r;
}
