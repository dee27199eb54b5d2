// Readings of the kernel's record as tests write them down.

import type { FailureEvent, FailureReading, RingCount } from '../../src/sample.ts'

export function buildEvent(part: Partial<FailureEvent> = {}): FailureEvent {
  return {
    cpu: 0,
    netns: 'a',
    owner: 'shop.service',
    source: '10.0.0.5',
    destination: '10.0.0.9:443',
    count: 1,
    ...part,
  }
}

export function buildReading(
  rings: readonly Partial<RingCount>[],
  events: readonly FailureEvent[] = [],
): FailureReading {
  return {
    rings: rings.map((ring) => ({ cpu: 0, gone: 0, strangers: 0, ...ring })),
    events,
    problem: undefined,
  }
}
