// Prints test/fixtures/layout.json: what the kernel's headers say of the structures and numbers that src/kernel/ writes down.
//
//   cc -o layout test/kernel/layout.c && ./layout > test/fixtures/layout.json

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>

static const char *separator = "";

static void begin(const char *name) {
    printf("%s\n  \"%s\": {", separator, name);
    separator = "";
}

static void end(void) {
    printf("\n  }");
    separator = ",";
}

static void number(const char *name, long value) {
    printf("%s\n    \"%s\": %ld", separator, name, value);
    separator = ",";
}

#define SIZE(type) number("size", sizeof(type))
#define FIELD(type, field) number(#field, offsetof(type, field))
#define CONSTANT(name) number(#name, name)

int main(void) {
    printf("{");

    begin("nlmsghdr");
    SIZE(struct nlmsghdr);
    FIELD(struct nlmsghdr, nlmsg_len);
    FIELD(struct nlmsghdr, nlmsg_type);
    FIELD(struct nlmsghdr, nlmsg_flags);
    FIELD(struct nlmsghdr, nlmsg_seq);
    FIELD(struct nlmsghdr, nlmsg_pid);
    end();

    begin("nlattr");
    SIZE(struct nlattr);
    FIELD(struct nlattr, nla_len);
    FIELD(struct nlattr, nla_type);
    end();

    begin("nlmsgerr");
    FIELD(struct nlmsgerr, error);
    end();

    begin("inet_diag_msg");
    SIZE(struct inet_diag_msg);
    FIELD(struct inet_diag_msg, idiag_family);
    FIELD(struct inet_diag_msg, idiag_state);
    FIELD(struct inet_diag_msg, idiag_timer);
    FIELD(struct inet_diag_msg, id.idiag_sport);
    FIELD(struct inet_diag_msg, id.idiag_dport);
    FIELD(struct inet_diag_msg, id.idiag_src);
    FIELD(struct inet_diag_msg, id.idiag_dst);
    FIELD(struct inet_diag_msg, id.idiag_if);
    FIELD(struct inet_diag_msg, idiag_expires);
    FIELD(struct inet_diag_msg, idiag_uid);
    FIELD(struct inet_diag_msg, idiag_inode);
    end();

    begin("inet_diag_req_v2");
    SIZE(struct inet_diag_req_v2);
    FIELD(struct inet_diag_req_v2, sdiag_family);
    FIELD(struct inet_diag_req_v2, sdiag_protocol);
    FIELD(struct inet_diag_req_v2, idiag_states);
    FIELD(struct inet_diag_req_v2, id);
    end();

    begin("inet_diag_req");
    SIZE(struct inet_diag_req);
    FIELD(struct inet_diag_req, idiag_family);
    FIELD(struct inet_diag_req, id);
    FIELD(struct inet_diag_req, idiag_states);
    FIELD(struct inet_diag_req, idiag_dbs);
    end();

    begin("inet_diag_bc_op");
    SIZE(struct inet_diag_bc_op);
    FIELD(struct inet_diag_bc_op, code);
    FIELD(struct inet_diag_bc_op, yes);
    FIELD(struct inet_diag_bc_op, no);
    end();

    begin("sockaddr_in");
    SIZE(struct sockaddr_in);
    FIELD(struct sockaddr_in, sin_family);
    FIELD(struct sockaddr_in, sin_port);
    FIELD(struct sockaddr_in, sin_addr);
    end();

    begin("timeval");
    SIZE(struct timeval);
    FIELD(struct timeval, tv_sec);
    FIELD(struct timeval, tv_usec);
    end();

    begin("constants");
    CONSTANT(AF_INET);
    CONSTANT(AF_INET6);
    CONSTANT(AF_NETLINK);
    CONSTANT(SOCK_STREAM);
    CONSTANT(SOCK_DGRAM);
    CONSTANT(SOCK_RAW);
    CONSTANT(SOCK_CLOEXEC);
    CONSTANT(SOL_SOCKET);
    CONSTANT(SO_RCVTIMEO);
    CONSTANT(MSG_TRUNC);
    CONSTANT(CLONE_NEWNET);
    CONSTANT(IPPROTO_TCP);
    CONSTANT(IPPROTO_UDP);
    CONSTANT(NETLINK_SOCK_DIAG);
    CONSTANT(NLM_F_REQUEST);
    CONSTANT(NLM_F_DUMP);
    CONSTANT(NLMSG_ERROR);
    CONSTANT(NLMSG_DONE);
    CONSTANT(NLMSG_ALIGNTO);
    number("NLA_TYPE_MASK", NLA_TYPE_MASK & 0xffff); // an int that promotes to a negative one
    CONSTANT(EINTR);
    CONSTANT(TCPDIAG_GETSOCK);
    CONSTANT(SOCK_DIAG_BY_FAMILY);
    CONSTANT(INET_DIAG_REQ_BYTECODE);
    CONSTANT(INET_DIAG_BC_JMP);
    CONSTANT(INET_DIAG_BC_S_GE);
    CONSTANT(INET_DIAG_BC_S_LE);
    CONSTANT(INET_DIAG_BC_D_LE);
    CONSTANT(INET_DIAG_BC_AUTO);
    CONSTANT(INET_DIAG_SKV6ONLY);
    CONSTANT(INET_DIAG_CGROUP_ID);
    end();

    // TCP_NEW_SYN_RECV (12) and TCP_BOUND_INACTIVE (13) are the kernel's own, in include/net/tcp_states.h.
    begin("states");
    CONSTANT(TCP_ESTABLISHED);
    CONSTANT(TCP_SYN_SENT);
    CONSTANT(TCP_SYN_RECV);
    CONSTANT(TCP_FIN_WAIT1);
    CONSTANT(TCP_FIN_WAIT2);
    CONSTANT(TCP_TIME_WAIT);
    CONSTANT(TCP_CLOSE);
    CONSTANT(TCP_CLOSE_WAIT);
    CONSTANT(TCP_LAST_ACK);
    CONSTANT(TCP_LISTEN);
    CONSTANT(TCP_CLOSING);
    end();

    printf("\n}\n");
    return 0;
}
