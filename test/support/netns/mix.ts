// Random but repeatable mixes of sockets: seed in, sockets of every kind inside the namespace's range out.

import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { createRandom, type Random } from '../program/random.ts'
import type { Netns } from './actor.ts'
import { actions, hiddenActions, openListeners } from './mix-actions.ts'

/** `even`: even ranges, nothing hidden. `odd`: odd ranges. `hidden`: even, with bind histories no dump shows. */
export type MixKind = 'even' | 'odd' | 'hidden'

export interface Settings {
  readonly first: number
  readonly last: number
  readonly reserved: readonly number[]
  readonly twReuse: number
  readonly twReuseDelayMs: number
  readonly timestamps: number
}

export interface Mix {
  readonly seed: number
  readonly settings: Settings
  /** How many sockets each action made. */
  readonly made: Readonly<Record<string, number>>
}

/** What a new namespace comes with. */
export const plainSettings: Settings = {
  first: 32_768,
  last: 60_999,
  reserved: [],
  twReuse: 2,
  twReuseDelayMs: 1000,
  timestamps: 1,
}

/**
 * Every combination of what decides whether a TIME_WAIT may be reused; twelve consecutive seeds meet all of them. By the
 * delay either all TIME_WAITs are old enough or none is: a mix lives for seconds, on a busy machine for many.
 */
const reuseSettings = [0, 1, 2].flatMap((twReuse) =>
  [1, 50_000].flatMap((twReuseDelayMs) =>
    [0, 1].map((timestamps) => ({ twReuse, twReuseDelayMs, timestamps })),
  ),
)

const REUSE_DELAY = 'net.ipv4.tcp_tw_reuse_delay'
const SCALE = 4

/** Draws the settings, applies them, makes the sockets and waits until they have settled. `watch` starts who is to see all. */
export async function makeMix(
  netns: Netns,
  options: { seed: number; kind: MixKind; watch?: () => Promise<void> },
): Promise<Mix> {
  const { seed, kind } = options
  const random = createRandom(seed)
  // One mix in eight is larger, with as many more sockets.
  const scale = kind !== 'odd' && random.chance(1 / 8) ? SCALE : 1
  const settings = takeSettings(random, { seed, odd: kind === 'odd', scale })
  await applySettings(netns, settings)
  await options.watch?.()
  const listeners = await openListeners(netns)
  const scene = { netns, random, range: settings, scale, listeners }

  const names = Object.keys(actions).filter((name) => kind === 'hidden' || !hiddenActions.has(name))
  const weighted = [...names, ...Array.from({ length: 5 }, () => 'connect'), 'bindAny']
  // The seed itself chooses the first, so that consecutive seeds leave nothing out; the settings are about TIME_WAIT.
  const chosen = [names[seed % names.length] ?? 'connect', 'timeWait', 'timeWait']
  for (let more = random.between(9, 27); more > 0; more--) chosen.push(random.pick(weighted))
  const made: Record<string, number> = {}
  for (const name of chosen) made[name] = (made[name] ?? 0) + ((await actions[name]?.(scene)) ?? 0)

  // Kernels without the delay take a second, and a TIME_WAIT must not become reusable between prediction and proof.
  await delay(existsSync(sysctlPath(REUSE_DELAY)) ? 60 : 1200)
  return { seed, settings, made }
}

/** One line for a failing test. */
export function describeMix({ seed, settings, made }: Mix): string {
  const { first, last, reserved, twReuse, twReuseDelayMs, timestamps } = settings
  const actionsText = Object.entries(made).map(([name, count]) => `${name}=${count}`)
  return [
    `seed ${seed}: range ${first}-${last}, reserved ${reserved.join(',') || 'none'}, tcp_tw_reuse=${twReuse}`,
    `tcp_tw_reuse_delay=${twReuseDelayMs}, tcp_timestamps=${timestamps}; ${actionsText.join(' ')}`,
  ].join(', ')
}

function takeSettings(
  random: Random,
  { seed, odd, scale }: { seed: number; odd: boolean; scale: number },
): Settings {
  const size = random.pick(odd ? [5, 37, 61, 75, 101] : [60, 80, 100, 140]) * scale
  const first = random.pick([40_000, 40_001, 51_000, 33_333])
  const last = first + size - 1
  const reserved = new Set<number>()
  for (let more = random.between(0, Math.min(9, size >> 2)); more > 0; more--) {
    reserved.add(random.between(first, last))
  }
  return {
    ...(reuseSettings[seed % reuseSettings.length] ?? plainSettings),
    first,
    last,
    reserved: [...reserved].sort((a, b) => a - b),
  }
}

export async function applySettings(netns: Netns, settings: Settings): Promise<void> {
  await netns.call('setSysctls', {
    'net.ipv4.ip_local_port_range': `${settings.first} ${settings.last}`,
    'net.ipv4.ip_local_reserved_ports': settings.reserved.join(','),
    'net.ipv4.tcp_tw_reuse': settings.twReuse,
    'net.ipv4.tcp_timestamps': settings.timestamps,
    ...(existsSync(sysctlPath(REUSE_DELAY)) ? { [REUSE_DELAY]: settings.twReuseDelayMs } : {}),
  })
}

function sysctlPath(name: string): string {
  return `/proc/sys/${name.replaceAll('.', '/')}`
}
