// What --web.config.file adds to the web server, put together. Loaded only where the option is given, so that nobody
// else pays for TLS and YAML.

import type { RequestListener, Server, ServerOptions } from 'node:http'
import { createBcryptThread } from './bcrypt-thread.ts'
import { createCredentialCheck } from './credentials.ts'
import { createGuard } from './guard.ts'
import { type LiveWebConfigEvents, openLiveWebConfig } from './live-web-config.ts'
import { createSecureServer } from './secure-server.ts'
import { createCheckByCost, shares } from './slow-hashes.ts'
import type { Outcome } from './web-config.ts'

export interface Protection {
  readonly guard: (app: RequestListener) => RequestListener
  /** Undefined for plain HTTP. */
  readonly createSecure: ((options: ServerOptions, app: RequestListener) => Server) | undefined
  readonly notes: readonly string[]
}

export interface ProtectionEvents extends LiveWebConfigEvents {
  readonly failed: (error: unknown) => void
}

export function openProtection(
  path: string,
  events: ProtectionEvents,
  {
    matches = createBcryptThread().matches,
    matchesSlowly = createBcryptThread().matches,
    lookEveryMs,
  }: {
    readonly matches?: (password: string, hash: string) => Promise<boolean>
    readonly matchesSlowly?: (password: string, hash: string) => Promise<boolean>
    readonly lookEveryMs?: number
  } = {},
): Outcome<Protection> {
  const opened = openLiveWebConfig(path, events, lookEveryMs === undefined ? {} : { lookEveryMs })
  if ('problems' in opened) return opened
  const { live } = opened
  const { config } = live.current()
  const check = createCheckByCost({
    usual: createCredentialCheck({ matches, share: shares.usual }),
    slow: createCredentialCheck({ matches: matchesSlowly, share: shares.slow }),
  })
  return {
    guard: (app) =>
      createGuard(app, { current: () => live.current().config, check, onError: events.failed }),
    createSecure:
      config.tls && ((options, app) => createSecureServer(options, app, () => live.current())),
    notes: config.notes,
  }
}
