// What a scene holds for as long as it is looked at: C programs that keep its connections and its namespaces.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Children, withDeadline } from './children.ts'
import { compile } from './floor.ts'
import type { Scene } from './scale-scenes.ts'

const SERVERS = 20
const FIRST_SERVER_PORT = 8000
const OPEN_MS = 300_000

/** Opens the connections of our own namespace. */
export async function openConnections(
  children: Children,
  { connections, destinations }: Scene,
): Promise<void> {
  if (connections === 0) return
  const args = [FIRST_SERVER_PORT, SERVERS, destinations, connections]
  await hold(children, 'connections.c', args)
}

/** Makes the other namespaces, which end with the children; returns a file of each. */
export async function openNamespaces(
  children: Children,
  { namespaces, connectionsEach, seen }: Scene,
): Promise<readonly string[]> {
  if (namespaces === 0) return []
  const line = await hold(children, 'namespaces.c', [namespaces, connectionsEach, ...seen])
  return line
    .trim()
    .split(' ')
    .map((pid) => `/proc/${pid}/ns/net`)
}

/** Resolves with the line that the program prints when it holds everything. */
async function hold(children: Children, name: string, args: readonly number[]): Promise<string> {
  const { program, remove } = compile(name)
  try {
    const child = children.adopt(
      spawn(program, args.map(String), { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    const held = once(createInterface(child.stdout), 'line')
    const ended = once(child, 'exit').then(() => {
      throw new Error(`Cannot hold everything: ${name} has ended`)
    })
    ended.catch(() => undefined)
    const [line] = await withDeadline(Promise.race([held, ended]), OPEN_MS, 'Opening everything')
    return String(line)
  } finally {
    remove()
  }
}
