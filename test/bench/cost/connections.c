// Holds very many connections, as cheaply as can be: connections FIRST_PORT SERVERS DESTINATIONS COUNT
// listens on SERVERS ports of all addresses of 127.0.0.0/8, connects COUNT sockets to DESTINATIONS pairs of address and port in
// turn, prints "held" and a newline, and ends when its standard input does. The accepting ends wait in the queues of the
// listeners, where they need no descriptor. A process may not have as many descriptors as there are clients: it makes others.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PER_PROCESS = 15000, BACKLOG = 1 << 20 };

static void die(const char *what)
{
    fprintf(stderr, "connections: cannot %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("open a socket");
    return fd;
}

static struct sockaddr_in name(uint32_t address, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(address);
    return at;
}

static void hold(int first_port, int servers, int destinations, int from, int to)
{
    for (int i = from; i < to; i++) {
        int destination = i % destinations;
        struct sockaddr_in at = name(0x7f010001 + destination / servers, first_port + destination % servers);
        if (connect(open_socket(), (struct sockaddr *)&at, sizeof at) < 0) die("connect");
    }
}

static void listen_on(int first_port, int servers)
{
    for (int i = 0; i < servers; i++) {
        struct sockaddr_in at = name(INADDR_ANY, first_port + i);
        int fd = open_socket();
        if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) die("bind");
        if (listen(fd, BACKLOG) < 0) die("listen");
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: connections FIRST_PORT SERVERS DESTINATIONS COUNT\n");
        return 2;
    }
    int first_port = atoi(argv[1]), servers = atoi(argv[2]), destinations = atoi(argv[3]);
    int count = atoi(argv[4]);
    int ready[2];
    if (pipe(ready) < 0) die("make a pipe");
    listen_on(first_port, servers);
    int processes = 0;
    for (int from = 0; from < count; from += PER_PROCESS, processes++) {
        int to = from + PER_PROCESS < count ? from + PER_PROCESS : count;
        pid_t child = fork();
        if (child < 0) die("fork");
        if (child > 0) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        hold(first_port, servers, destinations, from, to);
        if (write(ready[1], "", 1) != 1) die("tell");
        for (;;) pause();
    }
    close(ready[1]);
    char byte;
    for (int held = 0; held < processes; held++) {
        if (read(ready[0], &byte, 1) != 1) die("open all connections");
    }
    printf("held\n");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) continue;
    return 0;
}
