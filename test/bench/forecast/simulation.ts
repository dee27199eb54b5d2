// A pool of ephemeral ports under load, connection by connection: scenario and seed -> readings until the first failed
// allocation. Arrivals are a Poisson process, each connection draws its own holding time, TIME_WAIT goes on the kernel's grid
// (60 s and up to 2.048 s more), and tcp_tw_reuse hands an old TIME_WAIT port to a new connection. Event times are exact; the
// books are closed every tick.
// NB: imports nothing of the program, so that the estimator is not judged by its own idea of the world.

import type { Random } from './random.ts'

export interface Traffic {
  /** Index of the destination; each has the whole range for itself. */
  readonly destination: number
  /** Connections per second at a moment, when the destination has that many live ones: clients that wait ask for less. */
  readonly rate: (atSeconds: number, live: number) => number
  /** How long a connection that opens at that moment stays; Infinity is a leak. */
  readonly hold: (atSeconds: number, random: Random) => number
  /** So many open at once, as a page that fans out does; 1 where nothing is said. */
  readonly clump?: number
  /** True when our side closes first and TIME_WAIT stays with us. */
  readonly timeWait: boolean
}

export interface Scenario {
  readonly name: string
  readonly capacityPorts: number
  readonly durationSeconds: number
  readonly traffic: readonly Traffic[]
  /** tcp_tw_reuse with its delay of one second. */
  readonly reuse?: boolean
  /** Connections that exist at the start, with what is left of their life. */
  readonly initial?: readonly {
    destination: number
    ports: number
    hold: (random: Random) => number
  }[]
  /** Moments at which every connection of a destination closes at once. */
  readonly restarts?: readonly { atSeconds: number; destination: number }[]
  /** A narrower range at run time. */
  readonly shrink?: { readonly atSeconds: number; readonly capacityPorts: number }
  /** When the thing to notice begins; 0 where it always was. */
  readonly onsetSeconds: number
}

export interface Reading {
  readonly atSeconds: number
  readonly capacityPorts: number
  readonly blockedPorts: number
  readonly reuse: boolean
  readonly tracks: readonly Track[]
}

export interface Track {
  readonly key: string
  readonly availablePorts: number
  readonly livePorts: number
  readonly timeWaitPorts: number
  readonly reclaimablePorts: number
  readonly expiring: readonly number[]
}

export interface Run {
  readonly readings: readonly Reading[]
  /** The first allocation that failed, negative when that was before the first reading; undefined when none did. */
  readonly failedAtSeconds: number | undefined
}

const TICKS_PER_SECOND = 10
const TIME_WAIT_TICKS = 60 * TICKS_PER_SECOND
/** The timer wheel's granularity at 60 s (HZ=250: 512 jiffies): what is due goes at the next multiple. */
const GRID_TICKS = 2.048 * TICKS_PER_SECOND
const LONGEST_TICKS = TIME_WAIT_TICKS + Math.ceil(GRID_TICKS)
const REUSE_TICKS = TICKS_PER_SECOND
/** Load before the first reading, so that TIME_WAIT is at its level when watching begins. */
const SETTLE_SECONDS = 120

interface Destination {
  live: number
  timeWait: number
  /** Closes to come, by tick. */
  readonly closing: Int32Array
  /** Those of `closing` that leave a TIME_WAIT. */
  readonly closingToTimeWait: Int32Array
  /** TIME_WAIT ports still held, by the tick of their close. */
  readonly closed: Int32Array
  /** No TIME_WAIT is older than this tick. */
  oldest: number
  /** All that closed before this tick has gone. */
  gone: number
}

export function simulate(scenario: Scenario, random: Random, intervalSeconds: number): Run {
  const { traffic, durationSeconds } = scenario
  const firstTick = -SETTLE_SECONDS * TICKS_PER_SECOND
  const ticks = Math.ceil(durationSeconds * TICKS_PER_SECOND) - firstTick + 1
  const count = 1 + Math.max(...traffic.map((one) => one.destination))
  const destinations = Array.from({ length: count }, () => createDestination(ticks))
  const due = traffic.map(() => random.exponential(1))
  const elapsed = traffic.map(() => 0)
  const readings: Reading[] = []
  let capacity = scenario.capacityPorts
  let nextReading = 0

  for (const { destination, ports, hold } of scenario.initial ?? []) {
    const into = destinations[destination]
    if (into === undefined) throw new RangeError(`Cannot start destination ${destination}`)
    const timeWait = traffic.some((one) => one.destination === destination && one.timeWait)
    for (let i = 0; i < ports; i++) scheduleClose(into, hold(random) * TICKS_PER_SECOND, timeWait)
    into.live += ports
  }

  for (let tick = 0; tick < ticks; tick++) {
    const atSeconds = (tick + firstTick) / TICKS_PER_SECOND
    if (isTickOf(scenario.shrink?.atSeconds, atSeconds) && scenario.shrink !== undefined) {
      const kept = scenario.shrink.capacityPorts / capacity
      capacity = scenario.shrink.capacityPorts
      for (const one of destinations) thin(one, tick, kept, random)
    }
    for (const { destination, atSeconds: restart } of scenario.restarts ?? []) {
      const one = destinations[destination]
      if (one !== undefined && isTickOf(restart, atSeconds)) closeAll(one, tick)
    }
    for (let i = 0; i < traffic.length; i++) {
      const source = traffic[i]
      const into = source && destinations[source.destination]
      if (source === undefined || into === undefined) continue
      const rate = source.rate(atSeconds, into.live)
      const before = elapsed[i] ?? 0
      const clump = source.clump ?? 1
      const after = before + rate / clump / TICKS_PER_SECOND
      let next = due[i] ?? 0
      while (next < after) {
        const at = tick + (next - before) / (after - before)
        for (let one = 0; one < clump; one++) {
          const closesAt = at + source.hold(atSeconds, random) * TICKS_PER_SECOND
          if (scenario.reuse) recycle(into, tick, capacity, random)
          into.live++
          scheduleClose(into, closesAt, source.timeWait)
        }
        next += random.exponential(1)
      }
      due[i] = next
      elapsed[i] = after
    }
    let failed = false
    for (const one of destinations) {
      settle(one, tick)
      const hard = scenario.reuse ? one.live + countYoung(one, tick) : one.live + one.timeWait
      if (hard > capacity) failed = true
    }
    if (failed) return { readings, failedAtSeconds: atSeconds }
    if (atSeconds >= nextReading) {
      nextReading += intervalSeconds
      readings.push({
        atSeconds,
        capacityPorts: capacity,
        blockedPorts: 0,
        reuse: scenario.reuse === true,
        tracks: destinations.map((one, index) =>
          readTrack(one, String(index), tick, capacity, scenario.reuse === true),
        ),
      })
    }
  }
  return { readings, failedAtSeconds: undefined }
}

