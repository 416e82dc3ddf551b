/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The agent in the guest: runs programs for the host over a virtio-serial port, any number side by
 * side, with their standard streams. Files travel as the streams of `cat`.
 *
 * Both ways the port carries messages: a header of three little-endian 32-bit numbers (job, kind,
 * size), then size bytes. The host picks the job's number.
 *
 *   to the guest                              to the host
 *   HELLO                                     HELLO
 *   EXEC    argv, each ended by a NUL         OUT, ERR  what the program wrote
 *   IN      bytes for its standard input      TAKEN  how many bytes of IN the program took (u32)
 *   IN_END                                    EXIT   its wait status (i32); the job's last message
 *   KILL    a signal for its process group (u32)
 *
 * At most IN_MAX bytes of IN may be under way (sent and not yet TAKEN): so all memory is bounded
 * and a program that does not read stops nobody else. EXIT follows the program's own end, not the
 * end of its pipes, which what it left in the background may hold for ever.
 *
 * Invariants: a slot of `jobs` is in use while pid != 0; a descriptor that is closed is -1.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PORT     "/dev/vport0p1"
#define JOBS_MAX 64
#define ARGS_MAX 256
#define IN_MAX   65536
#define BODY_MAX 131072

enum kind { HELLO, EXEC, IN, IN_END, KILL, OUT, ERR, TAKEN, EXIT };
enum { PIPE_IN, PIPE_OUT, PIPE_ERR, PIPES };

struct head {
	uint32_t job, kind, size;
};

struct job {
	pid_t pid;
	uint32_t id;
	int fd[PIPES];
	bool in_ended;
	size_t in_from, in_to;
	uint8_t in[IN_MAX];
};

static struct job jobs[JOBS_MAX];
static int port = -1;

/* -- the port ------------------------------------------------------------------------------- */

static void wait_port(short events)
{
	struct pollfd p = {.fd = port, .events = events};
	poll(&p, 1, -1);
	/* Nobody is at the other end: the port is always ready, and says nothing. */
	if (p.revents & POLLHUP)
		usleep(10000);
}

static void put_all(const void *data, size_t n)
{
	const uint8_t *p = data;
	while (n) {
		ssize_t k = write(port, p, n);
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		} else {
			wait_port(POLLOUT);
		}
	}
}

static void get_all(void *data, size_t n)
{
	uint8_t *p = data;
	while (n) {
		ssize_t k = read(port, p, n);
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		} else {
			wait_port(POLLIN);
		}
	}
}

static void tell(uint32_t id, enum kind kind, const void *body, size_t n)
{
	struct head h = {htole32(id), htole32(kind), htole32((uint32_t)n)};
	put_all(&h, sizeof h);
	put_all(body, n);
}

static void tell_number(uint32_t id, enum kind kind, uint32_t number)
{
	number = htole32(number);
	tell(id, kind, &number, sizeof number);
}

static uint32_t number_in(const uint8_t *body, size_t n)
{
	uint32_t v = 0;
	if (n == sizeof v)
		memcpy(&v, body, n);
	return le32toh(v);
}

/* -- jobs ----------------------------------------------------------------------------------- */

static struct job *job_of(uint32_t id)
{
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (jobs[i].pid && jobs[i].id == id)
			return &jobs[i];
	return NULL;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Passes on what a pipe of the job holds; false when there is no more now. */
static bool pass_out(struct job *j, int which)
{
	static uint8_t buf[BODY_MAX];
	ssize_t k = read(j->fd[which], buf, sizeof buf);
	if (k > 0)
		tell(j->id, which == PIPE_OUT ? OUT : ERR, buf, (size_t)k);
	else if (k == 0 || errno != EAGAIN)
		shut(&j->fd[which]);
	return k > 0;
}

static void pass_in(struct job *j)
{
	size_t left = j->in_to - j->in_from;
	ssize_t k = left ? write(j->fd[PIPE_IN], j->in + j->in_from, left) : 0;
	if (k < 0 && errno == EAGAIN)
		return;
	if (k < 0)
		k = (ssize_t)left; /* nobody reads: all of it is taken, and lost, as in a shell */
	j->in_from += (size_t)k;
	if (k)
		tell_number(j->id, TAKEN, (uint32_t)k);
	if (j->in_from == j->in_to) {
		j->in_from = j->in_to = 0;
		if (j->in_ended)
			shut(&j->fd[PIPE_IN]);
	}
}

static void shut_all(int fd[PIPES])
{
	for (int which = 0; which < PIPES; which++)
		shut(&fd[which]);
}

static void end_job(struct job *j, int status)
{
	for (int which = PIPE_OUT; which < PIPES; which++)
		while (j->fd[which] >= 0 && pass_out(j, which))
			;
	shut_all(j->fd);
	tell_number(j->id, EXIT, (uint32_t)status);
	j->pid = 0;
}

static void reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < JOBS_MAX; i++)
			if (jobs[i].pid == pid)
				end_job(&jobs[i], status);
}

__attribute__((noreturn)) static void become(char **argv, int ends[PIPES])
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	for (int which = 0; which < PIPES; which++)
		dup2(ends[which], which);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void no_job(uint32_t id, const char *why)
{
	tell(id, ERR, why, strlen(why));
	tell_number(id, EXIT, 126 << 8);
}

