import { describe, expect, test } from 'vitest'
import { ALL_STATES, encodeDumpRequest, encodeFilter } from '../../src/kernel/diag-request.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const range = { first: 32768, last: 60999 }

describe('encodeFilter() writes the programs that were measured on a kernel', () => {
  // 32768 = 0x8000 and 60999 = 0xee47, little-endian.
  test.each([
    ['any', '0208140000000080' + '03080c00000047ee'],
    ['auto', '0208180000000080' + '03081000000047ee' + '06040800'],
    ['explicit', '02081c0000000080' + '03081400000047ee' + '06040800' + '01040800'],
    ['explicit_or_idle', '0208200000000080' + '03081800000047ee' + '06040c00' + '05080c0000000000'],
  ] as const)('%s', (choice, want) => {
    expect(hex(encodeFilter(range, choice))).toBe(want)
  })

  // The kernel accepts a socket when it lands on exactly the end (net/ipv4/inet_diag.c:inet_diag_bc_run()).
  test.each(['any', 'auto', 'explicit'] as const)(
    '%s rejects by jumping beyond the end',
    (choice) => {
      const program = encodeFilter(range, choice)
      const view = new DataView(program.buffer)
      for (let at = 0; at < program.length; at += view.getUint8(at + 1)) {
        if (view.getUint8(at) === 0) continue // the operand of the comparison before it
        const target = at + view.getUint16(at + 2, true)
        const accepts = view.getUint8(at) === 6 && choice === 'explicit'
        expect(target).toBe(accepts ? program.length : program.length + 4)
      }
    },
  )
})

describe('encodeDumpRequest()', () => {
  const filter = { range, choice: 'any', states: ALL_STATES } as const

  test('asks for one family and protocol by SOCK_DIAG_BY_FAMILY', () => {
    const bytes = encodeDumpRequest({ kind: 'family', family: 10, protocol: 'udp' }, filter, 7)
    expect(hex(bytes.subarray(0, 72))).toBe(
      '5c000000' +
        '1400' +
        '0103' +
        '07000000' +
        '00000000' +
        '0a110000' +
        'fe3f0000' +
        '00'.repeat(48),
    )
    expect(hex(bytes.subarray(72))).toBe(`14000100${hex(encodeFilter(range, 'any'))}`)
  })

  test('asks for both families in one walk by TCPDIAG_GETSOCK', () => {
    const bytes = encodeDumpRequest({ kind: 'legacy' }, filter, 1)
    expect(hex(bytes.subarray(0, 16))).toBe('60000000' + '1200' + '0103' + '01000000' + '00000000')
    expect(hex(bytes.subarray(16, 76))).toBe(`02${'00'.repeat(51)}fe3f0000${'00'.repeat(4)}`)
    expect(hex(bytes.subarray(76))).toBe(`14000100${hex(encodeFilter(range, 'any'))}`)
  })
})
