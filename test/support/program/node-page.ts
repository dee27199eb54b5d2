// The page of a program that looks at every namespace of the node: started here, read here, one namespace at a time.

import { setTimeout as delay } from 'node:timers/promises'
import type { Diagnosis } from '../../../src/diagnosis/diagnose.ts'
import type { Snapshot } from '../../../src/snapshot.ts'
import { hasReadings, msToNextSample, type Page, parsePage } from '../netns/actor-page.ts'
import { findFreePort } from './free-port.ts'
import { type Program, type ProgramOptions, withProgram } from './program.ts'

export interface NodeExporter {
  /** Where it listens. */
  readonly address: string
  readonly program: Program
  /** The whole page, once it has readings; throws where none is answered. */
  read(): Promise<Page>
  /** What the page says of one namespace, and of the exporter. */
  readOf(netns: string): Promise<Page>
  /** That page, of a read that began after this call, so that it knows everything done before. */
  readFreshOf(netns: string): Promise<Page>
  /** Of /api/v1/snapshot. */
  readSnapshot(): Promise<Snapshot>
  /** Of /api/v1/diagnosis. */
  readDiagnosis(): Promise<Diagnosis>
  /** Reads until `ask` finds what it looks for on a page with readings. */
  until<T>(ask: (page: Page) => T | undefined): Promise<T>
}

const DEADLINE_MS = 180_000
const POLL_MS = 50
/** What is waited for may be something else than a sample. */
const LONGEST_PAUSE_MS = 250
/** The timestamps on both sides are whole milliseconds. */
const ROUNDING_SECONDS = 0.002

/** Starts the built program with these flags, and ends it whatever happens. */
export async function withNodeExporter<T>(
  flags: readonly string[],
  use: (exporter: NodeExporter) => Promise<T>,
  options: ProgramOptions = {},
): Promise<T> {
  const port = await findFreePort()
  const address = `127.0.0.1:${port}`
  const args = [`--web.listen-address=${address}`, '--web.disable-exporter-metrics', ...flags]
  return withProgram(
    args,
    async (program) => {
      const readText = async () => {
        const answer = await fetch(`http://${address}/metrics`)
        if (!answer.ok) throw new Error(`GET /metrics gave ${answer.status}`)
        return answer.text()
      }
      const readJson = async <T>(name: string): Promise<T> => {
        const answer = await fetch(`http://${address}/api/v1/${name}`)
        if (!answer.ok) throw new Error(`GET /api/v1/${name} gave ${answer.status}`)
        return JSON.parse(await answer.text()) as T
      }
      const pageOf = (netns: string, { text }: Page) => parsePage(linesOf(text, netns))
      async function untilFound<T>(
        next: () => Promise<Page | undefined>,
        ask: (page: Page) => T | undefined,
      ): Promise<T> {
        const deadline = Date.now() + DEADLINE_MS
        for (;;) {
          const page = await next()
          const isRead = page !== undefined && hasReadings(page)
          const found = isRead ? ask(page) : undefined
          if (found !== undefined) return found
          if (Date.now() > deadline) {
            const what = page === undefined ? 'No page' : isRead ? 'Not on the page' : 'No readings'
            throw new Error(`${what} for ${DEADLINE_MS} ms. ${program.stderr()}`)
          }
          await pause(page)
        }
      }
      const readAny = () => readText().then(parsePage)
      const until = <T>(ask: (page: Page) => T | undefined) =>
        untilFound(() => readAny().catch(() => undefined), ask)
      const read = () => untilFound(readAny, (page) => page)
      return use({
        address,
        program,
        read,
        readOf: async (netns) => pageOf(netns, await read()),
        readSnapshot: async () => (await readJson<{ snapshot: Snapshot }>('snapshot')).snapshot,
        readDiagnosis: async () =>
          (await readJson<{ diagnosis: Diagnosis }>('diagnosis')).diagnosis,
        readFreshOf: async (netns) => {
          const askedAtSeconds = Date.now() / 1000 + ROUNDING_SECONDS
          const name = 'ephemeral_port_netns_last_read_timestamp_seconds'
          const readAfter = (seconds: number) =>
            until((page) => {
              const timestamp = page.find(name, { netns }) ?? 0
              return timestamp > seconds ? { timestamp, page } : undefined
            })
          // The timestamp is that of the end: only the read after the next is sure to begin after it.
          const { timestamp } = await readAfter(askedAtSeconds)
          return pageOf(netns, (await readAfter(timestamp)).page)
        },
        until,
      })
    },
    options,
  )
}

/** Waits while the page is likely to stay as it is: to read it costs both sides more than all else that a test does. */
async function pause(page: Page | undefined): Promise<void> {
  const ms = page === undefined ? 0 : msToNextSample(page)
  await delay(Math.min(Math.max(ms, POLL_MS), LONGEST_PAUSE_MS))
}

/** Without the lines about other namespaces. */
function linesOf(text: string, netns: string): string {
  return text
    .split('\n')
    .filter((line) => !line.includes('netns="') || line.includes(`netns="${netns}"`))
    .join('\n')
}