/* The program's ends, and ours, which never make us wait. */
static int open_pipes(int ours[PIPES], int ends[PIPES])
{
	for (int which = 0; which < PIPES; which++) {
		int p[2], writes = which == PIPE_IN;
		if (pipe2(p, O_CLOEXEC)) {
			shut_all(ours);
			shut_all(ends);
			return -1;
		}
		ours[which] = p[writes];
		ends[which] = p[!writes];
		fcntl(ours[which], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static void start_job(uint32_t id, char *body, size_t n)
{
	char *argv[ARGS_MAX + 1] = {NULL};
	size_t args = 0;
	struct job *j = jobs;
	while (j < jobs + JOBS_MAX && j->pid)
		j++;
	if (j == jobs + JOBS_MAX)
		return no_job(id, "the agent runs as many jobs as it can\n");
	for (size_t at = 0; at < n && args < ARGS_MAX; at += strlen(body + at) + 1)
		argv[args++] = body + at;
	if (!args || body[n - 1])
		return no_job(id, "no command\n");

	int ends[PIPES] = {-1, -1, -1};
	if (open_pipes(j->fd, ends))
		return no_job(id, "no pipe\n");
	j->id = id;
	j->in_ended = false;
	j->in_from = j->in_to = 0;
	j->pid = fork();
	if (!j->pid)
		become(argv, ends);
	shut_all(ends);
	if (j->pid < 0) {
		j->pid = 0;
		shut_all(j->fd);
		no_job(id, "no process\n");
	}
}

static void feed(struct job *j, const uint8_t *body, size_t n)
{
	if (j->fd[PIPE_IN] < 0) {
		tell_number(j->id, TAKEN, (uint32_t)n);
		return;
	}
	if (j->in_from) {
		memmove(j->in, j->in + j->in_from, j->in_to - j->in_from);
		j->in_to -= j->in_from;
		j->in_from = 0;
	}
	if (n > IN_MAX - j->in_to) /* the host broke its word; what follows would be garbage */
		_exit(3);
	memcpy(j->in + j->in_to, body, n);
	j->in_to += n;
	pass_in(j);
}

/* -- messages ------------------------------------------------------------------------------- */

static void take_message(void)
{
	static uint8_t body[BODY_MAX];
	struct head h;
	get_all(&h, sizeof h);
	uint32_t id = le32toh(h.job), n = le32toh(h.size);
	if (n > sizeof body)
		_exit(3);
	get_all(body, n);
	struct job *j = job_of(id);
	switch ((enum kind)le32toh(h.kind)) {
	case HELLO:
		tell(0, HELLO, NULL, 0);
		break;
	case EXEC:
		start_job(id, (char *)body, n);
		break;
	case IN:
		if (j)
			feed(j, body, n);
		break;
	case IN_END:
		if (j) {
			j->in_ended = true;
			if (j->fd[PIPE_IN] >= 0)
				pass_in(j);
		}
		break;
	case KILL:
		if (j)
			kill(-j->pid, (int)number_in(body, n));
		break;
	default:
		break; /* the host's late word about a job that has ended */
	}
}

static void open_port(void)
{
	struct termios raw;
	while ((port = open(PORT, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) < 0)
		usleep(10000);
	if (!tcgetattr(port, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(port, TCSANOW, &raw);
	}
}

/* Fills p[] with what to wait for, who[] with whose it is; how many. */
static nfds_t what_to_wait_for(struct pollfd *p, struct job **who)
{
	nfds_t n = 0;
	for (size_t i = 0; i < JOBS_MAX; i++) {
		struct job *j = &jobs[i];
		for (int which = 0; j->pid && which < PIPES; which++) {
			if (j->fd[which] < 0 || (which == PIPE_IN && j->in_from == j->in_to))
				continue;
			who[n] = j;
			p[n++] =
			    (struct pollfd){j->fd[which], which == PIPE_IN ? POLLOUT : POLLIN, 0};
		}
	}
	return n;
}

static void serve(struct job *j, const struct pollfd *p)
{
	if (!p->revents || !j->pid)
		return;
	if (p->fd == j->fd[PIPE_IN])
		pass_in(j);
	for (int which = PIPE_OUT; which < PIPES; which++)
		if (p->fd == j->fd[which])
			pass_out(j, which);
}

int main(void)
{
	static struct pollfd p[2 + JOBS_MAX * PIPES];
	static struct job *who[2 + JOBS_MAX * PIPES];
	sigset_t child;

	for (size_t i = 0; i < JOBS_MAX; i++)
		for (int which = 0; which < PIPES; which++)
			jobs[i].fd[which] = -1;

	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("LANG", "C.UTF-8", 1);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	int children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	open_port();
	for (;;) {
		p[0] = (struct pollfd){port, POLLIN, 0};
		p[1] = (struct pollfd){children, POLLIN, 0};
		nfds_t n = 2 + what_to_wait_for(p + 2, who + 2);
		poll(p, n, -1);
		for (nfds_t i = 2; i < n; i++)
			serve(who[i], &p[i]);
		if (p[1].revents) {
			struct signalfd_siginfo gone;
			while (read(children, &gone, sizeof gone) > 0)
				;
			reap();
		}
		if (p[0].revents & POLLIN)
			take_message();
		else if (p[0].revents & POLLHUP)
			usleep(10000);
	}
}
