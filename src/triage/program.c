/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "triage/program.h"

#include <stdio.h>
#include <string.h>

#include "base/table.h"
#include "triage/odd.h"

/* Options of interpreters: letters behind which code follows, and those that take a value. */
static const struct {
	const char *name, *code, *value;
} ways[] = {
    {"python", "c", "WXm"}, {"pypy", "c", "WXm"}, {"perl", "eE", "MmIFxC"}, {"ruby", "e", "rIKCFE"},
    {"php", "r", "dcfzn"},  {"node", "ep", "r"},  {"nodejs", "ep", "r"},    {"lua", "e", "l"},
    {"luajit", "e", "l"},   {"tclsh", "", ""},    {"expect", "c", "f"},
};

static bool is_awk(const char *base)
{
	return strlen(base) >= 3 && !strcmp(base + strlen(base) - 3, "awk");
}

static void letters_of(const struct proc_row *r, bool shell, const char **code, const char **value)
{
	const char *base = odd_base(r->exe);

	*code = "c";
	*value = shell ? "oO" : "";
	for (size_t i = 0; i < ARRAY_SIZE(ways) && !shell; i++)
		if (!strncmp(base, ways[i].name, strlen(ways[i].name))) {
			*code = ways[i].code;
			*value = ways[i].value;
		}
}

/* A cluster of short options: what it says of the code. */
static bool cluster_has_code(const char *arg, const char *code, const char *value)
{
	for (arg++; *arg; arg++) {
		if (strchr(code, *arg))
			return true;
		if (strchr(value, *arg))
			return false;
	}
	return false;
}

static bool long_takes_value(const char *arg)
{
	static const char *const options[] = {"--rcfile", "--init-file", "--require", NULL};

	return odd_any(arg, options);
}

static void set_script(struct program *p, const char *path)
{
	p->way = WAY_SCRIPT;
	p->script = path;
	p->odd_script = odd_path(path);
}

static bool has_value(const char *arg, const char *value)
{
	return long_takes_value(arg) ||
	       (arg[1] && arg[1] != '-' && !arg[2] && strchr(value, arg[1]));
}

/* One option: true when it ends the search. */
static bool on_option(struct program *p, const struct proc_row *r, size_t *i, const char *arg,
                      const char *code, const char *value)
{
	const char *next = procs_arg(r, *i + 1);
	bool cluster = arg[1] != '-';

	if (!strncmp(arg, "--eval", 6) || (cluster && cluster_has_code(arg, code, value))) {
		p->way = WAY_INLINE;
		p->code = next;
		return true;
	}
	/* python -m MODULE */
	if (!p->shell && !strcmp(arg, "-m") && strchr(value, 'm')) {
		set_script(p, next ? next : "");
		return true;
	}
	/* -i, -s: commands come by standard input whatever follows. */
	if (p->shell && cluster && strpbrk(arg, "is") && !strchr(arg, 'o'))
		return true;
	*i += has_value(arg, value);
	return false;
}

static void read_way(struct program *p, const struct proc_row *r)
{
	const char *code, *value, *arg;
	size_t i = 1;

	letters_of(r, p->shell, &code, &value);
	/* busybox sh … */
	if (!strcmp(odd_base(r->exe), "busybox") && (arg = procs_arg(r, 0)) &&
	    !strcmp(odd_base(arg), "busybox"))
		i = 2;
	p->way = WAY_BARE;
	for (; (arg = procs_arg(r, i)); i++) {
		if (*arg == '-' && arg[1] && on_option(p, r, &i, arg, code, value))
			return;
		if (*arg != '-' && is_awk(odd_base(r->exe))) {
			p->way = strstr(arg, "/inet") ? WAY_INLINE : WAY_SCRIPT;
			p->code = p->way == WAY_INLINE ? arg : NULL;
			return;
		}
		if (*arg != '-' && *arg) {
			set_script(p, arg);
			return;
		}
	}
}

/* busybox is what its name says that it is. */
static const char *called(const struct proc_row *r)
{
	const char *arg = procs_arg(r, 0), *second = procs_arg(r, 1);

	if (strcmp(odd_base(r->exe), "busybox") != 0 || !arg)
		return r->exe;
	if (!strcmp(odd_base(arg), "busybox") && second)
		return second;
	return arg + (*arg == '-');
}

/* A service that writes a title of its own over its arguments ("gunicorn: master") runs a script,
 * though nobody can tell which. */
static bool titled(const struct proc_row *r)
{
	const char *arg = procs_arg(r, 0), *base = odd_base(r->exe);

	return arg && strncmp(odd_base(arg), base, strlen(base) < 3 ? strlen(base) : 3) != 0;
}

struct program program_of(const struct proc_row *r)
{
	struct program p = {0};
	const char *name = called(r);

	if (!r->exe[0])
		return p;
	p.shell = odd_is_shell(name);
	p.interpreter = !p.shell && odd_is_interpreter(name);
	p.netcat = odd_is_netcat(name);
	p.odd = r->exe_memfd || odd_path(r->exe);
	p.system = odd_system_path(r->exe) && !r->exe_memfd;
	if (p.shell || p.interpreter)
		read_way(&p, r);
	if (p.interpreter && p.way == WAY_BARE && titled(r))
		p.way = WAY_SCRIPT;
	return p;
}

unsigned program_socket_words(const char *text, char *ret, size_t n)
{
	/* One of each row counts. */
	static const char *const words[][16] = {
	    {"/dev/tcp/", "/dev/udp/", "socket.socket", "import socket", "IO::Socket", "TCPSocket",
	     "fsockopen", "/inet/", "net.connect", "net.Socket", "require('net')", "socket(S",
	     "create_connection", "connect("},
	    {"pty.spawn", "subprocess", "/bin/sh", "/bin/bash", "exec(", "proc_open", "bash -i",
	     "sh -i", "child_process", "os.system", "popen("},
	    {"0>&1", "<&1", ">&0", "0<&", "os.dup2", "STDIN", "fileno()", "$stdin", ">&S"},
	    {"b64decode", "base64 -d", "base64_decode", "decode64", "eval(", "fromhex",
	     "MIME::Base64", "unpack("},
	};
	unsigned found = 0;

	ret[0] = 0;
	for (size_t row = 0; row < ARRAY_SIZE(words); row++)
		for (size_t i = 0; i < ARRAY_SIZE(words[0]) && words[row][i]; i++)
			if (strstr(text, words[row][i])) {
				size_t len = strlen(ret);
				snprintf(ret + len, n - len, "%s%s", found ? ", " : "",
				         words[row][i]);
				found++;
				break;
			}
	return found;
}
