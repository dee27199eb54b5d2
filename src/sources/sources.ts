// The visible list of sources, best first, and the choice among them.

import { DecodeError, type Reader, SourceError } from '../observation.ts'
import { openFallbackSource } from './fallback.ts'
import { openNetlinkSource } from './netlink.ts'
import { openProcfsSource } from './procfs.ts'
import type { Source, SourceOptions } from './source.ts'
import { openSystemInformationSource } from './systeminformation.ts'

type Open = (options: SourceOptions) => Source | Promise<Source>

interface SourceRow {
  readonly reader: Reader
  readonly open: Open
  /** How it is opened where a better one refused; the same way where nothing is said. */
  readonly openAsFallback?: Open
  /** Whether `auto` may take it on that platform. */
  readonly automatic: (platform: string) => boolean
}

export interface OpenedSource {
  readonly source: Source
  /** Why the better ones do not work here. */
  readonly refusals: readonly string[]
}

/** systeminformation forks shells and loses rows, so on Linux it is there for the asking only. */
export const sources: readonly SourceRow[] = [
  { reader: 'netlink', open: openNetlinkSource, automatic: (platform) => platform === 'linux' },
  {
    reader: 'procfs',
    open: openProcfsSource,
    openAsFallback: openFallbackSource,
    automatic: (platform) => platform === 'linux',
  },
  {
    reader: 'systeminformation',
    open: openSystemInformationSource,
    automatic: (platform) => platform !== 'linux',
  },
]

/**
 * Opens the source of that name, or with `auto` the first that works here, and tells what better ones said. Throws
 * SourceError with what each of them said when none works.
 */
export async function openSource(
  choice: Reader | 'auto',
  options: SourceOptions,
): Promise<OpenedSource> {
  const rows = sources.filter(({ reader, automatic }) =>
    choice === 'auto' ? automatic(options.platform) : reader === choice,
  )
  const refusals: string[] = []
  for (const { reader, open, openAsFallback = open } of rows) {
    try {
      return { source: await (refusals.length > 0 ? openAsFallback : open)(options), refusals }
    } catch (error) {
      if (!(error instanceof SourceError || error instanceof DecodeError)) throw error
      refusals.push(`${reader}: ${error.message}`)
    }
  }
  throw new SourceError('unsupported', `No source of sockets works here. ${refusals.join('. ')}`)
}
