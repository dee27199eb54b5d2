// What the kernel really does behind the files, in namespaces made for it.

import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { expect, test } from 'vitest'
import { isInitialNamespace, readNetSettings } from '../../src/kernel/sysctl.ts'
import { AF, check, SOCK } from '../support/kernel/libc.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { inFreshNetns } from './fresh-netns.ts'

const RESERVED = '/proc/sys/net/ipv4/ip_local_reserved_ports'

test('readNetSettings() reads the namespace of the calling thread', (ctx) => {
  ctx.skip(whyNotLive() !== undefined, whyNotLive())
  const inside = inFreshNetns(() => {
    writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '41000 41999')
    writeFileSync(RESERVED, '41010-41020,41500')
    writeFileSync('/proc/sys/net/ipv4/tcp_tw_reuse', '1')
    return { settings: readNetSettings('/proc/sys'), isInitial: isInitialNamespace('/proc/sys') }
  })
  expect(inside.isInitial).toBe(false)
  expect(inside.settings).toMatchObject({
    range: { first: 41000, last: 41999 },
    reserved: [
      { first: 41010, last: 41020 },
      { first: 41500, last: 41500 },
    ],
    ipv6: true,
    tcpTwReuse: 1,
  })
  expect(readNetSettings('/proc/sys').range).not.toEqual(inside.settings.range)
})

test('readNetSettings() reads a list of reserved ports that readFileSync() cuts', (ctx) => {
  ctx.skip(whyNotLive() !== undefined, whyNotLive())
  const ports = Array.from({ length: 15_000 }, (_, index) => 30_001 + 2 * index)
  const { settings, naive } = inFreshNetns(() => {
    // One write takes a page at most; what follows on the same descriptor adds to it.
    const fd = openSync(RESERVED, 'w')
    for (let at = 0; at < ports.length; at += 500) {
      writeSync(fd, ports.slice(at, at + 500).join(','))
    }
    closeSync(fd)
    return { settings: readNetSettings('/proc/sys'), naive: readFileSync(RESERVED, 'utf8') }
  })
  expect(settings.reserved).toEqual(ports.map((port) => ({ first: port, last: port })))
  expect(naive.length).toBeLessThan(ports.join(',').length)
})

test('readNetSettings() says ipv6 where a dual-stack bind works although disable_ipv6 is set', (ctx) => {
  ctx.skip(whyNotLive() !== undefined, whyNotLive())
  const { ipv6, bound, collides } = inFreshNetns((libc) => {
    for (const name of ['all', 'default', 'lo']) {
      writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1')
    }
    const six = check('open a socket', libc.socket(AF.inet6, SOCK.stream | SOCK.closeOnExec, 0))
    const four = check('open a socket', libc.socket(AF.inet, SOCK.stream | SOCK.closeOnExec, 0))
    const result = {
      ipv6: readNetSettings('/proc/sys').ipv6,
      bound: libc.bind(six, { address: '::', port: 45_000 }),
      collides: libc.bind(four, { address: '0.0.0.0', port: 45_000 }),
    }
    libc.close(six)
    libc.close(four)
    return result
  })
  expect({ ipv6, bound }).toEqual({ ipv6: true, bound: 0 })
  expect(collides).toBeLessThan(0)
})
