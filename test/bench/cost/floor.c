/*
 * The floor: what it costs to be told by the kernel which sockets hold a port of the range and who chose it.
 * Six dumps over NETLINK_SOCK_DIAG, the fewest that carry that: TCP (v4 and v6 in one walk), UDP v4 and UDP v6, each once
 * for the ports the kernel chose and once for those the application chose. Of the answers it looks at message headers only.
 *
 *   floor FIRST LAST [idle-once] [files] [NAMESPACE...]
 *       one line in -> six dumps -> "<rows> <CPU microseconds> <wall microseconds>" out, until the end of the input
 *
 * With files of further namespaces, such as /proc/<pid>/ns/net, it makes its six dumps in each of them too. It opens each
 * file anew for each sample, since an open one would keep the namespace alive.
 *
 * With `idle-once` it asks for idle sockets once, nearly as the exporter does, which asks for listeners apart: the first dump
 * of TCP lists all sockets that listen or are only bound, so that the second leaves them out.
 *
 * With `files` it also reads, once in each namespace, the files of settings and counts without which nobody can say how many
 * ports are left. It looks at nothing in them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DIAG_TCP 18         /* TCPDIAG_GETSOCK: answers for both families in one walk */
#define ALL_STATES 0x3ffe   /* bits 1 to 13: bound-idle sockets too */
#define IDLE_STATES 0x2400  /* bits 10 and 13: listening, bound-idle */
#define TIME_WAIT 0x0040    /* the kernel tells of none that the application chose its port */
#define BC_JMP 1
#define BC_S_GE 2
#define BC_S_LE 3
#define BC_D_LE 5
#define BC_AUTO 6           /* the kernel chose the port */

static char datagram[64 * 1024];
static int idle_once, with_files;

/* What src/sources/netlink.ts, src/kernel/sysctl.ts and src/worker/ read of a busy namespace in each sample. */
static const char *const files[] = {
    "/proc/thread-self/net/sockstat",
    "/proc/thread-self/net/sockstat6",
    "/proc/thread-self/net/stat/nf_conntrack",
    "/proc/thread-self/net/snmp",
    "/proc/thread-self/net/netstat",
    "/proc/sys/net/ipv4/ip_local_port_range",
    "/proc/sys/net/ipv4/ip_local_reserved_ports",
    "/proc/sys/net/ipv4/ip_local_port_step_width",
    "/proc/sys/net/ipv4/ip_autobind_reuse",
    "/proc/sys/net/ipv4/tcp_tw_reuse",
    "/proc/sys/net/ipv4/tcp_tw_reuse_delay",
    "/proc/sys/net/ipv4/tcp_timestamps",
    "/proc/sys/net/ipv4/tcp_max_tw_buckets",
};

static void die(const char *action)
{
    fprintf(stderr, "floor: cannot %s: %s\n", action, strerror(errno));
    exit(1);
}

struct request {
    struct nlmsghdr header;
    char rest[128]; /* the question, then the filter as an attribute */
};

/*
 * "first <= local port <= last, chosen by the kernel" or the opposite. A condition that fails jumps beyond the end of the
 * whole program, which rejects; the opposite of AUTO is a jump that AUTO, when it holds, does not skip. With `idle` that
 * opposite, or no remote port.
 */
static int put_filter(char *at, int first, int last, int explicit, int idle)
{
    int bytes = idle ? 28 : explicit ? 24 : 20;
    struct inet_diag_bc_op program[7] = {
        {BC_S_GE, 8, bytes + 4}, {0, 0, first},
        {BC_S_LE, 8, bytes - 4}, {0, 0, last},
        {BC_AUTO, 4, idle ? 12 : 8},
        {BC_JMP, 4, 8},
    };
    /* Idle sockets have no remote port. */
    if (idle) program[5] = (struct inet_diag_bc_op){BC_D_LE, 8, 12};
    struct nlattr attribute = {NLA_HDRLEN + bytes, INET_DIAG_REQ_BYTECODE};
    memcpy(at, &attribute, sizeof attribute);
    memcpy(at + NLA_HDRLEN, program, bytes);
    return NLA_HDRLEN + bytes;
}

