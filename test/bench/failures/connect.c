// What connect() and close() cost: in a network namespace of its own, to a server in a child process.
//
//   connect <count>
//
// Prints the client's CPU time and the wall time of one connection, in nanoseconds.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *action) {
  perror(action);
  exit(1);
}

static double wall(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static double cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv) {
  int count = argc > 1 ? atoi(argv[1]) : 0;
  if (count <= 0) return 2;
  if (unshare(CLONE_NEWNET) < 0) fail("unshare");
  int control = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq lo = {0};
  strcpy(lo.ifr_name, "lo");
  lo.ifr_flags = IFF_UP;
  if (ioctl(control, SIOCSIFFLAGS, &lo) < 0) fail("bring lo up");

  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8001)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&to, sizeof to) < 0 || listen(listener, 4096) < 0) fail("listen");
  pid_t server = fork();
  if (server == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) close(accept(listener, NULL, NULL));
  }
  close(listener);

  // Reset, so that no TIME_WAIT is left that would make the next search for a port longer.
  struct linger reset = {1, 0};
  double cpu_before = cpu(), wall_before = wall();
  for (int i = 0; i < count; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
  }
  double cpu_ns = (cpu() - cpu_before) / count, wall_ns = (wall() - wall_before) / count;
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  printf("%.0f %.0f\n", cpu_ns, wall_ns);
  return 0;
}
