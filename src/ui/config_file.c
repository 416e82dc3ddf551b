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
#define SECTION_FLAGS   (CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES)
#define KEYS_MAX        96 /* of one section, all drivers together */

extern char **environ;

/* libconfuse's callbacks carry no argument; one file is read at a time. */
static struct {
	struct config *config;
	const struct config_key *seen[KEYS_MAX]; /* keys with one value that have one */
	size_t n_seen;
	const struct driver_ops *const *drivers;
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
	if (r == 0)
		reading.config->line[k - config_keys] = (unsigned)cfg->line;
	*(const char **)result = value;
	if (r < 0)
		cfg_error(cfg, "%s: %s", cfg_opt_name(opt), why.text);
	return r < 0;
}

/* --- sections --- */

static const char *const section_names[] = {[SECTION_ASSET] = "asset", [SECTION_POINT] = "point"};

/* The row of any driver: which of them the point has is known only at its end. */
static const struct setting_key *point_key(const char *name)
{
	const struct setting_key *k = setting_key_find(point_keys, name);
	for (size_t i = 0; !k && reading.drivers[i]; i++)
		k = setting_key_find(reading.drivers[i]->settings, name);
	return k;
}

static int on_setting(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	enum section_kind kind =
	    strcmp(cfg_name(cfg), "asset") != 0 ? SECTION_POINT : SECTION_ASSET;
	const char *name = cfg_opt_name(opt);
	const struct setting_key *k =
	    kind == SECTION_ASSET ? setting_key_find(asset_keys, name) : point_key(name);
	struct err why = {0};
	struct inventory **inv = &reading.config->inventory;
	if (!*inv)
		*inv = calloc(1, sizeof **inv);
	int r = *inv && k
	            ? inventory_set(*inv, kind, cfg_title(cfg), (unsigned)cfg->line, k, value, &why)
	            : err_set(&why, -ENOMEM, "out of memory");
	*(const char **)result = value;
	if (r < 0)
		cfg_error(cfg, "%s \"%s\": %s: %s", cfg_name(cfg), cfg_title(cfg), name, why.text);
	return r < 0;
}

typedef int (*value_fn)(cfg_t *, cfg_opt_t *, const char *, void *);

static size_t add_opt(cfg_opt_t *opts, size_t n, const char *name, bool list, value_fn f)
{
	cfg_opt_t one = CFG_STR_CB("", NULL, CFGF_NODEFAULT, f);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(opts[i].name, name))
			return n;
	if (n >= KEYS_MAX)
		return n;
	one.name = name;
	if (list)
		one.flags = CFGF_LIST;
	opts[n] = one;
	return n + 1;
}

static size_t add_settings(cfg_opt_t *opts, size_t n, const struct setting_key *keys)
{
	for (; keys->name; keys++)
		n = add_opt(opts, n, keys->name, keys->list, on_setting);
	return n;
}

/* A driver's two points need not name the same keys; what does not belong to one's is told here. */
static int check_point(const struct section *s, unsigned *line, struct err *e)
{
	const char *name = section_get(s, "driver", 0);
	const struct driver_ops *d = NULL;
	for (size_t i = 0; name && !d && reading.drivers[i]; i++)
		if (!strcmp(reading.drivers[i]->name, name))
			d = reading.drivers[i];
	*line = s->line;
	if (name && !d)
		return err_set(e, -EINVAL, "\"%s\": there is no driver \"%.40s\" in this build",
		               s->name, name);
	return section_check(s, point_keys, d ? d->settings : NULL, line, e);
}

static int check_points_of(const struct asset *a, const struct inventory *inv, unsigned *line,
                           struct err *e)
{
	const char *name;
	for (size_t i = 0; (name = section_get(&a->s, "points", i)); i++)
		if (!inventory_point(inv, name)) {
			*line = a->s.line;
			return err_set(e, -EINVAL,
			               "\"%s\" names the point \"%.60s\", which is none", a->s.name,
			               name);
		}
	return 0;
}

static int check_inventory(const struct inventory *inv, const char *path)
{
	unsigned line = 0;
	struct err why = {0};
	int r = 0;
	for (size_t i = 0; inv && r == 0 && i < inv->n_points; i++)
		r = check_point(inv->points[i], &line, &why);
	for (size_t i = 0; inv && r == 0 && i < inv->n_assets; i++) {
		r = section_check(&inv->assets[i]->s, asset_keys, NULL, &line, &why);
		if (r == 0)
			r = check_points_of(inv->assets[i], inv, &line, &why);
	}
	return r < 0 ? err_set(&reading.err, r, "%s:%u: %s", path, line, why.text) : 0;
}

/* A section without a setting never came by. */
static void check_empty(cfg_t *cfg, const char *path)
{
	for (size_t i = 0; i < 2 && !reading.err.code; i++)
		for (unsigned k = 0; k < cfg_size(cfg, section_names[i]); k++) {
			cfg_t *s = cfg_getnsec(cfg, section_names[i], k);
			const struct inventory *inv = reading.config->inventory;
			const char *title = cfg_title(s);
			if (i == SECTION_ASSET ? inventory_asset(inv, title) != NULL
			                       : inventory_point(inv, title) != NULL)
				continue;
			err_set(&reading.err, -EINVAL, "%s:%d: %s \"%.60s\" says nothing", path,
			        s->line, section_names[i], title);
		}
}

static int parse_stream(FILE *f, const char *path)
{
	static const cfg_opt_t end = CFG_END();
	cfg_opt_t asset[KEYS_MAX + 1], point[KEYS_MAX + 1], opts[KEYS_MAX + 1];
	size_t n = add_settings(asset, 0, asset_keys);
	asset[n] = end;
	n = add_settings(point, 0, point_keys);
	for (size_t i = 0; reading.drivers[i]; i++)
		n = add_settings(point, n, reading.drivers[i]->settings);
	point[n] = end;
	n = 0;
	for (const struct config_key *k = config_keys; k->name; k++)
		n = add_opt(opts, n, k->name, k->type == CONFIG_LIST, on_value);
	opts[n++] = (cfg_opt_t)CFG_SEC(section_names[SECTION_ASSET], asset, SECTION_FLAGS);
	opts[n++] = (cfg_opt_t)CFG_SEC(section_names[SECTION_POINT], point, SECTION_FLAGS);
	opts[n] = end;

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
	if (!reading.err.code)
		check_empty(cfg, path);
	cfg_free(cfg);
	return reading.err.code ? reading.err.code
	                        : check_inventory(reading.config->inventory, path);
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

int config_load(const char *path, const struct driver_ops *const *drivers, struct config *ret,
                struct err *e)
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
	reading.drivers = drivers;
	reading.err = (struct err){0};
	environ = nothing;
	r = parse_stream(f, path);
	environ = kept;
	fclose(f);
	reading.config = NULL;
	if (r < 0) {
		config_free(&c);
		return err_set(e, r, "%s", reading.err.text);
	}
	*ret = c;
	return 0;
}
