// A process that goes from one network namespace into new ones: a line on standard input -> into ever new ones, until one
// has the inode of the one it was in at first, which is then told on standard output. Ends with its input.

import { statSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { openLibc } from '../kernel/libc.ts'
import { unshareNetns } from './netns.ts'

const MOST_MOVES = 200
/** In which the kernel mostly frees a namespace that was left. */
const FREEING_MS = 30

const libc = openLibc()
const inode = () => statSync('/proc/self/ns/net').ino
unshareNetns(libc)
const first = inode()
console.log(JSON.stringify({ inode: first, again: false }))

for await (const range of createInterface({ input: process.stdin })) {
  let moves = 0
  do {
    unshareNetns(libc)
    await delay(FREEING_MS)
  } while (inode() !== first && ++moves < MOST_MOVES)
  writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', range)
  console.log(JSON.stringify({ inode: inode(), again: inode() === first }))
}
