/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Processes that live for one packet or one short connection, and who they were.
 *
 *   crowd serve PORT WORKERS        takes datagrams and connections; prefork, each worker accepts
 *   crowd spawn N KIND UID PORT ADDR EXE…   N processes, uid UID + i % 7, i % n-th EXE, then their
 * log crowd one udp|tcp PORT ADDR     what each of them is: an EXE is a copy of this program
 *
 *   crowd flood N udp|tcp PORT ADDR FROM   N packets (TCP: SYN), each from another address and
 * port: FROM and those after it, IPv4
 *
 *   crowd blast MSEC PORT ADDR SIZE        datagrams of SIZE bytes as fast as one process can
 *
 * Lines on standard output: "spawned PID UID EXE"; "datagram ADDR SPORT PID"; "accepted ADDR SPORT
 * PID WORKER", where PID is what the sender said of itself. "ready" when `serve` listens; SIGTERM
 * ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 32
#define UIDS    7

struct hello {
	int pid;
};

static int die(const char *what)
{
	perror(what);
	exit(1);
}

static socklen_t address(const char *text, int port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
		die(text);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	return sizeof(*v6);
}

static int one(const char *kind, int port, const char *to)
{
	struct hello hello = {getpid()};
	struct sockaddr_storage a;
	socklen_t n = address(to, port, &a);
	int tcp = !strcmp(kind, "tcp");
	int fd = socket(a.ss_family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);

	if (fd < 0)
		die("socket");
	if (!tcp)
		return sendto(fd, &hello, sizeof(hello), 0, (struct sockaddr *)&a, n) !=
		       sizeof(hello);
	if (connect(fd, (struct sockaddr *)&a, n) < 0)
		die("connect");
	if (write(fd, &hello, sizeof(hello)) != sizeof(hello))
		die("write");
	shutdown(fd, SHUT_WR);
	return read(fd, &hello, sizeof(hello)) != sizeof(hello);
}

static void reap(int *running)
{
	int status;

	if (waitpid(-1, &status, 0) < 0)
		die("waitpid");
	if (status)
		fprintf(stderr, "a child failed: %x\n", (unsigned)status);
	--*running;
}

static int spawn(int argc, char **argv)
{
	int n = atoi(argv[2]), uid = atoi(argv[4]), running = 0;
	char **exe = argv + 7;
	int exes = argc - 7;

	for (int i = 0; i < n; i++) {
		pid_t pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0) {
			if (setgid((gid_t)(uid + i % UIDS)) || setuid((uid_t)(uid + i % UIDS)))
				die("setuid");
			execl(exe[i % exes], exe[i % exes], "one", argv[3], argv[5], argv[6], NULL);
			die("exec");
		}
		printf("spawned %d %d %s\n", pid, uid + i % UIDS, exe[i % exes]);
		if (++running == AT_ONCE)
			reap(&running);
	}
	while (running)
		reap(&running);
	return 0;
}

static int open_any(int type, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	int fd = socket(AF_INET6, type, 0), room = 4 << 20;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("bind");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (type == SOCK_STREAM && listen(fd, 4096) < 0)
		die("listen");
	return fd;
}

static void say(const char *what, const struct sockaddr_in6 *from, int pid, int more)
{
	char text[INET6_ADDRSTRLEN], line[128];
	int n;

	inet_ntop(AF_INET6, &from->sin6_addr, text, sizeof(text));
	n = snprintf(line, sizeof(line), "%s %s %d %d %d\n", what,
	             strncmp(text, "::ffff:", 7) ? text : text + 7, ntohs(from->sin6_port), pid,
	             more);
	if (write(STDOUT_FILENO, line, (size_t)n) != n) /* whole lines: many processes write */
		exit(1);
}

static void take_datagrams(int fd)
{
	for (;;) {
		struct hello hello = {0};
		struct sockaddr_in6 from;
		socklen_t n = sizeof(from);
		if (recvfrom(fd, &hello, sizeof(hello), 0, (struct sockaddr *)&from, &n) < 0)
			die("recvfrom");
		say("datagram", &from, hello.pid, getpid());
	}
}

