// Holds very many network namespaces, each with a process and some connections in it: namespaces COUNT CONNECTIONS FIRST LAST
// makes COUNT of them with that port range, listens in each on a port outside of it, connects CONNECTIONS sockets to there, prints
// the numbers of the processes in one line, and ends when its standard input does. With the processes their namespaces end. The
// accepting ends wait in the queue of the listener, where they need no descriptor.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVER_PORT = 9000 };

static void die(const char *what)
{
    fprintf(stderr, "namespaces: cannot %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("open a socket");
    return fd;
}

static void furnish(const char *first, const char *last)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (unshare(CLONE_NEWNET) < 0) die("make a namespace");
    int fd = open_socket();
    if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0) die("bring lo up");
    close(fd);
    FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");
    if (range == NULL) die("open the port range");
    fprintf(range, "%s %s", first, last);
    if (fclose(range) != 0) die("set the port range");
}

static void hold(int connections)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(SERVER_PORT)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = open_socket();
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0) die("bind");
    if (listen(listener, connections) < 0) die("listen");
    for (int i = 0; i < connections; i++) {
        if (connect(open_socket(), (struct sockaddr *)&at, sizeof at) < 0) die("connect");
    }
}

/* A process that has failed has said why. */
static void end(int signal)
{
    (void)signal;
    _exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: namespaces COUNT CONNECTIONS FIRST LAST\n");
        return 2;
    }
    int count = atoi(argv[1]);
    int ready[2];
    if (pipe(ready) < 0) die("make a pipe");
    pid_t *children = calloc(count, sizeof *children);
    if (children == NULL) die("remember the processes");
    signal(SIGCHLD, end);
    for (int i = 0; i < count; i++) {
        children[i] = fork();
        if (children[i] < 0) die("fork");
        if (children[i] > 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        furnish(argv[3], argv[4]);
        hold(atoi(argv[2]));
        if (write(ready[1], "", 1) != 1) die("tell");
        for (;;) pause();
    }
    char byte;
    for (int held = 0; held < count; held++) {
        if (read(ready[0], &byte, 1) != 1) die("make all namespaces");
    }
    for (int i = 0; i < count; i++) printf("%d ", children[i]);
    printf("\n");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) continue;
    return 0;
}
