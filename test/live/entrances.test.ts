// Where printed commands lead: to the namespace they are for, and not to a later one of the same name and inode.

import { spawnSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Diagnosis } from '../../src/diagnosis/diagnose.ts'
import { withNetns } from '../support/netns/actor.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { waitFor } from '../support/program/program.ts'
import { hasProgram } from '../support/program/tools.ts'

const missing = ['ip', 'nsenter', 'sysctl', 'stat'].find((name) => !hasProgram(name))
const skipReason = whyNotExact() ?? (missing && `needs ${missing}`)
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
/** Nobody is asked. */
const DOCTOR = ['doctor', '--json', '--web.listen-address=127.0.0.1:1']
const NAME = `entrance-${process.pid}`
const RANGE = 'net.ipv4.ip_local_port_range'
const SMALL = '41000\t41444\n'
const USUAL = '32768\t60999\n'
/** No other test has that size. */
const FEW = /^the port range 41000-41444 has 445 ports/

beforeEach((ctx) => {
  if (skipReason !== undefined) ctx.skip(skipReason)
})
afterEach(() => {
  spawnSync('ip', ['netns', 'del', NAME])
})

function run(file: string, ...args: string[]) {
  return spawnSync(file, args, { encoding: 'utf8', maxBuffer: 2 ** 26 })
}

function narrow(): void {
  expect(run('ip', 'netns', 'exec', NAME, 'sysctl', '-w', `${RANGE}=41000 41444`).status).toBe(0)
}

const readRange = () => run('ip', 'netns', 'exec', NAME, 'sysctl', '-n', RANGE).stdout
const readInode = () => run('stat', '-Lc', '%i', `/run/netns/${NAME}`).stdout

function findFew({ findings }: Diagnosis, netns: string) {
  return findings.find(({ what, namespaces }) => FEW.test(what) && namespaces[0] === netns)
}

/** What `doctor` finds. On a machine full of namespaces one sample does not come to each of them. */
function examine(netns: string, enter: readonly string[] = [], flags: readonly string[] = []) {
  const [file = '', ...args] = [...enter, process.execPath, MAIN, ...DOCTOR, ...flags]
  return waitFor(async () => findFew(JSON.parse(run(file, ...args).stdout), netns))
}

test('by name into that namespace, and into none that took name and inode over', async () => {
  run('ip', 'netns', 'add', NAME)
  narrow()
  const inode = readInode()
  const [command = ''] = (await examine(`named/${NAME}`)).commands
  expect(command).toMatch(/^ip netns exec entrance-/)
  // The kernel frees the inode a little later, and others may take it.
  const inodes: string[] = []
  for (let turn = 0; turn < 8 && !inodes.includes(inode); turn++) {
    run('ip', 'netns', 'del', NAME)
    await delay(1100)
    run('ip', 'netns', 'add', NAME)
    narrow()
    const { status, stderr } = run('sh', '-c', command)
    expect([status, stderr]).toEqual([1, 'Another namespace, nothing done\n'])
    expect(readRange()).toBe(SMALL)
    inodes.push(readInode())
  }
})

test('by name into the namespace that is still there', async () => {
  run('ip', 'netns', 'add', NAME)
  narrow()
  const [command = ''] = (await examine(`named/${NAME}`)).commands
  expect(run('sh', '-c', command)).toMatchObject({ status: 0, stderr: '' })
  expect(readRange()).toBe(USUAL)
})

test('by the exporter itself into its own namespace, where it watches nothing else', async () => {
  await withNetns(async (actor) => {
    await actor.call('setSysctls', { [RANGE]: '41000 41444' })
    await actor.call('startExporter', { flags: ['--netns=self', '--sample.interval=300ms'] })
    const found = await waitFor(async () => {
      const { body } = await actor.call('get', { path: '/api/v1/diagnosis' })
      return findFew((JSON.parse(body) as { diagnosis: Diagnosis }).diagnosis, 'self')
    })
    const command = found.commands[0] ?? ''
    expect(command).toMatch(/^nsenter -t \d+ -n /)
    expect(run('sh', '-c', command)).toMatchObject({ status: 0, stderr: '' })
    const range = { path: '/proc/sys/net/ipv4/ip_local_port_range' }
    expect(await actor.call('readFile', range)).toBe(USUAL)
  })
})

test('nowhere from a command that has ended, which says so', async () => {
  run('ip', 'netns', 'add', NAME)
  narrow()
  const found = await examine('self', ['ip', 'netns', 'exec', NAME], ['--netns=self'])
  expect(found.commands).toEqual([])
  expect(found.fix).toContain('no process is known that leads from the node')
})
