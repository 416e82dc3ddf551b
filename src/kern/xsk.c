/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/xsk.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/sys.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

#define CHUNK 2048
#define AREA  4096

static int set(int fd, int name, const void *v, socklen_t n)
{
	return sys->setsockopt(fd, SOL_XDP, name, v, n) < 0 ? -errno : 0;
}

/* The least that the kernel binds: an area of two frames, and rings of two. It keeps the area's
 * pages after the mapping has gone. */
static int furnish(int fd)
{
	static const int rings[] = {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING};
	const int two = 2;
	void *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	const struct xdp_umem_reg reg = {.addr = (uintptr_t)area, .len = AREA, .chunk_size = CHUNK};
	int r = set(fd, XDP_UMEM_REG, &reg, sizeof reg);
	munmap(area, AREA);
	for (size_t i = 0; r == 0 && i < sizeof rings / sizeof rings[0]; i++)
		r = set(fd, rings[i], &two, sizeof two);
	return r;
}

int xsk_hold(int ifindex, uint32_t queue, int *ret, struct err *e)
{
	const struct sockaddr_xdp at = {.sxdp_family = AF_XDP,
	                                .sxdp_flags = XDP_COPY,
	                                .sxdp_ifindex = (uint32_t)ifindex,
	                                .sxdp_queue_id = queue};
	int fd = sys->socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, -errno, "making an AF_XDP socket: %s", strerror(errno));
	int r = furnish(fd);
	if (r == 0 && sys->bind(fd, (const struct sockaddr *)&at, sizeof at) < 0)
		r = errno == EINVAL ? -ENXIO : -errno;
	if (r < 0) {
		sys->close(fd);
		return err_set(e, r, "binding an AF_XDP socket to queue %u of device %d: %s", queue,
		               ifindex, strerror(-r));
	}
	*ret = fd;
	return 0;
}
