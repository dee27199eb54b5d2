// The program for a kernel whose fields lie at known places, instruction by instruction. The live test has it from the kernel.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { listBucketProgram } from '../../../src/kernel/bpf/listing.ts'
import { DecodeError } from '../../../src/observation.ts'
import { buildBtf, programTypes } from './btf-builder.ts'

const directory = mkdtempSync(join(tmpdir(), 'listing-'))
const path = join(directory, 'vmlinux')
afterAll(() => rmSync(directory, { recursive: true }))

const listing = `; iter/tcp, license "Dual MIT/GPL", for the kernel that ${path} describes
0: (79) r6 = *(u64 *)(r1 +8)                    ; bpf_iter__tcp.sk_common
1: (15) if r6 == 0x0 goto pc+27
2: (79) r7 = *(u64 *)(r1 +0)                    ; bpf_iter__tcp.meta
3: (79) r7 = *(u64 *)(r7 +8)                    ; bpf_iter_meta.seq
4: (bf) r1 = r6
5: (85) call bpf_skc_to_tcp_sock#137
6: (15) if r0 == 0x0 goto pc+2
7: (79) r8 = *(u64 *)(r0 +56)                   ; inet_connection_sock.icsk_bind_hash
8: (05) goto pc+4
9: (bf) r1 = r6
10: (85) call bpf_skc_to_tcp_timewait_sock#138
11: (15) if r0 == 0x0 goto pc+17
12: (79) r8 = *(u64 *)(r0 +88)                  ; inet_timewait_sock.tw_tb
13: (15) if r8 == 0x0 goto pc+15
14: (61) r1 = *(u32 *)(r8 +56)                  ; inet_bind_bucket.l3mdev
15: (55) if r1 != 0x0 goto pc+13
16: (69) r1 = *(u16 *)(r8 +64)                  ; inet_bind_bucket.port
17: (69) r2 = *(u16 *)(r6 +16)                  ; sock_common.skc_num
18: (5d) if r1 != r2 goto pc+10
19: (6b) *(u16 *)(r10 -8) = r1                  ; what is written
20: (71) r1 = *(u8 *)(r8 +72)                   ; inet_bind_bucket.fastreuse
21: (71) r2 = *(u8 *)(r8 +80)                   ; inet_bind_bucket.fastreuseport
22: (5f) r1 &= r2
23: (45) if r1 & 0x80 goto pc+5
24: (bf) r1 = r7
25: (bf) r2 = r10
26: (07) r2 += -8
27: (b7) r3 = 2
28: (85) call bpf_seq_write#127
29: (b7) r0 = 0
30: (95) exit
`

describe('listBucketProgram()', () => {
  test('has the fields of the kernel and the way that each jump takes', () => {
    writeFileSync(path, buildBtf(programTypes))
    expect(listBucketProgram(path)).toBe(listing)
  })

  test('gives none where the description is damaged or missing', () => {
    writeFileSync(path, 'no types')
    const message = `Cannot use ${path}: BTF ends in its header (at offset 0)`
    expect(() => listBucketProgram(path)).toThrow(
      expect.objectContaining({
        ...{ name: 'SourceError', reason: 'malformed', message },
        cause: expect.any(DecodeError),
      }),
    )
    expect(() => listBucketProgram(join(directory, 'none'))).toThrow(
      expect.objectContaining({ reason: 'unsupported' }),
    )
  })
})
