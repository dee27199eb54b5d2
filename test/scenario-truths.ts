// What the page of each recorded scenario must say, counted by hand from how it was built (test/record/scenarios.ts), so that
// updating the golden pages cannot hide a wrong number. `undefined`: the series must be absent.

/** Series without the prefix ephemeral_port_ and without the label netns. */
export type Truths = Readonly<Record<string, number | undefined>>

/** `bind` where it does not hang on chance: connections to different destinations may share a port. */
const available = (connect: number, bind: number | 'by chance', udp: number): Truths => ({
  'pool_available_ports{pool="tcp_connect"}': connect,
  ...(bind !== 'by chance' && { 'pool_available_ports{pool="tcp_bind"}': bind }),
  'pool_available_ports{pool="udp"}': udp,
})

const blocked = (listener: number, bound: number): Truths => ({
  'blocked_ports{holder="listener"}': listener,
  'blocked_ports{holder="bound"}': bound,
})

/** Undefined: with fewer than 8 ports it has no row. */
const destination = (source: string, remote: string, used: number | undefined): Truths => ({
  [`destination_used_ports{source="${source}",destination="${remote}"}`]: used,
})

/** By user: the test's server and clients are either all root's or all the application's. */
const owned = (protocol: 'tcp' | 'udp', owner: 'root' | 'app', used: number): Truths => ({
  [`owner_used_ports{protocol="${protocol}",owner="${owner}",owner_kind="user"}`]: used,
})

const worst = (source: string, remote: string): Truths => ({
  [`pool_worst_destination_info{pool="tcp_connect",source="${source}",destination="${remote}"}`]: 1,
})

const server = ['127.0.0.1', '127.0.0.1:8001'] as const

