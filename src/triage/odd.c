/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "triage/odd.h"

#include <string.h>

#include "base/table.h"
#include "wire/signs.h"

static const char *const shells[] = {"sh",      "bash", "dash", "zsh", "ksh",  "ksh93",
                                     "mksh",    "ash",  "fish", "csh", "tcsh", "rbash",
                                     "busybox", "pwsh", "yash", NULL};
static const char *const interpreters[] = {
    "python", "pypy",   "perl", "ruby", "php",  "node", "nodejs", "lua",   "luajit", "tclsh",
    "wish",   "expect", "awk",  "gawk", "mawk", "deno", "bun",    "guile", "java",   NULL};
static const char *const netcats[] = {
    "nc",     "ncat",    "netcat",  "nc.openbsd", "nc.traditional", "socat",     "cryptcat",
    "telnet", "openssl", "busybox", "chisel",     "gsocket",        "gs-netcat", "websocat",
    "pwncat", "rlwrap",  NULL};

bool odd_any(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(text, *list))
			return true;
	return false;
}

const char *odd_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool begins(const char *path, const char *with)
{
	return !strncmp(path, with, strlen(with));
}

static bool hidden(const char *path)
{
	return signs_hidden_path(cursor_of(path, strlen(path)));
}

static bool within(const char *path, const char *const *places)
{
	for (; *places; places++)
		if (begins(path, *places))
			return true;
	return false;
}

enum odd_place odd_place(const char *path)
{
	static const char *const shm[] = {"/dev/", "/run/shm/", NULL};
	static const char *const temp[] = {"/tmp/", "/var/tmp/", NULL};
	static const char *const states[] = {
	    "/var/lib/",  "/var/cache/",        "/opt/",      "/srv/", "/var/www/", "/var/opt/",
	    "/var/snap/", "/var/jenkins_home/", "/run/user/", NULL};
	/* A hidden name at a host's own root or in a system folder. */
	static const char *const system[] = {"/usr/", "/etc/", "/lib", "/bin/", "/sbin/", "/boot/",
	                                     "/run/", "/var/", "/.",   "/sys/", "/proc/", NULL};

	if (within(path, shm))
		return ODD_SHM;
	if (within(path, temp))
		return hidden(path) ? ODD_HIDDEN : ODD_TEMP;
	if (!hidden(path))
		return ODD_NO;
	if (within(path, states))
		return ODD_STATE;
	return within(path, system) ? ODD_HIDDEN : ODD_NO;
}

bool odd_path(const char *path)
{
	enum odd_place p = odd_place(path);

	return p == ODD_TEMP || p == ODD_SHM || p == ODD_HIDDEN;
}

bool odd_system_path(const char *path)
{
	static const char *const places[] = {"/usr/",   "/bin/",  "/sbin/",      "/lib/", "/lib64/",
	                                     "/lib32/", "/snap/", "/nix/store/", NULL};

	return within(path, places) && odd_place(path) == ODD_NO;
}

/* The name without a version: "python3.11" is "python". */
static bool named(const char *path, const char *const *list)
{
	const char *base = odd_base(path);
	size_t n = strlen(base);

	if (odd_any(base, list))
		return true;
	while (n && strchr("0123456789.-", base[n - 1]))
		n--;
	for (; n && *list; list++)
		if (strlen(*list) == n && !strncmp(base, *list, n))
			return true;
	return false;
}

bool odd_is_shell(const char *path)
{
	return named(path, shells);
}

bool odd_is_interpreter(const char *path)
{
	return named(path, interpreters);
}

bool odd_is_netcat(const char *path)
{
	return named(path, netcats);
}