function createDestination(ticks: number): Destination {
  return {
    live: 0,
    timeWait: 0,
    closing: new Int32Array(ticks),
    closingToTimeWait: new Int32Array(ticks),
    closed: new Int32Array(ticks),
    oldest: 0,
    gone: 0,
  }
}

/** The first tick that is not before the moment. */
function isTickOf(moment: number | undefined, atSeconds: number): boolean {
  if (moment === undefined) return false
  const late = Math.round((atSeconds - moment) * TICKS_PER_SECOND * 1e6) / 1e6
  return late >= 0 && late < 1
}

function scheduleClose(into: Destination, closesAtTick: number, timeWait: boolean): void {
  if (closesAtTick >= into.closing.length) return
  const tick = Math.floor(closesAtTick)
  into.closing[tick] = (into.closing[tick] ?? 0) + 1
  if (timeWait) into.closingToTimeWait[tick] = (into.closingToTimeWait[tick] ?? 0) + 1
}

/** Ends what ends in this tick: connections into TIME_WAIT, TIME_WAIT into nothing. */
function settle(one: Destination, tick: number): void {
  const closing = one.closing[tick] ?? 0
  const toTimeWait = one.closingToTimeWait[tick] ?? 0
  one.live -= closing
  one.timeWait += toTimeWait
  one.closed[tick] = (one.closed[tick] ?? 0) + toTimeWait
  if (Math.floor(tick / GRID_TICKS) === Math.floor((tick - 1) / GRID_TICKS)) return
  for (; one.gone <= tick - TIME_WAIT_TICKS; one.gone++) {
    one.timeWait -= one.closed[one.gone] ?? 0
    one.closed[one.gone] = 0
  }
}

function closeAll(one: Destination, tick: number): void {
  one.closing.fill(0, tick)
  one.closingToTimeWait.fill(0, tick)
  one.closing[tick] = one.live
  one.closingToTimeWait[tick] = one.live
}

/** Each port is inside the narrower range with the same chance; what is outside no longer counts. */
function thin(one: Destination, tick: number, kept: number, random: Random): void {
  let open = one.live
  let lost = 0
  for (let i = tick; i < one.closing.length; i++) {
    const closing = one.closing[i] ?? 0
    const stay = random.binomial(closing, kept)
    open -= closing
    lost += closing - stay
    one.closing[i] = stay
    one.closingToTimeWait[i] = Math.min(stay, one.closingToTimeWait[i] ?? 0)
  }
  one.live -= lost + (open - random.binomial(open, kept))
  one.timeWait = 0
  for (let i = one.gone; i <= tick; i++) {
    one.closed[i] = random.binomial(one.closed[i] ?? 0, kept)
    one.timeWait += one.closed[i] ?? 0
  }
}

/** A new connection meets a random port: where that is an old TIME_WAIT, it takes it over (the oldest, for the books). */
function recycle(one: Destination, tick: number, capacity: number, random: Random): void {
  const old = one.timeWait - countYoung(one, tick)
  const free = Math.max(0, capacity - one.live - one.timeWait)
  if (old <= 0 || random.next() * (old + free) >= old) return
  one.oldest = Math.max(one.oldest, one.gone)
  while ((one.closed[one.oldest] ?? 0) === 0 && one.oldest < tick) one.oldest++
  one.closed[one.oldest] = (one.closed[one.oldest] ?? 0) - 1
  one.timeWait--
}

function countYoung(one: Destination, tick: number): number {
  let young = 0
  for (let i = Math.max(0, tick - REUSE_TICKS + 1); i <= tick; i++) young += one.closed[i] ?? 0
  return young
}

function readTrack(
  one: Destination,
  key: string,
  tick: number,
  capacity: number,
  reuse: boolean,
): Track {
  const young = reuse ? countYoung(one, tick) : one.timeWait
  const expiring = new Array<number>(60).fill(0)
  const span = reuse ? REUSE_TICKS : LONGEST_TICKS
  for (let age = 0; age < span && age <= tick; age++) {
    const second = Math.max(0, Math.floor((TIME_WAIT_TICKS - 1 - age) / TICKS_PER_SECOND))
    expiring[second] = (expiring[second] ?? 0) + (one.closed[tick - age] ?? 0)
  }
  return {
    key,
    availablePorts: capacity - one.live - young,
    livePorts: one.live,
    timeWaitPorts: young,
    reclaimablePorts: one.timeWait - young,
    expiring,
  }
}