static void take_connections(int fd)
{
	for (;;) {
		struct hello hello = {0}, mine = {getpid()};
		struct sockaddr_in6 from;
		socklen_t n = sizeof(from);
		int c = accept(fd, (struct sockaddr *)&from, &n);
		if (c < 0)
			die("accept");
		if (read(c, &hello, sizeof(hello)) == sizeof(hello) &&
		    write(c, &mine, sizeof(mine)) == sizeof(mine))
			say("accepted", &from, hello.pid, getpid());
		close(c);
	}
}

static void serve(int port, int workers)
{
	int udp = open_any(SOCK_DGRAM, port), tcp = open_any(SOCK_STREAM, port);

	for (int i = 0; i <= workers; i++) {
		pid_t pid = fork();
		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (i == workers)
			take_datagrams(udp);
		take_connections(tcp);
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

struct spoofed {
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct udphdr udp;
	};
};

/* RFC 1071, over the pseudo-header and a TCP header. */
static uint16_t tcp_sum(const struct spoofed *p)
{
	struct {
		uint32_t from, to;
		uint16_t proto, len;
		struct tcphdr tcp;
	} all = {p->ip.saddr, p->ip.daddr, htons(IPPROTO_TCP), htons(sizeof(p->tcp)), p->tcp};
	uint16_t words[sizeof(all) / 2];
	uint32_t sum = 0;

	memcpy(words, &all, sizeof(all));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static int flood(unsigned n, const char *kind, int port, const char *to, const char *from)
{
	int tcp = !strcmp(kind, "tcp"), fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	size_t len = sizeof(struct iphdr) + (tcp ? sizeof(struct tcphdr) : sizeof(struct udphdr));
	struct sockaddr_storage a, first;
	socklen_t size = address(to, port, &a);
	unsigned failed = 0;

	address(from, 0, &first);
	if (fd < 0)
		die("socket");
	for (unsigned i = 0; i < n; i++) {
		struct spoofed p = {.ip = {.version = 4, .ihl = 5, .ttl = 64}};
		p.ip.protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
		p.ip.saddr = htonl(ntohl(((struct sockaddr_in *)&first)->sin_addr.s_addr) + i);
		p.ip.daddr = ((struct sockaddr_in *)&a)->sin_addr.s_addr;
		if (tcp) {
			p.tcp.source = htons((uint16_t)(1024 + i % 60000));
			p.tcp.dest = htons((uint16_t)port);
			p.tcp.doff = 5;
			p.tcp.syn = 1;
			p.tcp.seq = i;
			p.tcp.check = tcp_sum(&p);
		} else {
			p.udp.source = htons((uint16_t)(1024 + i % 60000));
			p.udp.dest = htons((uint16_t)port);
			p.udp.len = htons(sizeof(p.udp));
		}
		failed += sendto(fd, &p, len, 0, (struct sockaddr *)&a, size) < 0;
	}
	return failed > n / 10;
}

static int blast(int msec, int port, const char *to, size_t size)
{
	char bytes[65536] = {0};
	struct sockaddr_storage a;
	socklen_t n = address(to, port, &a);
	int fd = socket(a.ss_family, SOCK_DGRAM, 0);
	struct timespec begin, now;

	if (fd < 0 || size > sizeof(bytes) || connect(fd, (struct sockaddr *)&a, n) < 0)
		die("connect");
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		for (int i = 0; i < 200; i++)
			send(fd, bytes, size, 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 <
	         msec);
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "one") && argc == 5)
		return one(argv[2], atoi(argv[3]), argv[4]);
	if (!strcmp(verb, "spawn") && argc >= 8)
		return spawn(argc, argv);
	if (!strcmp(verb, "flood") && argc == 7)
		return flood((unsigned)atoi(argv[2]), argv[3], atoi(argv[4]), argv[5], argv[6]);
	if (!strcmp(verb, "blast") && argc == 6)
		return blast(atoi(argv[2]), atoi(argv[3]), argv[4], (size_t)atoi(argv[5]));
	if (!strcmp(verb, "serve") && argc == 4)
		serve(atoi(argv[2]), atoi(argv[3]));
	fprintf(stderr, "usage: see the head of crowd.c\n");
	return 2;
}
