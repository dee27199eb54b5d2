// The page of the current Snapshot: rendered when first asked for, in each format once, then only handed out.

import { promisify } from 'node:util'
import { constants, gzip } from 'node:zlib'
import type { Build, Snapshot } from '../snapshot.ts'
import { createProcessMetrics, mergeProcessMetrics, type ProcessMetrics } from './process.ts'
import { addFamilies, createRegistry, type Format } from './render.ts'

export interface Page {
  readonly body: Buffer
  /** Compressed when first asked for. */
  gzipped(): Promise<Buffer>
}

export interface PageRenderer {
  /** Gives the same Page to all who ask for one Snapshot in one format, also while it is being rendered. */
  render(snapshot: Snapshot, format: Format): Promise<Page>
}

interface Sheet {
  /** Read once, so that both formats of one Snapshot say the same. */
  readonly processMetrics: Promise<ProcessMetrics> | undefined
  readonly pages: Map<Format, Promise<Page>>
}

export function createPageRenderer(options: {
  readonly build: Build
  readonly includeProcessMetrics: boolean
}): PageRenderer {
  const { build, includeProcessMetrics } = options
  const readProcessMetrics = includeProcessMetrics ? createProcessMetrics() : undefined
  // Pages live as long as their Snapshot: until the sampler replaces it and the last request for it is answered.
  const sheets = new WeakMap<Snapshot, Sheet>()

  function openSheet(snapshot: Snapshot): Sheet {
    const known = sheets.get(snapshot)
    if (known !== undefined) return known
    const sheet = { processMetrics: readProcessMetrics?.(), pages: new Map() }
    sheets.set(snapshot, sheet)
    return sheet
  }

  async function renderPage(snapshot: Snapshot, sheet: Sheet, format: Format): Promise<Page> {
    const registry = createRegistry(format)
    addFamilies(registry, snapshot, build)
    const own = await sheet.processMetrics
    const whole = own === undefined ? registry : mergeProcessMetrics(registry, own)
    return createPage(await whole.metrics())
  }

  return {
    render(snapshot, format) {
      const sheet = openSheet(snapshot)
      const known = sheet.pages.get(format)
      if (known !== undefined) return known
      const page = renderPage(snapshot, sheet, format)
      sheet.pages.set(format, page)
      return page
    },
  }
}

const compress = promisify(gzip)

function createPage(text: string): Page {
  const body = Buffer.from(text)
  let gzipped: Promise<Buffer> | undefined
  return {
    body,
    gzipped() {
      // Level 1 makes pages as small as level 6 does, at a fifth of the CPU.
      gzipped ??= compress(body, { level: constants.Z_BEST_SPEED })
      return gzipped
    },
  }
}
