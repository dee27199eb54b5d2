// Descriptions of the event as kernels gave them, under test/fixtures/tracefs.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEventFormat, parsePageFormat } from '../../src/kernel/trace-event-format.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/tracefs')

export function readFixture(name: string): string {
  return readFileSync(join(FIXTURES, name), 'utf8')
}

export const currentFormat = {
  event: parseEventFormat(readFixture('linux-6.18/inet_sock_set_state.format')),
  layout: parsePageFormat(readFixture('linux-6.18/header_page')),
}

/** Earlier kernels, with one byte for the protocol: the addresses stand at odd offsets. */
export const earlierFormat = {
  event: parseEventFormat(readFixture('protocol-of-one-byte.format')),
  layout: currentFormat.layout,
}
