// A cable between two throwaway namespaces: each end has an address, so that one is a peer of the other and not itself.

import { execFileSync } from 'node:child_process'
import type { Netns } from './actor.ts'

/** Both addresses lie in one /24. */
export interface End {
  readonly netns: Netns
  readonly address: string
}

/** Joins two namespaces. Needs the program ip. */
export function joinByVeth(left: End, right: End): void {
  const [here, there] = [left, right].map(({ netns }) => String(netns.pid)) as [string, string]
  const device = ['m0', 'netns', here, 'type', 'veth']
  const peer = ['peer', 'name', 'm1', 'netns', there]
  execFileSync('ip', ['link', 'add', ...device, ...peer], { stdio: 'pipe' })
  for (const [pid, name, address] of [
    [here, 'm0', left.address],
    [there, 'm1', right.address],
  ] as const) {
    const inside = (...args: readonly string[]) =>
      execFileSync('nsenter', ['-t', pid, '-n', 'ip', ...args], { stdio: 'pipe' })
    inside('addr', 'add', `${address}/24`, 'dev', name)
    inside('link', 'set', name, 'up')
  }
}