export const truths: Readonly<Record<string, Truths>> = {
  'bound-idle-leak': {
    ...available(0, 0, 60),
    ...blocked(0, 60),
    'sockets{protocol="tcp",state="bound"}': 60,
    'pool_utilization_ratio{pool="tcp_connect"}': 1,
    'pool_unused_ports{pool="tcp_connect"}': 0,
    'used_ports{protocol="tcp"}': 60,
    ...owned('tcp', 'app', 60),
    destinations: 0,
    'source_info{reader="netlink",exactness="exact",range="sysctl"}': 1,
  },

  // A connect() of a device-bound socket competes with those of the device and with those of none.
  'device-bound': {
    ...available(50, 'by chance', 60),
    ...blocked(0, 0),
    ...worst('127.0.0.1%1', server[1]),
    ...destination('127.0.0.1%1', server[1], 6),
    ...destination(...server, undefined),
    ...destination('10.9.0.1', '10.9.0.200:80', undefined),
    'destination_used_ports{source="other",destination="other"}': 7,
    'destination_utilization_ratio{source="127.0.0.1%1",destination="127.0.0.1:8001"}': 10 / 60,
    'sockets{protocol="tcp",state="syn_sent"}': 8,
  },

  // 10 IPv4 and 7 v4-mapped sockets share one space of tuples.
  'dual-stack': {
    ...available(39, 'by chance', 56),
    ...blocked(0, 4),
    ...worst(...server),
    ...destination(...server, 17),
    ...destination('::1', '[::1]:8001', 8),
    ...destination('fd00::1', '[fd00::1]:8001', undefined),
    'sockets{protocol="tcp",state="established"}': 28,
    'sockets{protocol="udp",state="bound"}': 2,
    'sockets{protocol="udp",state="connected"}': 2,
    connections_opened_total: 28,
  },

  'explicit-bind': {
    ...available(50, 50, 58),
    ...blocked(0, 4),
    ...destination(...server, undefined),
    'used_ports{protocol="tcp"}': 10,
    'sockets{protocol="tcp",state="bound"}': 3,
    'listener_info{protocol="udp",port="40009",owner="root"}': 1,
    'listeners{protocol="udp"}': 1,
    'listeners{protocol="tcp"}': 0,
  },

  'half-closed': {
    ...available(45, 'by chance', 60),
    ...blocked(0, 0),
    ...destination(...server, 15),
    'destination_time_wait_ports{source="127.0.0.1",destination="127.0.0.1:8001"}': 3,
    'sockets{protocol="tcp",state="established"}': 0,
    'sockets{protocol="tcp",state="fin_wait1"}': 2,
    'sockets{protocol="tcp",state="fin_wait2"}': 5,
    'sockets{protocol="tcp",state="close_wait"}': 3,
    'sockets{protocol="tcp",state="last_ack"}': 2,
    'sockets{protocol="tcp",state="time_wait"}': 3,
    'sockets{protocol="tcp",state="syn_sent"}': 2,
  },

  'idle-host': {
    ...available(28_229, 28_229, 28_231),
    ...blocked(0, 0),
    ...destination(...server, undefined),
    'listeners{protocol="tcp"}': 0,
    'pool_slow{pool="tcp_connect"}': 0,
    usable_ports: 28_232,
    tcp_tw_reuse: 2,
  },

  'ipv6-only': {
    ...available(40, 'by chance', 57),
    ...blocked(1, 3),
    ...worst('::1', '[::1]:8001'),
    ...destination('::1', '[::1]:8001', 16),
    ...destination('fd00::1', '[fd00::1]:8001', undefined),
    'listener_info{protocol="tcp",port="40040",owner="root"}': 1,
    'sockets{protocol="tcp",state="time_wait"}': 4,
  },

  // Eight, three and two accepted connections cost nothing beyond the ports of their listeners.
  'listeners-in-range': {
    ...available(50, 50, 58),
    ...blocked(4, 0),
    ...destination(...server, undefined),
    'listeners{protocol="tcp"}': 4,
    'listeners{protocol="udp"}': 1,
    'inbound_sockets{protocol="tcp"}': 13,
    // Six connections and four listeners. What the listeners accepted shares their ports.
    ...owned('tcp', 'app', 10),
    'sockets{protocol="tcp",state="syn_recv"}': 2,
    'sockets{protocol="tcp",state="listen"}': 4,
    'sockets{protocol="tcp",state="established"}': 17,
    destinations: 1,
  },

  'odd-range': {
    ...available(23, 23, 37),
    ...blocked(0, 2),
    ...destination(...server, 12),
    range_ports: 37,
  },

  'one-destination-nearly-full': {
    ...available(3, 'by chance', 60),
    ...blocked(0, 0),
    ...worst(...server),
    ...destination(...server, 57),
    ...destination('127.0.0.1', '127.0.0.1:8002', undefined),
    ...destination('127.0.0.1', '127.0.0.5:8001', undefined),
    'pool_slow{pool="tcp_connect"}': 1,
    'pool_utilization_ratio{pool="tcp_connect"}': 57 / 60,
    destinations: 3,
  },

  'reserved-ports': {
    ...available(34, 34, 44),
    // The listener and the idle bind on reserved ports close nothing that was open.
    ...blocked(1, 0),
    ...destination(...server, 9),
    reserved_ports: 16,
    usable_ports: 44,
    'listeners{protocol="tcp"}': 1,
    'listener_info{protocol="tcp",port="40020",owner="root"}': 1,
    'listener_info{protocol="tcp",port="40011",owner="root"}': undefined,
    'sockets{protocol="tcp",state="listen"}': 2,
  },

  'time-wait-reuse': {
    ...available(45, 25, 60),
    ...blocked(0, 0),
    ...destination(...server, 15),
    'pool_reclaimable_ports{pool="tcp_connect"}': 20,
    // Those that may be recycled still hold their ports.
    ...owned('tcp', 'root', 35),
    'destination_time_wait_ports{source="127.0.0.1",destination="127.0.0.1:8001"}': 10,
    'sockets{protocol="tcp",state="time_wait"}': 30,
    tcp_tw_reuse: 1,
    tcp_tw_reuse_delay_seconds: 5,
  },

  'time-wait-storm': {
    ...available(15, 15, 60),
    ...blocked(0, 0),
    ...destination(...server, 45),
    'pool_reclaimable_ports{pool="tcp_connect"}': 0,
    // 5 alive, and 40 TIME_WAITs that take their owner.
    ...owned('tcp', 'root', 45),
    'sockets{protocol="tcp",state="time_wait"}': 40,
    // Eight each, 57, 42, 25, 12 and 0 seconds old.
    'time_wait_release_ports{within_seconds="1"}': 0,
    'time_wait_release_ports{within_seconds="5"}': 8,
    'time_wait_release_ports{within_seconds="15"}': 8,
    'time_wait_release_ports{within_seconds="30"}': 16,
    'time_wait_release_ports{within_seconds="60"}': 40,
    tcp_tw_reuse: 0,
  },

  'udp-full': {
    ...available(30, 30, 0),
    ...blocked(0, 0),
    'pool_utilization_ratio{pool="udp"}': 1,
    'pool_utilization_ratio{pool="tcp_connect"}': 0,
    'sockets{protocol="udp",state="bound"}': 10,
    'sockets{protocol="udp",state="connected"}': 20,
    ...owned('udp', 'root', 30),
    'used_ports{protocol="tcp"}': 0,
  },
}

/** The page of bound-idle-leak by /proc, which shows no bound-idle socket: an upper bound that says so. */
export const truthsByProcfs: Truths = {
  ...available(60, 60, 60),
  ...blocked(0, 0),
  'blocked_ports{holder="bound"}': undefined,
  'sockets{protocol="tcp",state="bound"}': undefined,
  'listeners{protocol="udp"}': undefined,
  'source_info{reader="procfs",exactness="upper_bound",range="sysctl"}': 1,
}
