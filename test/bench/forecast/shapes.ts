// Shapes that several scenarios have: a step, a leak, a restart, a scale-down, a range that shrinks.

import type { Random } from './random.ts'
import type { Scenario } from './simulation.ts'
import { CAPACITY_PORTS, leak, rateFor, requests, scenario, step } from './traffic.ts'

export function stepTo(
  share: number,
  minutes: number,
  capacityPorts = CAPACITY_PORTS,
): (random: Random) => Scenario {
  return (random) => {
    const holdSeconds = 1
    const onsetSeconds = 300 + random.between(0, 5)
    return scenario({
      name: `step to ${share}`,
      capacityPorts,
      durationSeconds: minutes * 60,
      onsetSeconds,
      traffic: [
        requests({
          rate: step(
            rateFor(0.4, holdSeconds, capacityPorts),
            rateFor(share, holdSeconds, capacityPorts),
            onsetSeconds,
          ),
          holdSeconds,
        }),
      ],
    })
  }
}

export function leakOn(share: number, portsPerSecond: number): (random: Random) => Scenario {
  return (random) => {
    const onsetSeconds = 300 + random.between(0, 5)
    return scenario({
      name: `leak of ${portsPerSecond}/s`,
      durationSeconds: 600 + (1.1 * (1 - share) * CAPACITY_PORTS) / portsPerSecond,
      onsetSeconds,
      traffic: [
        requests({ rate: () => rateFor(share, 1), holdSeconds: 1 }),
        leak(portsPerSecond, onsetSeconds),
      ],
    })
  }
}

export function restartAt(atSeconds: number, liveShare: number, requestShare: number): Scenario {
  const ports = Math.round(liveShare * CAPACITY_PORTS)
  return scenario({
    name: 'restart',
    durationSeconds: atSeconds + 900,
    onsetSeconds: atSeconds,
    traffic: [
      requests({ rate: () => rateFor(requestShare, 1), holdSeconds: 1 }),
      {
        destination: 0,
        rate: (at) => (at >= atSeconds && at < atSeconds + 5 ? ports / 5 : 0),
        hold: () => Number.POSITIVE_INFINITY,
        timeWait: true,
      },
    ],
    initial: [{ destination: 0, ports, hold: () => Number.POSITIVE_INFINITY }],
    restarts: [{ atSeconds, destination: 0 }],
  })
}

/** Connections that nobody opens again: fewer clients are left. */
export function scaleDownAt(atSeconds: number, liveShare: number, requestShare: number): Scenario {
  const forever = () => Number.POSITIVE_INFINITY
  return scenario({
    name: 'scale-down',
    durationSeconds: atSeconds + 900,
    onsetSeconds: atSeconds,
    traffic: [requests({ rate: () => rateFor(requestShare, 1), holdSeconds: 1 })],
    initial: [{ destination: 0, ports: Math.round(liveShare * CAPACITY_PORTS), hold: forever }],
    restarts: [{ atSeconds, destination: 0 }],
  })
}

export function shrinkTo(capacityPorts: number, atSeconds: number): Scenario {
  return scenario({
    name: 'shrink',
    durationSeconds: 1500,
    onsetSeconds: atSeconds,
    traffic: [requests({ rate: () => rateFor(0.4, 1), holdSeconds: 1 })],
    shrink: { atSeconds, capacityPorts },
  })
}
