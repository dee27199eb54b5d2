// The web configuration in force: read at start, and read again when it or one of the files that it names changes on
// disk, as cert-manager and the kubelet change them. What cannot be used leaves the old one in force.

import { readFileSync, statSync } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import { quote } from '../../config/problem.ts'
import { readSecureContext, reasonOf } from './tls-files.ts'
import { type Outcome, parseWebConfig, type WebConfig } from './web-config.ts'

/** Frozen in itself: another object is another configuration. */
export interface LoadedWebConfig {
  readonly config: WebConfig
  /** Undefined for plain HTTP. */
  readonly context: SecureContextOptions | undefined
}

export interface LiveWebConfigEvents {
  readonly changed: () => void
  readonly refused: (problems: readonly string[]) => void
}

export interface LiveWebConfig {
  /** Synchronous, so that the connection or request that asks is already served by what it gets. */
  current(): LoadedWebConfig
}

/** More requests than that do not look at the disk more often. */
const LOOK_EVERY_MS = 1000

export function openLiveWebConfig(
  path: string,
  events: LiveWebConfigEvents,
  { lookEveryMs = LOOK_EVERY_MS, nowMs = () => performance.now() } = {},
): Outcome<{ readonly live: LiveWebConfig }> {
  const first = loadWebConfig(path)
  if ('problems' in first.outcome) return first.outcome
  let loaded = first.outcome
  let stamps = first.stamps
  let refusal: string | undefined
  let lookedAtMs = nowMs()
  return {
    live: {
      current() {
        if (nowMs() - lookedAtMs >= lookEveryMs) look()
        return loaded
      },
    },
  }

  function look(): void {
    lookedAtMs = nowMs()
    // After a refusal any look reads again: what stood in the way may have left no stamp, as running out of
    // descriptors.
    if (refusal === undefined && [...stamps].every(([file, stamp]) => stampOf(file) === stamp)) {
      return
    }
    const { outcome, stamps: newStamps } = loadWebConfig(path)
    const problems =
      'problems' in outcome ? outcome.problems : listFixed(loaded.config, outcome.config)
    if ('problems' in outcome || problems.length > 0) {
      const text = problems.join('\n')
      if (text !== refusal) events.refused(problems)
      refusal = text
      return
    }
    refusal = undefined
    stamps = newStamps
    loaded = outcome
    events.changed()
  }
}

function loadWebConfig(path: string): {
  readonly outcome: Outcome<LoadedWebConfig>
  readonly stamps: ReadonlyMap<string, string>
} {
  const stamps = new Map<string, string>()
  // The stamp is taken first: what changes while it is read is then read again.
  const readFile = (file: string) => {
    stamps.set(file, stampOf(file))
    return readFileSync(file, 'utf8')
  }
  const load = (): Outcome<LoadedWebConfig> => {
    let text: string
    try {
      text = readFile(path)
    } catch (error) {
      return { problems: [`Cannot read ${quote(path)} of --web.config.file: ${reasonOf(error)}`] }
    }
    const parsed = parseWebConfig(text, path)
    if ('problems' in parsed) return parsed
    const { config } = parsed
    if (config.tls === undefined) return { config, context: undefined }
    const secure = readSecureContext(config.tls, readFile)
    return 'problems' in secure ? secure : { config, context: secure.context }
  }
  return { outcome: load(), stamps }
}

/** Renaming over a file, as by a Secret's symlink, gives another inode; writing into it another time. */
function stampOf(file: string): string {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs } = statSync(file)
    return [dev, ino, size, mtimeMs, ctimeMs].join(' ')
  } catch (error) {
    return reasonOf(error)
  }
}

/**
 * What does not change while the program runs. A file that is seen half written must not open the door to everybody.
 */
function listFixed(old: WebConfig, changed: WebConfig): readonly string[] {
  const problems: string[] = []
  if ((old.tls === undefined) !== (changed.tls === undefined)) {
    problems.push('Cannot switch TLS on or off without a restart')
  } else if (old.tls?.clientAuth !== changed.tls?.clientAuth) {
    problems.push('Cannot change client_auth_type without a restart')
  } else if (old.tls?.clientAllowedSans !== undefined && !changed.tls?.clientAllowedSans) {
    problems.push('Cannot do without client_allowed_sans without a restart')
  }
  if (old.users.size > 0 && changed.users.size === 0) {
    problems.push('Cannot switch basic authentication off without a restart')
  }
  return problems
}
