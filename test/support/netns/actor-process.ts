// The actor: a process in a network namespace of its own, which does what its parent asks over the IPC channel and ends
// with it.
// Started by actor.ts at the root of the repository.

import { readFileSync, writeFileSync } from 'node:fs'
import { openLibc } from '../kernel/libc.ts'
import { createExporterOperations } from './actor-exporter.ts'
import { createSocketOperations } from './actor-sockets.ts'
import { enterSmallNetns } from './netns.ts'

export type Operations = ReturnType<typeof createOperations>

export interface Call {
  readonly id: number
  readonly name: keyof Operations
  readonly argument: unknown
}
/** `id` 0 is the actor's own first word: it is ready, or why it is not. */
export interface Reply {
  readonly id: number
  readonly result?: unknown
  readonly failure?: string
}

function createOperations() {
  const libc = openLibc()
  libc.setDescriptorLimit(1_000_000) // refused without harm where fs.nr_open is lower
  enterSmallNetns(libc)
  return {
    ...createSocketOperations(libc),
    ...createExporterOperations(),

    /** A file as this process' main thread sees it, for example /proc/self/net/tcp. */
    readFile: (file: { readonly path: string; readonly encoding?: 'utf8' | 'base64' }): string =>
      readFileSync(file.path, file.encoding ?? 'utf8'),

    /** Sets what is given, in order; a name is net.ipv4.tcp_tw_reuse or net/ipv4/tcp_tw_reuse. */
    setSysctls(values: Readonly<Record<string, string | number>>): void {
      for (const [name, value] of Object.entries(values)) {
        writeFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, `${value}\n`)
      }
    },

    /** Whose sockets the next ones are; 0 for root again. */
    actAs: (uid: number): void => process.seteuid?.(uid),
  }
}

async function answer(operations: Operations, call: Call): Promise<Reply> {
  try {
    const operation = operations[call.name] as (argument: unknown) => unknown
    return { id: call.id, result: await operation(call.argument) }
  } catch (error) {
    return { id: call.id, failure: describe(error) }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function reply(message: Reply): void {
  process.send?.(message)
}

function main(): void {
  try {
    const operations = createOperations()
    // The parent is done, or dead.
    process.on('disconnect', () => operations.killExporters().then(() => process.exit()))
    process.on('message', (call: Call) => answer(operations, call).then(reply))
    reply({ id: 0 })
  } catch (error) {
    reply({ id: 0, failure: describe(error) })
  }
}

main()
