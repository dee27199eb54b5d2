// The flow of a port probe (probes/port.ts), by which the record of failed allocations leaves it out.

export const PROBE_FLOW = {
  /** Loopback, and nobody binds to it: no connection of anybody's is in the way. */
  from: [127, 254, 254, 254],
  to: [127, 0, 0, 1],
  /** The discard service, which nobody runs. Should somebody, the connection is reset before it says anything. */
  port: 9,
} as const