static struct request question_tcp(int first, int last, int explicit)
{
    struct request request = {{0, DIAG_TCP, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {0}};
    int states = !idle_once ? ALL_STATES : ALL_STATES & ~(explicit ? TIME_WAIT : IDLE_STATES);
    struct inet_diag_req question = {.idiag_family = AF_INET, .idiag_states = states};
    memcpy(request.rest, &question, sizeof question);
    request.header.nlmsg_len = NLMSG_HDRLEN + sizeof question
        + put_filter(request.rest + sizeof question, first, last, explicit, explicit && idle_once);
    return request;
}

static struct request question_udp(int family, int first, int last, int explicit)
{
    struct request request = {{0, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {0}};
    struct inet_diag_req_v2 question = {
        .sdiag_family = family, .sdiag_protocol = IPPROTO_UDP, .idiag_states = ALL_STATES};
    memcpy(request.rest, &question, sizeof question);
    request.header.nlmsg_len = NLMSG_HDRLEN + sizeof question
        + put_filter(request.rest + sizeof question, first, last, explicit, 0);
    return request;
}

/* Asks, and counts the messages of the answer. */
static long dump(int fd, const struct request *request)
{
    long rows = 0;
    if (send(fd, request, request->header.nlmsg_len, 0) < 0) die("send a dump request");
    for (;;) {
        ssize_t length = recv(fd, datagram, sizeof datagram, MSG_TRUNC);
        if (length < 0 || length > (ssize_t)sizeof datagram) die("receive a dump");
        for (ssize_t at = 0; at < length;) {
            const struct nlmsghdr *message = (const struct nlmsghdr *)(datagram + at);
            if (message->nlmsg_type == NLMSG_DONE) return rows;
            if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_len < sizeof *message) {
                errno = EPROTO;
                die("use the answer to a dump");
            }
            rows++;
            at += NLMSG_ALIGN(message->nlmsg_len);
        }
    }
}

/* A kernel may lack some of them. */
static void read_files(void)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int fd = open(files[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        if (read(fd, datagram, sizeof datagram) < 0) die("read a file of a namespace");
        close(fd);
    }
}

static long sample(int first, int last)
{
    struct timeval patience = {1, 0};
    long rows = 0;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) die("open a diag socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) die("set a time-out");
    for (int explicit = 1; explicit >= 0; explicit--) {
        struct request requests[] = {
            question_tcp(first, last, explicit),
            question_udp(AF_INET, first, last, explicit),
            question_udp(AF_INET6, first, last, explicit),
        };
        for (int i = 0; i < 3; i++) rows += dump(fd, &requests[i]);
    }
    close(fd);
    if (with_files) read_files();
    return rows;
}

static void enter(int fd)
{
    if (setns(fd, CLONE_NEWNET) < 0) die("enter a namespace");
}

static int open_namespace(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) die("open the file of a namespace");
    return fd;
}

/* In each of the namespaces, and back. */
static long sample_others(int home, char **paths, int count, int first, int last)
{
    long rows = 0;
    for (int i = 0; i < count; i++) {
        int fd = open_namespace(paths[i]);
        enter(fd);
        close(fd);
        rows += sample(first, last);
    }
    enter(home);
    return rows;
}

static int64_t cpu_microseconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec
        + used.ru_stime.tv_usec;
}

static int64_t wall_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    char line[16];
    if (argc < 3) {
        fprintf(stderr, "usage: floor FIRST LAST [idle-once] [files] [NAMESPACE...]\n");
        return 2;
    }
    int first = atoi(argv[1]), last = atoi(argv[2]);
    idle_once = argc > 3 && strcmp(argv[3], "idle-once") == 0;
    with_files = argc > 3 + idle_once && strcmp(argv[3 + idle_once], "files") == 0;
    char **paths = argv + 3 + idle_once + with_files;
    int count = argc - 3 - idle_once - with_files;
    int home = count > 0 ? open_namespace("/proc/self/ns/net") : -1;
    while (fgets(line, sizeof line, stdin) != NULL) {
        int64_t cpu = cpu_microseconds(), wall = wall_microseconds();
        long rows = sample(first, last);
        if (count > 0) rows += sample_others(home, paths, count, first, last);
        wall = wall_microseconds() - wall;
        cpu = cpu_microseconds() - cpu;
        printf("%ld %lld %lld\n", rows, (long long)cpu, (long long)wall);
        fflush(stdout);
    }
    return 0;
}
