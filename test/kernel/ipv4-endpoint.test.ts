import { expect, test } from 'vitest'
import { encodeIpv4Endpoint } from '../../src/kernel/ipv4-endpoint.ts'
import { at, constant } from '../support/kernel/layout.ts'

test('encodeIpv4Endpoint() writes struct sockaddr_in as the headers lay it out', () => {
  const bytes = Buffer.from(encodeIpv4Endpoint([10, 20, 30, 40], 0x1234))
  expect(bytes).toHaveLength(at('sockaddr_in', 'size'))
  expect(bytes.readUInt16LE(at('sockaddr_in', 'sin_family'))).toBe(constant('AF_INET'))
  expect(bytes.readUInt16BE(at('sockaddr_in', 'sin_port'))).toBe(0x1234)
  const address = at('sockaddr_in', 'sin_addr')
  expect([...bytes.subarray(address, address + 4)]).toEqual([10, 20, 30, 40])
  expect(bytes.reduce((sum, byte) => sum + byte, 0)).toBe(2 + 0x12 + 0x34 + 100)
})
