/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/config_file.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

#define CONFIG_FILE_MAX (1 << 20)
#define KEYS_MAX        32

extern char **environ;

/* libconfuse's callbacks carry no argument; one file is read at a time. */
static struct {
	struct config *config;
	const struct config_key *seen[KEYS_MAX]; /* keys with one value that have one */
	size_t n_seen;
	struct err err;
} reading;

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[256];
	vsnprintf(text, sizeof text, fmt, ap);
	/* The first error is the cause; later ones follow from it. */
	if (!reading.err.code)
		err_set(&reading.err, -EINVAL, "%s:%d: %s", cfg->filename ? cfg->filename : "-",
		        cfg->line, text);
}

/* A second value would hide the first. */
static int once(const struct config_key *k, struct err *e)
{
	for (size_t i = 0; i < reading.n_seen; i++)
		if (reading.seen[i] == k)
			return err_set(e, -EINVAL, "is set twice");
	if (k->type != CONFIG_LIST && reading.n_seen < KEYS_MAX)
		reading.seen[reading.n_seen++] = k;
	return 0;
}

/* Called for each value as it is read, so that the line is still known. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct config_key *k = config_key_find(cfg_opt_name(opt));
	struct err why = {0};
	int r = k ? once(k, &why) : -EINVAL;
	if (r == 0)
		r = k->set(reading.config, value, &why);
	*(const char **)result = value;
	if (r < 0)
		cfg_error(cfg, "%s: %s", cfg_opt_name(opt), why.text);
	return r < 0;
}

static int parse_stream(FILE *f, const char *path)
{
	cfg_opt_t opts[KEYS_MAX + 1];
	size_t n = 0;
	for (const struct config_key *k = config_keys; k->name && n < KEYS_MAX; k++) {
		cfg_opt_t one = CFG_STR_CB("", NULL, CFGF_NODEFAULT, on_value);
		one.name = k->name;
		if (k->type == CONFIG_LIST)
			one.flags = CFGF_LIST;
		opts[n++] = one;
	}
	opts[n] = (cfg_opt_t)CFG_END();

	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	if (!cfg)
		return err_set(&reading.err, -ENOMEM, "out of memory reading %s", path);
	cfg_set_error_function(cfg, on_error);
	free(cfg->filename);
	cfg->filename = strdup(path);
	int r = cfg_parse_fp(cfg, f);
	if (r != CFG_SUCCESS && !reading.err.code)
		err_set(&reading.err, -EINVAL, "%s:%d: cannot be read as a configuration", path,
		        cfg->line);
	cfg_free(cfg);
	return reading.err.code;
}

static int open_checked(const char *path, FILE **ret, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, -errno, "%s cannot be opened: %s", path, strerror(errno));
	int r = 0;
	if (fstat(fd, &st) < 0)
		r = err_set(e, -errno, "%s cannot be read: %s", path, strerror(errno));
	else if (S_ISREG(st.st_mode) && st.st_mode & S_IWOTH)
		r = err_set(e, -EPERM, "%s can be written by anyone; chmod o-w it, then look at it",
		            path);
	else if (S_ISDIR(st.st_mode) || st.st_size > CONFIG_FILE_MAX)
		r = err_set(e, -EINVAL, "%s is not a configuration file", path);
	FILE *f = r == 0 ? fdopen(fd, "r") : NULL;
	if (r == 0 && !f)
		r = err_set(e, -ENOMEM, "out of memory reading %s", path);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret = f;
	return 0;
}

int config_load(const char *path, struct config *ret, struct err *e)
{
	static char *nothing[] = {NULL};
	struct config c;
	FILE *f = NULL;
	config_init(&c);
	int r = open_checked(path, &f, e);
	if (r < 0)
		return r;

	char **kept = environ;
	reading.config = &c;
	reading.n_seen = 0;
	reading.err = (struct err){0};
	environ = nothing;
	r = parse_stream(f, path);
	environ = kept;
	fclose(f);
	if (r < 0)
		return err_set(e, r, "%s", reading.err.text);
	*ret = c;
	return 0;
}
