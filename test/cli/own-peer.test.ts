import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { isOwnPeer } from '../../src/cli/own-peer.ts'

const owns = () => ['127.0.0.1', '192.0.2.1', '192.0.2.2', '::1', '2001:db8::1']

describe('isOwnPeer()', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1', true],
    ['127.200.0.5', '127.0.0.1', true],
    ['::1', '::1', true],
    ['::ffff:127.0.0.9', '::ffff:127.0.0.1', true],
    ['198.51.100.1', '198.51.100.1', true],
    ['2001:db8::7', '2001:db8::7', true],
    ['192.0.2.2', '192.0.2.1', true],
    ['::ffff:192.0.2.2', '::ffff:192.0.2.1', true],
    ['192.0.2.3', '192.0.2.1', false],
    ['::ffff:192.0.2.3', '::ffff:192.0.2.1', false],
    ['2001:db8::7', '2001:db8::1', false],
    ['::127.0.0.1', '2001:db8::1', false],
    ['1.127.0.0', '192.0.2.1', false],
    ['::12', '2001:db8::1', false],
    [undefined, undefined, false],
  ])('of a connection to %s from %s is %s', (remoteAddress, localAddress, expected) => {
    expect(isOwnPeer({ remoteAddress, localAddress }, owns)).toBe(expected)
  })

  test('knows each address of this machine', async () => {
    const server = createServer((socket) => socket.end()).listen(0, '0.0.0.0')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const all = Object.values(networkInterfaces()).flatMap((one = []) => one)
    const hosts = all.filter(({ family }) => family === 'IPv4').map(({ address }) => address)
    try {
      for (const host of hosts) {
        const socket = connect(port, host)
        await once(socket, 'connect')
        expect(isOwnPeer(socket)).toBe(true)
        expect(isOwnPeer({ remoteAddress: host, localAddress: '203.0.113.1' })).toBe(true)
        socket.destroy()
      }
    } finally {
      server.close()
    }
  })
})
