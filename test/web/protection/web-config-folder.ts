// A throwaway folder with a web configuration, its certificates, and a server that runs on it.

import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compare } from 'bcryptjs'
import { type RunningServer, startServer } from '../../../src/web/listen.ts'
import { openProtection } from '../../../src/web/protection/protection.ts'
import { createTestAuthority } from '../../support/program/test-certificates.ts'

export interface WebConfigFolder {
  readonly path: string
  /** Replaces the file at once, by renaming, as the kubelet and cert-manager do. */
  write(name: string, text: string): void
  remove(): void
}

export function createWebConfigFolder(files: Readonly<Record<string, string>>): WebConfigFolder {
  const folder = mkdtempSync(join(tmpdir(), 'web-config-'))
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, `.${name}.new`), text)
    renameSync(join(folder, `.${name}.new`), join(folder, name))
  }
  for (const [name, text] of Object.entries(files)) write(name, text)
  return {
    path: join(folder, 'web.yml'),
    write,
    remove: () => rmSync(folder, { recursive: true }),
  }
}

const authority = createTestAuthority()

export function issueServer(): { cert: string; key: string } {
  return authority.issue(['localhost', '127.0.0.1'])
}

/** `text` is the tls_server_config after certificate and key, indented by two, and what follows it. */
export function tlsFiles(text = '', { cert, key } = issueServer()): Record<string, string> {
  return {
    'tls.crt': cert,
    'tls.key': key,
    'web.yml': `tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n${text}`,
  }
}

export interface ProtectedServer {
  readonly port: number
  readonly folder: WebConfigFolder
  readonly log: string[]
  readonly server: RunningServer
  stop(): Promise<void>
}

/** Looks at the disk for every connection and request. */
export async function startProtected(
  files: Readonly<Record<string, string>>,
  guarded: RequestListener = (_request, response) => response.end('ok'),
): Promise<ProtectedServer> {
  const folder = createWebConfigFolder(files)
  const log: string[] = []
  const events = {
    changed: () => log.push('changed'),
    refused: (problems: readonly string[]) => log.push(...problems),
    failed: (error: unknown) => log.push(String(error)),
  }
  const protection = openProtection(folder.path, events, { matches: compare, lookEveryMs: 0 })
  if ('problems' in protection) throw new Error(protection.problems.join('\n'))
  const app = protection.guard(guarded)
  const server = await startServer(app, [{ host: '127.0.0.1', port: 0, text: ':0' }], protection)
  return {
    port: server.addresses[0]?.port ?? Number.NaN,
    folder,
    log,
    server,
    async stop() {
      await server.close()
      folder.remove()
    },
  }
}
