// A client that connects and reports how often the kernel had no port left for it.
//
//   client <file of the network namespace> <kind> <address> <port> <attempts>
//
// Kinds: tcp, mptcp, uring (io_uring, at once) and uring-async (io_uring, from a thread of the kernel's). An IPv6 address may
// be v4-mapped. Waits for a line on standard input, makes its attempts, prints `<without port> <connected> <other>`, keeps
// what it has connected, and ends with its input.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static void fail(const char *action) {
  perror(action);
  exit(1);
}

struct ring {
  int fd;
  unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
};

static struct ring open_ring(void) {
  struct io_uring_params p = {0};
  struct ring r;
  r.fd = syscall(__NR_io_uring_setup, 4, &p);
  if (r.fd < 0) fail("io_uring_setup");
  size_t sq_bytes = p.sq_off.array + p.sq_entries * sizeof(unsigned);
  size_t cq_bytes = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
  char *sq = mmap(0, sq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd, IORING_OFF_SQ_RING);
  char *cq = mmap(0, cq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd, IORING_OFF_CQ_RING);
  r.sqes = mmap(0, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd,
                IORING_OFF_SQES);
  if (sq == MAP_FAILED || cq == MAP_FAILED || r.sqes == MAP_FAILED) fail("mmap");
  r.sq_tail = (unsigned *)(sq + p.sq_off.tail);
  r.sq_mask = (unsigned *)(sq + p.sq_off.ring_mask);
  r.sq_array = (unsigned *)(sq + p.sq_off.array);
  r.cq_head = (unsigned *)(cq + p.cq_off.head);
  r.cq_tail = (unsigned *)(cq + p.cq_off.tail);
  r.cq_mask = (unsigned *)(cq + p.cq_off.ring_mask);
  r.cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
  return r;
}

static int connect_by_ring(struct ring *r, int fd, struct sockaddr *to, socklen_t length, int async) {
  unsigned tail = *r->sq_tail, index = tail & *r->sq_mask;
  struct io_uring_sqe *sqe = &r->sqes[index];
  memset(sqe, 0, sizeof *sqe);
  sqe->opcode = IORING_OP_CONNECT;
  sqe->flags = async ? IOSQE_ASYNC : 0;
  sqe->fd = fd;
  sqe->addr = (uintptr_t)to;
  sqe->off = length;
  r->sq_array[index] = index;
  __atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
  if (syscall(__NR_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) fail("io_uring_enter");
  unsigned head = *r->cq_head;
  if (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE)) fail("io_uring: no completion");
  int result = r->cqes[head & *r->cq_mask].res;
  __atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
  return result;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  const char *kind = argv[2], *address = argv[3];
  int port = atoi(argv[4]), attempts = atoi(argv[5]);
  int netns = open(argv[1], O_RDONLY);
  if (netns < 0 || setns(netns, CLONE_NEWNET) < 0) fail("setns");

  struct sockaddr_storage to = {0};
  socklen_t length;
  if (strchr(address, ':')) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(port);
    if (inet_pton(AF_INET6, address, &in6->sin6_addr) != 1) return 2;
    length = sizeof *in6;
  } else {
    struct sockaddr_in *in = (struct sockaddr_in *)&to;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    if (inet_pton(AF_INET, address, &in->sin_addr) != 1) return 2;
    length = sizeof *in;
  }
  int uring = strncmp(kind, "uring", 5) == 0, async = strcmp(kind, "uring-async") == 0;
  int protocol = strcmp(kind, "mptcp") == 0 ? IPPROTO_MPTCP : 0;
  struct ring ring;
  if (uring) ring = open_ring();

  char line[16];
  if (read(0, line, sizeof line) <= 0) return 0;
  int without_port = 0, connected = 0, other = 0;
  for (int i = 0; i < attempts; i++) {
    int fd = socket(to.ss_family, SOCK_STREAM, protocol);
    if (fd < 0) fail("socket");
    int error = uring ? -connect_by_ring(&ring, fd, (struct sockaddr *)&to, length, async)
                      : connect(fd, (struct sockaddr *)&to, length) < 0 ? errno : 0;
    if (error == EADDRNOTAVAIL) without_port++;
    else if (error == 0) connected++;
    else other++;
    if (error != 0) close(fd);
  }
  printf("%d %d %d\n", without_port, connected, other);
  fflush(stdout);
  while (read(0, line, sizeof line) > 0) {
  }
  return 0;
}
