// Destinations of this run alone, and a tracing instance that hears of nothing else: whoever else is on the machine may really
// run out of ports, which would fill its rings and be counted as well.

import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

const PORTS = 8
/** Where probes go, those of other tests as well. They are heard if nothing else leaves them out. */
const PROBES_PORT = 9
/** Below every ephemeral range that the tests set. */
const FIRST = 10_000 + PORTS * randomInt(2500)

export const v4 = { address: '127.0.0.1', port: FIRST }
export const v6 = { address: '::1', port: FIRST }
export const mapped = { address: '::ffff:127.0.0.1', port: FIRST }
/** Where nobody listens. */
export const CLOSED_PORT = FIRST + 1

/** `probesToo`: what goes where probes go is heard as well. NB: whoever opens the instance again sets its filter anew, so that this is to be done again. */
export function listenToOwn(instancePath: string, probesToo: boolean): void {
  const probes = probesToo ? ` || dport == ${PROBES_PORT}` : ''
  listenTo(instancePath, `dport >= ${FIRST} && dport < ${FIRST + PORTS}${probes}`)
}

/** Leaves out whatever that expression of the kernel's event filters does not name. */
export function listenTo(instancePath: string, expression: string): void {
  const path = `${instancePath}/events/sock/inet_sock_set_state/filter`
  writeFileSync(path, `(${readFileSync(path, 'utf8').trim()}) && (${expression})`)
}
