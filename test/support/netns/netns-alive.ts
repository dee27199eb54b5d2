// Which network namespaces the kernel still has, whoever keeps them: each is given an id in our own one, which keeps nothing
// alive and which the kernel takes away as soon as nobody holds the namespace any more (net/core/net_namespace.c: cleanup_net).

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { check, errnoName, type Libc, openLibc } from '../kernel/libc.ts'
import { askRoute, encodeAttribute } from '../kernel/rtnetlink.ts'
import type { Member, NetnsCrowd } from './netns-crowd.ts'

const RTM = { newId: 88, getId: 90 } as const
const NETNSA = { id: 1, pid: 2 } as const
/** Far above those that the kernel chooses itself, and a thousand for each process that counts. Fits into 31 bits. */
const FIRST_ID = 1_000_000 + (process.pid % 1_000_000) * 1000
const ENOENT = -2
/** A namespace loses its id some milliseconds before its inode. */
const INODE_MS = 200
/** Far longer than a sample. */
const STOP_MS = 120_000

/** Begins with the namespaces of these processes; each call returns how many of them are left. */
export function watchNamespaces(members: readonly Member[]): () => number {
  const libc = openLibc()
  const ids = members.map(({ pid }, index) => {
    const id = FIRST_ID + index
    const body = encodeRequest([
      [NETNSA.id, id],
      [NETNSA.pid, pid],
    ])
    check(`give the namespace of ${pid} an id`, askRoute(libc, RTM.newId, 0, body))
    return id
  })
  return () => ids.filter((id) => isAlive(libc, id)).length
}

/** Ends them, and comes back when others may get their inodes. */
export async function endAndFree(crowd: NetnsCrowd, members: readonly Member[]): Promise<void> {
  const countAlive = watchNamespaces(members)
  await crowd.end(members)
  await expect.poll(countAlive, { timeout: 120_000, interval: 10 }).toBe(0)
  await delay(INODE_MS)
}

/**
 * Ends that namespace and makes others until one has the number that it had, which the kernel hands out from the lowest free
 * one on; undefined where another test was quicker. The process `unseenBy` stands still meanwhile: it never sees that nobody
 * is there.
 */
export async function replaceUnseen(
  crowd: NetnsCrowd,
  old: Member,
  { unseenBy, ...heir }: HeirOptions & { readonly unseenBy: number },
): Promise<Member | undefined> {
  try {
    await stopOutside(unseenBy, old)
    return await makeHeir(crowd, old, heir)
  } finally {
    process.kill(unseenBy, 'SIGCONT')
  }
}

/** Stops that process when none of its threads is in the namespace or holds it open, which would keep it alive. */
async function stopOutside(pid: number, { pid: inside, inode }: Member): Promise<void> {
  const tasks = () => readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`)
  const isStopped = () =>
    tasks().every((task) => / [Tt] /.test(readFileSync(`${task}/stat`, 'utf8').split(')')[1] ?? ''))
  const held = new RegExp(`^(net:\\[${inode}\\]|/proc/${inside}/.*)$`)
  const isHeld = () =>
    [
      ...tasks().map((task) => `${task}/ns/net`),
      ...readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`),
    ].some((link) => held.test(readlinkSync(link)))
  const deadline = Date.now() + STOP_MS
  for (;;) {
    process.kill(pid, 'SIGSTOP')
    await expect.poll(isStopped, { interval: 5 }).toBe(true)
    if (!isHeld()) return
    process.kill(pid, 'SIGCONT')
    if (Date.now() > deadline) throw new Error(`Process ${pid} keeps the namespace open`)
    await delay(20)
  }
}

interface HeirOptions {
  readonly order?: Parameters<NetnsCrowd['createOne']>[0]
  readonly numberOf?: (member: Member) => number
}

async function makeHeir(
  crowd: NetnsCrowd,
  old: Member,
  { order = {}, numberOf = ({ inode }) => inode }: HeirOptions,
): Promise<Member | undefined> {
  const wanted = numberOf(old)
  await endAndFree(crowd, [old])
  const others: Member[] = []
  let heir: Member | undefined
  for (let number = 0; number < wanted; ) {
    const made = await crowd.createOne(order)
    number = numberOf(made)
    if (number === wanted) heir = made
    else others.push(made)
  }
  await crowd.end(others)
  return heir
}

/** Those of namespaces that ended whose inode no other has by now: other tests make namespaces meanwhile. */
export function withoutHeirs<T extends Pick<Member, 'inode'>>(ended: readonly T[]): readonly T[] {
  const inodes = new Set(readdirSync('/proc').map(readInode))
  return ended.filter(({ inode }) => !inodes.has(inode))
}

function readInode(pid: string): number {
  try {
    return Number(readlinkSync(`/proc/${pid}/ns/net`).match(/\d+/)?.[0])
  } catch {
    return Number.NaN // no process, or one that has ended
  }
}

function isAlive(libc: Libc, id: number): boolean {
  const result = askRoute(libc, RTM.getId, 0, encodeRequest([[NETNSA.id, id]]))
  if (result === 0) return true
  if (result === ENOENT) return false
  throw new Error(`Cannot look for the namespace ${id}: ${errnoName(result)}`)
}

// struct rtgenmsg: family u8, padded to four bytes
function encodeRequest(attributes: readonly (readonly [type: number, value: number])[]): Buffer {
  const values = attributes.map(([type, value]) =>
    encodeAttribute(type, Uint8Array.from(Buffer.from(Uint32Array.of(value).buffer))),
  )
  return Buffer.concat([Buffer.alloc(4), ...values])
}
