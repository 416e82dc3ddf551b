/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the process's start to a handler.
 *
 * Invariants
 *  1. Before any handler runs the environment holds nothing but the names in `kept`, descriptors
 *     0 to 2 are open, files are made 0600, and a closed pipe is an error, not a death. Values of
 *     other names are left where io/secret.h keeps them, and only of those that the configuration
 *     names.
 *  2. Nothing is opened before the command line and the configuration have been read whole.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "io/secret.h"
#include "ui/config_file.h"
#include "ui/ctx.h"
#include "ui/help.h"
#include "ui/via.h"

static const char *const kept[] = {"TERM",          "NO_COLOR",     "SSH_CONNECTION", "TMUX",
                                   "STY",           "LANG",         "LC_ALL",         "LC_CTYPE",
                                   "NOTIFY_SOCKET", "WATCHDOG_USEC"};

static int scrub_environment(void)
{
	char *values[ARRAY_SIZE(kept)] = {NULL};
	int bad = 0;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		const char *v = getenv(kept[i]);
		bool keep = v && strlen(v) < 4096;
		values[i] = keep ? strdup(v) : NULL;
		bad |= keep && !values[i];
	}
	secret_env_save();
	bad |= clearenv();
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		if (values[i])
			bad |= setenv(kept[i], values[i], 1);
		free(values[i]);
	}
	bad |= setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	return bad ? -ENOMEM : 0;
}

/* A file opened later must not become our standard output. */
static int open_standard_fds(void)
{
	for (;;) {
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (fd > STDERR_FILENO)
			return close(fd);
		fcntl(fd, F_SETFD, 0);
	}
}

static int settle_process(void)
{
	umask(077);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	int r = open_standard_fds();
	return r < 0 ? r : scrub_environment();
}

/* Missing is fine for the default file and an error for one that was named. */
static int load_config(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	bool own = a->verb->flags & VERB_OWN_CONFIG;
	config_init(&c->config);
	c->config_given = args_has(a, "config");
	c->config_path = args_text(a, "config", CONFIG_PATH_DEFAULT);
	int r = own ? 0 : config_load(c->config_path, driver_table, &c->config, &e);
	if (r == 0 || (r == -ENOENT && !c->config_given))
		return EXIT_DONE;
	out_error(&c->out, "%s", e.text);
	if (a->verb->flags & VERB_LENIENT) {
		out_error(&c->out, "going on with the defaults");
		config_init(&c->config);
		return EXIT_DONE;
	}
	if (r == -ENOMEM)
		return EXIT_FAILED;
	out_error(&c->out, "correct it, or give --config /dev/null to go on with the defaults");
	return EXIT_USAGE;
}

/* A setting that is called "…_env" names a variable with a secret in it. */
static void keep_named_secrets(const struct inventory *inv)
{
	const char *names[POINTS_MAX * 4];
	size_t n = 0;
	for (size_t i = 0; inv && i < inv->n_points; i++)
		for (size_t k = 0; k < inv->points[i]->n && n < ARRAY_SIZE(names); k++) {
			const struct setting *v = &inv->points[i]->v[k];
			size_t len = strlen(v->key->name);
			if (len > 4 && !strcmp(v->key->name + len - 4, "_env"))
				names[n++] = v->text;
		}
	secret_env_only(names, n);
}

static int find_state(struct ctx *c, const struct args *a)
{
	const char *given = args_text(a, "state", c->config.state);
	size_t used = 0;
	if (given[0] != '/') {
		if (!getcwd(c->state_dir, sizeof c->state_dir)) {
			out_error(&c->out, "--state: where we are cannot be told: %s",
			          strerror(errno));
			return EXIT_USAGE;
		}
		used = strlen(c->state_dir);
		if (used + 1 < sizeof c->state_dir)
			c->state_dir[used++] = '/';
	}
	if (!given[0] || used + strlen(given) >= sizeof c->state_dir) {
		out_error(&c->out, "--state: \"%.60s\" is no usable path (at most %d bytes)", given,
		          CONFIG_STATE_MAX - 1);
		return EXIT_USAGE;
	}
	strcpy(c->state_dir + used, given);
	return EXIT_DONE;
}

/* What a next command needs to have the same state and configuration. */
static void remember_typed(struct ctx *c, const struct args *a)
{
	static const char *const names[] = {"state", "config"};
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = args_text(a, names[i], NULL);
		char clean[CONFIG_STATE_MAX];
		if (!v || at >= sizeof c->typed)
			continue;
		int n = snprintf(c->typed + at, sizeof c->typed - at, " --%s %s", names[i],
		                 out_clean(v, clean, sizeof clean));
		at += n > 0 ? (size_t)n : 0;
	}
}

static int run_verb(struct ctx *c, const struct args *a)
{
	int r = load_config(c, a);
	keep_named_secrets(r == EXIT_DONE ? c->config.inventory : NULL);
	if (r == EXIT_DONE)
		r = find_state(c, a);
	if (r != EXIT_DONE)
		return r;
	points_fill(c);
	remember_typed(c, a);
	c->incident = args_text(a, "incident", NULL);
	if (a->verb->flags & VERB_ROOT)
		r = ctx_need_rights(c, a->verb->name);
	return r == EXIT_DONE ? a->verb->run(c, a) : r;
}

static int dispatch(struct ctx *c, const struct args *a)
{
	if (args_has(a, "version"))
		fprintf(c->out.to, "stanch %s\n", STANCH_VERSION);
	else if (args_has(a, "help") && a->verb)
		help_verb(&c->out, a->verb);
	else if (args_has(a, "help"))
		help_list(&c->out, verb_table);
	else if (!a->verb)
		help_now(&c->out);
	else
		return run_verb(c, a);
	return EXIT_DONE;
}

int ui_main(int argc, char **argv)
{
	struct ctx c = {0};
	struct args a = {0};
	struct err e = {0};
	int r = settle_process();
	out_init(&c.out, stdout);
	if (r < 0) {
		out_error(&c.out, "cannot start: %s; nothing was changed", strerror(-r));
		return EXIT_FAILED;
	}
	for (int i = 1; i < argc; i++)
		c.out.json |= !strcmp(argv[i], "--json");

	if (args_parse(argc, argv, verb_table, &a, &e) < 0) {
		out_error(&c.out, "%s", e.text);
		return e.code == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
	}
	c.out.json = args_has(&a, "json");
	c.out.quiet = args_has(&a, "quiet");
	c.out.verbose = args_has(&a, "verbose");
	log_debug_on = c.out.verbose;
	r = dispatch(&c, &a);
	if (fflush(stdout) != 0 && r == EXIT_DONE)
		r = EXIT_FAILED;
	args_free(&a);
	config_free(&c.config);
	return r;
}
