/*
 * The least that a listing of conntrack entries can cost, and the entries to list. In the network namespace it is started in:
 *
 *   conntrack fill FIRST COUNT PERCENT   adds entries FIRST to FIRST + COUNT - 1, so many of a hundred with source NAT
 *   conntrack dump                       lists all IPv4 entries once, and prints how many, and the microseconds of CPU and wall
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#define PORTS 60000
static char buffer[1 << 16];
static struct nlmsghdr *message;
static int fd;

static void put(int type, const void *data, int length)
{
	struct nlattr *attribute = (void *)((char *)message + NLMSG_ALIGN(message->nlmsg_len));
	attribute->nla_type = type;
	attribute->nla_len = NLA_HDRLEN + length;
	memcpy((char *)attribute + NLA_HDRLEN, data, length);
	message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + NLA_ALIGN(attribute->nla_len);
}

static void put8(int type, uint8_t value) { put(type, &value, 1); }
static void put16(int type, uint16_t value) { value = htons(value); put(type, &value, 2); }
static void put32(int type, uint32_t value) { value = htonl(value); put(type, &value, 4); }

static struct nlattr *begin(int type)
{
	struct nlattr *nest = (void *)((char *)message + NLMSG_ALIGN(message->nlmsg_len));
	put(type | NLA_F_NESTED, "", 0);
	return nest;
}

static void end(struct nlattr *nest) { nest->nla_len = (char *)message + message->nlmsg_len - (char *)nest; }

static void put_tuple(int type, uint32_t source, int source_port, uint32_t destination, int destination_port)
{
	struct nlattr *tuple = begin(type), *part = begin(CTA_TUPLE_IP);
	put32(CTA_IP_V4_SRC, source);
	put32(CTA_IP_V4_DST, destination);
	end(part);
	part = begin(CTA_TUPLE_PROTO);
	put8(CTA_PROTO_NUM, IPPROTO_TCP);
	put16(CTA_PROTO_SRC_PORT, source_port);
	put16(CTA_PROTO_DST_PORT, destination_port);
	end(part);
	end(tuple);
}

static void start(void *at, int type, int flags)
{
	static int sequence;
	message = at;
	memset(message, 0, NLMSG_LENGTH(sizeof(struct nfgenmsg)));
	message->nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg));
	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = ++sequence;
	((struct nfgenmsg *)NLMSG_DATA(message))->nfgen_family = AF_INET;
}

static void fail(const char *what) { perror(what); exit(1); }

static void check_answers(void)
{
	static char answers[1 << 16];
	ssize_t length;
	while ((length = recv(fd, answers, sizeof answers, MSG_DONTWAIT)) > 0)
		for (struct nlmsghdr *one = (void *)answers; NLMSG_OK(one, length); one = NLMSG_NEXT(one, length)) {
			int error = one->nlmsg_type == NLMSG_ERROR ? ((struct nlmsgerr *)NLMSG_DATA(one))->error : 0;
			if (error) { fprintf(stderr, "fill: %s\n", strerror(-error)); exit(1); }
		}
}

static void put_entry(long index, int percent)
{
	uint32_t nat = ntohl(inet_addr("203.0.113.7")), client = ntohl(inet_addr("10.200.0.1")) + index / PORTS;
	uint32_t destination = ntohl(inet_addr("10.201.0.1")) + index / PORTS;
	int port = 1024 + index % PORTS;
	int translated = index * 37 % 100 < percent;
	put_tuple(CTA_TUPLE_ORIG, client, port, destination, 443);
	put_tuple(CTA_TUPLE_REPLY, destination, 443, client, port);
	put32(CTA_STATUS, IPS_ASSURED | IPS_CONFIRMED | IPS_SEEN_REPLY);
	put32(CTA_TIMEOUT, 6000);
	struct nlattr *info = begin(CTA_PROTOINFO), *part = begin(CTA_PROTOINFO_TCP);
	put8(CTA_PROTOINFO_TCP_STATE, 3);
	end(part);
	end(info);
	if (!translated) return;
	info = begin(CTA_NAT_SRC);
	put32(CTA_NAT_V4_MINIP, nat);
	put32(CTA_NAT_V4_MAXIP, nat);
	part = begin(CTA_NAT_PROTO);
	put16(CTA_PROTONAT_PORT_MIN, port);
	put16(CTA_PROTONAT_PORT_MAX, port);
	end(part);
	end(info);
}

static void fill(long first, long count, int percent)
{
	for (long index = first; index < first + count;) {
		char *at = buffer;
		for (int batch = 0; batch < 64 && index < first + count; batch++, index++) {
			start(at, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
			put_entry(index, percent);
			at += NLMSG_ALIGN(message->nlmsg_len);
		}
		if (send(fd, buffer, at - buffer, 0) < 0) fail("send");
		check_answers();
	}
}

static long micros(struct timeval time) { return time.tv_sec * 1000000L + time.tv_usec; }

static long cpu(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return micros(usage.ru_utime) + micros(usage.ru_stime);
}

static long wall(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

static void dump(void)
{
	long cpu_before = cpu(), wall_before = wall(), entries = 0;
	start(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP);
	if (send(fd, buffer, message->nlmsg_len, 0) < 0) fail("send");
	for (int done = 0; !done;) {
		ssize_t length = recv(fd, buffer, sizeof buffer, 0);
		if (length < 0) fail("recv");
		for (struct nlmsghdr *one = (void *)buffer; NLMSG_OK(one, length); one = NLMSG_NEXT(one, length)) {
			if (one->nlmsg_type == NLMSG_ERROR) fail("dump");
			if (one->nlmsg_type == NLMSG_DONE) { done = 1; break; }
			entries++;
		}
	}
	printf("%ld %ld %ld\n", entries, cpu() - cpu_before, wall() - wall_before);
}

int main(int count, char **words)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	if (fd < 0 || bind(fd, (void *)&address, sizeof address)) fail("socket");
	if (count == 5 && !strcmp(words[1], "fill")) fill(atol(words[2]), atol(words[3]), atoi(words[4]));
	else if (count == 2 && !strcmp(words[1], "dump")) dump();
	else return 2;
	return 0;
}
