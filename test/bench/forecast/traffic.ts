// What scenarios are made of: requests, leaks and rates over time.

import type { Scenario, Traffic } from './simulation.ts'

export const CAPACITY_PORTS = 28_232

interface Request {
  readonly destination?: number
  readonly rate: (atSeconds: number) => number
  readonly holdSeconds: number
}

/** Requests that our side ends: exponential holding time, then TIME_WAIT. */
export function requests({ destination = 0, rate, holdSeconds }: Request): Traffic {
  return {
    destination,
    rate,
    hold: (_, random) => random.exponential(holdSeconds),
    timeWait: true,
  }
}

export function leak(portsPerSecond: number, fromSeconds: number, destination = 0): Traffic {
  return {
    destination,
    rate: (at) => (at < fromSeconds ? 0 : portsPerSecond),
    hold: () => Number.POSITIVE_INFINITY,
    timeWait: false,
  }
}

/** The rate at which requests settle at that share of the capacity. */
export function rateFor(share: number, holdSeconds: number, capacity = CAPACITY_PORTS): number {
  return (share * capacity) / (60 + holdSeconds)
}

export function step(before: number, after: number, atSeconds: number): (at: number) => number {
  return (at) => (at < atSeconds ? before : after)
}

export function scenario(
  parts: Omit<Scenario, 'capacityPorts'> & { readonly capacityPorts?: number },
): Scenario {
  return { capacityPorts: CAPACITY_PORTS, ...parts }
}
