// systeminformation asked for by name lists real sockets, those of a namespace made for it: a busy machine has too many for it.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { hasProgram } from '../support/program/tools.ts'

const hasLister = hasProgram('netstat') || hasProgram('ss')
const skipReason =
  whyNotLive() ??
  (hasLister && hasProgram('nsenter') ? undefined : 'needs nsenter, and netstat or ss')
const to = { address: '127.0.0.1', port: 8001 }

/** What list-system.ts prints in that namespace. */
async function list({ pid }: Netns, ownPort: number): Promise<unknown> {
  const program = [process.execPath, '--import', 'tsx', 'test/sources/list-system.ts', `${ownPort}`]
  const { stdout } = await promisify(execFile)('nsenter', [`--net=/proc/${pid}/ns/net`, ...program])
  return JSON.parse(stdout)
}

test('lists real sockets, both sides of a connection', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async (netns) => {
    await netns.call('open', { bind: to, listen: 100 })
    const { locals } = await netns.call('open', { connect: to, count: 1 })
    const listed = await list(netns, to.port)
    expect(listed).toMatchObject({ reader: 'systeminformation', refusals: [] })
    const { rows } = listed as { rows: string[] }
    const client = `127.0.0.1:${locals[0]?.port}`
    expect(rows.toSorted()).toEqual(
      [
        'tcp listen 127.0.0.1:8001 > 0.0.0.0:0',
        `tcp established 127.0.0.1:8001 > ${client}`,
        `tcp established ${client} > 127.0.0.1:8001`,
      ].toSorted(),
    )
  })
})

test('does not fall back to another source where its table lacks our own listener', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async (netns) => {
    await netns.call('open', { bind: to, listen: 100 })
    expect(await list(netns, 8002)).toEqual({
      failure: expect.stringMatching(
        /^No source of sockets works here\. systeminformation: Cannot trust (?!.*(netlink|procfs): )/,
      ),
    })
  })
})

test('fills the page of the program', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async ({ call }) => {
    // Of the usual range, ten ports are too few for a row of their own.
    await call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40099' })
    await call('open', { bind: to, listen: 100 })
    await call('open', { connect: to, count: 10 })
    await call('startExporter', { flags: ['--source=systeminformation'] })
    const read = async () => (await call('get', { path: '/metrics' })).body
    await expect
      .poll(read, { timeout: 120_000 })
      .toMatch(/^ephemeral_port_destination_used_ports\{.*destination="127\.0\.0\.1:8001".*\} 10$/m)
    expect(await read()).toMatch(/reader="systeminformation"/)
  })
})
