// The demo without Docker: compose.yaml as a value, and the files of a service laid out as its container sees them.

import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

export const COMPOSE = fileURLToPath(new URL('../../../deploy/compose', import.meta.url))

export interface Service {
  /** Undefined where Compose names what it builds after the service. */
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly sysctls?: Readonly<Record<string, string | number>>
  readonly network_mode?: string
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly privileged?: boolean
}

export interface Compose {
  readonly name: string
  readonly services: Readonly<Record<string, Service>>
}

/** Merge keys (`<<`) resolved, as Compose does. */
export function readCompose(): Compose {
  return parse(readFileSync(join(COMPOSE, 'compose.yaml'), 'utf8'), { merge: true })
}

export interface Mount {
  /** On the machine. */
  readonly source: string
  readonly target: string
  readonly mode: string
}

export function listMounts({ volumes = [] }: Service): Mount[] {
  return volumes.map((text) => {
    const [source = '', target = '', mode = ''] = text.split(':')
    return { source: join(COMPOSE, source), target, mode }
  })
}

/** Copies what is mounted into the service below `folder`, at its path in the container. */
export function layOut(service: Service, folder: string): void {
  for (const { source, target } of listMounts(service)) {
    mkdirSync(join(folder, dirname(target)), { recursive: true })
    copyFileSync(source, join(folder, target))
  }
}
