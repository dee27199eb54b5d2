// The one program this exporter gives to the kernel: an iterator over the TCP sockets of a network namespace that
// writes down the port of each whose bind bucket is closed to connect(). It only reads, and the verifier knows the type
// of all it reads.
//
// The bind bucket of a port is what connect() asks before it shares the port with other destinations. A bucket that
// belongs to connect() alone has -1 in both fields; any other value closes the port to every connect(), whatever the
// destination (net/ipv4/inet_hashtables.c:__inet_hash_connect). No listing of sockets shows it.
// docs/development/port-model.md#what-listings-do-not-tell

import { SourceError } from '../../observation.ts'
import {
  add,
  and,
  call,
  copy,
  exit,
  type Field,
  goTo,
  goToIfAny,
  goToIfNotEqual,
  goToIfNotZero,
  goToIfZero,
  type Line,
  load,
  set,
  store,
} from './assembler.ts'
import { parseBtf } from './btf.ts'

export interface BucketProgram {
  readonly lines: readonly Line[]
  /** BTF id of the function that stands for this kind of iterator. */
  readonly attachTo: number
}

/** What the program writes for each socket: the port, in the byte order of the machine. */
export const PORT_BYTES = 2

/** The program is offered under either licence: bpf_seq_write() is for programs under the GPL only. */
export const LICENSE = 'Dual MIT/GPL'

/** Numbers of helpers in include/uapi/linux/bpf.h:__BPF_FUNC_MAPPER, all there since Linux 5.9. */
const HELPER = {
  seqWrite: { number: 127, name: 'bpf_seq_write' },
  toTcpSock: { number: 137, name: 'bpf_skc_to_tcp_sock' },
  toTcpTimewaitSock: { number: 138, name: 'bpf_skc_to_tcp_timewait_sock' },
} as const
/** The sign bit of a byte that holds -1, 0 or more. */
const SIGN_BIT = 0x80
/** The sum of two fits into an instruction. */
const MOST_OFFSET = 0x3fff
const ROW: Field = { offset: -8, name: 'what is written' }

/**
 * Writes the program for the kernel that `btf` describes. Throws DecodeError, and SourceError where a field is missing.
 */
export function writeBucketProgram(btf: Uint8Array): BucketProgram {
  const { fieldOffset, functionId } = parseBtf(btf)

  const field = (structure: string, name: string): Field => {
    const offset = fieldOffset(structure, name)
    if (offset === undefined || offset > MOST_OFFSET) throw lacks(`${structure}.${name}`)
    return { offset, name: `${structure}.${name}` }
  }
  const inside = (outer: Field, inner: Field): Field => ({
    offset: outer.offset + inner.offset,
    name: inner.name,
  })
  const attachTo = functionId('bpf_iter_tcp')
  if (attachTo === undefined) throw lacks('bpf_iter_tcp()')
  const bucketOfSocket = inside(
    field('tcp_sock', 'inet_conn'),
    field('inet_connection_sock', 'icsk_bind_hash'),
  )
  const bucketOfTimewait = inside(
    field('tcp_timewait_sock', 'tw_sk'),
    field('inet_timewait_sock', 'tw_tb'),
  )

  return {
    attachTo,
    lines: [
      load('r6', 'u64', 'r1', field('bpf_iter__tcp', 'sk_common')),
      goToIfZero('r6', 'done'), // the call at the end has no socket
      load('r7', 'u64', 'r1', field('bpf_iter__tcp', 'meta')),
      load('r7', 'u64', 'r7', field('bpf_iter_meta', 'seq')),
      copy('r1', 'r6'),
      call(HELPER.toTcpSock),
      goToIfZero('r0', 'timewait'),
      load('r8', 'u64', 'r0', bucketOfSocket),
      goTo('bucket'),
      'timewait',
      copy('r1', 'r6'),
      call(HELPER.toTcpTimewaitSock),
      goToIfZero('r0', 'done'), // a connection request has no bucket
      load('r8', 'u64', 'r0', bucketOfTimewait),
      'bucket',
      goToIfZero('r8', 'done'),
      load('r1', 'u32', 'r8', field('inet_bind_bucket', 'l3mdev')),
      goToIfNotZero('r1', 'done'), // a VRF has buckets of its own
      // A bucket that is freed just now may be another port's already.
      load('r1', 'u16', 'r8', field('inet_bind_bucket', 'port')),
      load('r2', 'u16', 'r6', field('sock_common', 'skc_num')),
      goToIfNotEqual('r1', 'r2', 'done'),
      store('u16', ROW, 'r1'),
      load('r1', 'u8', 'r8', field('inet_bind_bucket', 'fastreuse')),
      load('r2', 'u8', 'r8', field('inet_bind_bucket', 'fastreuseport')),
      and('r1', 'r2'),
      goToIfAny('r1', SIGN_BIT, 'done'), // both negative: open to connect()
      copy('r1', 'r7'),
      copy('r2', 'r10'),
      add('r2', ROW.offset),
      set('r3', PORT_BYTES),
      call(HELPER.seqWrite),
      'done',
      set('r0', 0),
      exit(),
    ],
  }
}

function lacks(what: string): SourceError {
  return new SourceError('unsupported', `Cannot read bind buckets: the kernel has no ${what}`)
}
