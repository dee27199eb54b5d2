// GitHub's workflows as text: what they run is pinned, and what they may do is no more than they need.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

interface Step {
  readonly uses?: string
  readonly run?: string
  readonly with?: Readonly<Record<string, unknown>>
}
interface Job {
  readonly if?: string
  readonly permissions?: Readonly<Record<string, string>>
  readonly 'timeout-minutes'?: number
  readonly 'runs-on': string
  readonly container?: { readonly image: string }
  readonly steps: readonly Step[]
}
interface Workflow {
  readonly on: Readonly<Record<string, { readonly tags?: readonly string[] } | null>>
  readonly permissions: unknown
  readonly jobs: Readonly<Record<string, Job>>
}

const root = new URL('../../../', import.meta.url)
const folder = new URL('.github/workflows/', root)
const workflows = readdirSync(folder).map((name) => {
  const text = readFileSync(new URL(name, folder), 'utf8')
  const workflow: Workflow = parse(text)
  return { name, text, workflow, jobs: Object.values(workflow.jobs) }
})

test('there is one for the tests, the image and the chart', () => {
  expect(workflows.map(({ name }) => name)).toEqual(['chart.yaml', 'image.yaml', 'test.yaml'])
})

describe.each(workflows)('$name', ({ text, workflow, jobs }) => {
  test('names every action by its commit, and says which version that is', () => {
    const used = text.match(/\buses:.*/g) ?? []
    expect(used).not.toEqual([])
    const pinned = /^uses: [\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/
    expect(used.filter((line) => !pinned.test(line))).toEqual([])
    expect(used).toHaveLength(jobs.flatMap(({ steps }) => steps.filter((it) => it.uses)).length)
  })

  test('names images by digest, and runners by version', () => {
    for (const job of jobs) {
      expect(job['runs-on']).toMatch(/^ubuntu-\d+\.\d+$/)
      if (job.container) expect(job.container.image).toMatch(/@sha256:[0-9a-f]{64}$/)
    }
  })

  test('gives no right to all, and each job those it needs', () => {
    expect(workflow.permissions).toEqual({})
    for (const { permissions } of jobs) {
      const { contents, packages, ...others } = permissions ?? {}
      expect(contents).toBe('read')
      expect(packages ?? 'write').toBe('write')
      expect(others).toEqual({})
    }
  })

  test('lets nothing write packages but a tag', () => {
    const onTagsOnly = Object.keys(workflow.on).join() === 'push' && workflow.on.push?.tags
    for (const job of jobs.filter(({ permissions }) => permissions?.packages)) {
      if (!onTagsOnly) expect(job.if).toBe("github.ref_type == 'tag'")
    }
    for (const job of jobs.filter(({ permissions }) => !permissions?.packages)) {
      expect(JSON.stringify(job)).not.toContain('secrets.')
    }
    expect(text).not.toContain('pull_request_target')
  })

  test('leaves no token behind in the checkout, and ends in time', () => {
    for (const { steps, 'timeout-minutes': minutes } of jobs) {
      expect(minutes).toBeLessThanOrEqual(90)
      const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))
      expect(checkouts).toHaveLength(1)
      expect(checkouts[0]?.with).toMatchObject({ 'persist-credentials': false })
    }
  })

  test('puts no text of others into a shell', () => {
    const scripts = jobs.flatMap(({ steps }) => steps.map(({ run = '' }) => run))
    expect(scripts.filter((script) => script.includes('${{'))).toEqual([])
  })
})

test('the same action is the same commit everywhere', () => {
  const used = workflows.flatMap(({ text }) => text.match(/(?<=uses: ).*/g) ?? [])
  const names = new Set(used.map((line) => line.split('@')[0]))
  expect(new Set(used).size).toBe(names.size)
})

test('the tests run what a developer runs', () => {
  const all = workflows.find(({ name }) => name === 'test.yaml')?.workflow.jobs.all
  expect(all?.steps.at(-1)).toEqual({ run: '.ci/run' })
})

test('the chart is packaged by a Helm that it is tested with', () => {
  const chart = workflows.find(({ name }) => name === 'chart.yaml')?.text ?? ''
  const tested = readFileSync(new URL('.ci/run', root), 'utf8')
  const [, version] = /^HELM_4=(\S+)$/m.exec(tested) ?? []
  expect(chart).toContain(`HELM: v${version}\n`)
})
