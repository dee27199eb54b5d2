import { renderFamilies } from '../../src/metrics/render.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { sampleBuild } from '../support/render/sample-snapshot.ts'

/** The sample lines of the page; with a pattern those of the families whose name it matches. */
export async function samplesOf(snapshot: Snapshot, pattern = /./): Promise<string> {
  const page = await renderFamilies(snapshot, sampleBuild, 'text')
  const lines = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.filter((line) => pattern.test(line.replace(/[{ ].*/, ''))).join('\n')
}
