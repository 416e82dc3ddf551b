/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen_order.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/table.h"

#define WORDS_MAX 32

/* How CLI.md reads the exit codes. */
static const char *meaning(int code)
{
	static const char *const rows[] = {
	    [EXIT_DONE] = "done and verified",
	    [EXIT_FOUND] = "a verification does not hold: see stanch status",
	    [EXIT_USAGE] = "not understood; nothing was changed",
	    [EXIT_REFUSED] = "refused or declined; nothing was changed",
	    [EXIT_FAILED] = "failed; everything that was done has been undone",
	    [EXIT_PARTIAL] = "partial: see stanch status",
	    [EXIT_MISMATCH] = "the journal does not match its hashes",
	};

	return code >= 0 && code < (int)ARRAY_SIZE(rows) ? rows[code] : "did not run to its end";
}

static size_t split(char *words, char **argv, size_t n)
{
	char *save = NULL, *w = strtok_r(words, " ", &save);
	size_t k = 0;

	for (; w && k < n; w = strtok_r(NULL, " ", &save))
		argv[k++] = w;
	return k;
}

static void __attribute__((noreturn)) become(const struct ctx *c, char *words, int tty)
{
	static char self[] = "stanch", state[] = "--state", config[] = "--config",
	            incident[] = "--incident", path[512], id[INCIDENT_ID_MAX],
	            dir[CONFIG_STATE_MAX];
	char *argv[WORDS_MAX + 8] = {self, state, dir};
	size_t n = 3;

	snprintf(dir, sizeof(dir), "%s", c->state_dir);
	if (c->config_given && (size_t)snprintf(path, sizeof(path), "%s", c->config_path) < 512) {
		argv[n++] = config;
		argv[n++] = path;
	}
	if (c->incident) {
		snprintf(id, sizeof(id), "%s", c->incident);
		argv[n++] = incident;
		argv[n++] = id;
	}
	split(words, argv + n, WORDS_MAX);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	/* The question is read from the terminal, though a capture comes in by standard input. */
	if (dup2(tty, STDIN_FILENO) >= 0 && syscall(SYS_close_range, 3, ~0u, 0) == 0)
		execv("/proc/self/exe", argv);
	_exit(127);
}

int screen_order_start(struct screen_order *o, const struct ctx *c, const char *words, int tty,
                       struct err *e)
{
	char copy[sizeof(o->words)];

	*o = (struct screen_order){.step = ORDER_RUNS, .tty = tty, .code = -1};
	snprintf(o->words, sizeof(o->words), "%s", words);
	memcpy(copy, o->words, sizeof(copy));
	printf("\nstanch %s\n\n", o->words);
	fflush(stdout);
	o->pid = fork();
	if (!o->pid)
		become(c, copy, tty);
	if (o->pid > 0)
		return 0;
	o->step = ORDER_NONE;
	return err_set(e, -errno, "stanch %s could not be started: %s", words, strerror(errno));
}

/* A line has been typed; or nobody is there any more. */
static bool has_read(int tty)
{
	struct pollfd p = {.fd = tty, .events = POLLIN};
	char line[256];

	return poll(&p, 1, 0) > 0 && read(tty, line, sizeof(line)) >= 0;
}

enum order_step screen_order_step(struct screen_order *o)
{
	int status;

	if (o->step == ORDER_RUNS && waitpid(o->pid, &status, WNOHANG) == o->pid) {
		o->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		printf("\nstanch %s: %s\nEnter: back to the screen ", o->words, meaning(o->code));
		fflush(stdout);
		o->step = ORDER_READ;
	} else if (o->step == ORDER_READ && has_read(o->tty)) {
		o->step = ORDER_DONE;
	}
	return o->step;
}

void screen_order_finish(struct screen_order *o)
{
	while (o->step == ORDER_RUNS && waitpid(o->pid, NULL, 0) < 0 && errno == EINTR)
		;
	o->step = ORDER_NONE;
}

void screen_order_result(const struct screen_order *o, char *dst, size_t n)
{
	snprintf(dst, n, "%s: %s", o->words, meaning(o->code));
}
