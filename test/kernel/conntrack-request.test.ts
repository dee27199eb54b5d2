import { describe, expect, test } from 'vitest'
import { type ConntrackFilter, encodeConntrackDump } from '../../src/kernel/conntrack-request.ts'

/** By hand from include/uapi/linux/netfilter/nfnetlink_conntrack.h. The live tests of NAT ask the kernel. */
const HEAD = '0101 0103 4d000000 00000000 02000000'
const address = '0800 0200 0a4d0202'

describe('encodeConntrackDump()', () => {
  test.for<[what: string, filter: ConntrackFilter, bytes: string]>([
    ['of all entries', {}, `14000000 ${HEAD}`],
    [
      'of those whose source is translated',
      { sourceNat: true },
      `24000000 ${HEAD} 0800 0300 00000010 0800 1a00 00000010`,
    ],
    [
      'of those whose source is not',
      { sourceNat: false },
      `24000000 ${HEAD} 0800 0300 00000000 0800 1a00 00000010`,
    ],
    [
      'to a destination',
      { destination: { direction: 'original', address: 0x0a4d0202 } },
      `38000000 ${HEAD} 1000 0180 0c00 0180 ${address} 1400 1980 0800 0100 02000000 0800 0200 00000000`,
    ],
    [
      'answered by a destination, translated',
      { sourceNat: true, destination: { direction: 'reply', address: 0x0a4d0202 } },
      `48000000 ${HEAD} 0800 0300 00000010 0800 1a00 00000010 1000 0280 0c00 0180 ${address} 1400 1980 0800 0100 00000000 0800 0200 02000000`,
    ],
  ])('asks for IPv4 entries %s', ([, filter, bytes]) => {
    const encoded = Buffer.from(encodeConntrackDump(filter, 77)).toString('hex')
    expect(encoded).toBe(bytes.replaceAll(' ', ''))
  })
})
