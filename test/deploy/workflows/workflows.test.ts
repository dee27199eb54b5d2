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
  readonly needs?: string | readonly string[]
  readonly permissions?: Readonly<Record<string, string>>
  readonly 'timeout-minutes'?: number
  readonly 'runs-on'?: string
  readonly container?: { readonly image: string }
  readonly steps?: readonly Step[]
  /** Another workflow of this folder, instead of steps. */
  readonly uses?: string
}
interface Trigger {
  readonly tags?: readonly string[]
  readonly paths?: readonly string[]
}
interface Workflow {
  readonly on: Readonly<Record<string, Trigger | null>>
  readonly permissions: unknown
  readonly jobs: Readonly<Record<string, Job>>
}

const root = new URL('../../../', import.meta.url)
const folder = new URL('.github/workflows/', root)
const workflows = readdirSync(folder).map((name) => {
  const text = readFileSync(new URL(name, folder), 'utf8')
  const workflow: Workflow = parse(text)
  const jobs = Object.values(workflow.jobs)
  return { name, text, workflow, jobs, running: jobs.filter(({ uses }) => uses === undefined) }
})
const workflowOf = (name: string) => {
  const found = workflows.find((it) => it.name === name)
  if (found === undefined) throw new Error(`There is no workflow ${name}`)
  return found
}
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

test('there is one for the tests, the image and the release', () => {
  expect(workflows.map(({ name }) => name)).toEqual(['image.yaml', 'release.yaml', 'test.yaml'])
})

describe.each(workflows)('$name', ({ text, workflow, jobs, running }) => {
  test('names every action by its commit, and says which version that is', () => {
    const used = text.match(/(?<=- )uses:.*/g) ?? []
    expect(used).not.toEqual([])
    const pinned = /^uses: [\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/
    expect(used.filter((line) => !pinned.test(line))).toEqual([])
    const steps = running.flatMap((job) => job.steps ?? [])
    expect(used).toHaveLength(steps.filter((it) => it.uses).length)
  })

  test('calls only workflows of its own folder that let themselves be called', () => {
    for (const { uses = '', steps } of jobs.filter((job) => !running.includes(job))) {
      const [, name = ''] = /^\.\/\.github\/workflows\/(.*)$/.exec(uses) ?? []
      expect(Object.keys(workflowOf(name).workflow.on)).toContain('workflow_call')
      expect(steps).toBeUndefined()
    }
  })

  test('names images by digest, and runners by version', () => {
    for (const job of running) {
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
    const writing = jobs.filter(({ permissions }) => permissions?.packages)
    if (!onTagsOnly) expect(writing).toEqual([])
    for (const job of jobs.filter(({ permissions }) => !permissions?.packages)) {
      expect(JSON.stringify(job)).not.toContain('secrets.')
    }
    expect(text).not.toContain('pull_request_target')
  })

  test('leaves no token behind in the checkout, and ends in time', () => {
    for (const { steps = [], 'timeout-minutes': minutes } of running) {
      expect(minutes).toBeLessThanOrEqual(90)
      const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))
      expect(checkouts).toHaveLength(1)
      expect(checkouts[0]?.with).toMatchObject({ 'persist-credentials': false })
    }
  })

  test('puts no text of others into a shell', () => {
    const scripts = running.flatMap(({ steps = [] }) => steps.map(({ run = '' }) => run))
    expect(scripts.filter((script) => script.includes('${{'))).toEqual([])
  })
})

test('the same action is the same commit everywhere', () => {
  const used = workflows.flatMap(({ text }) => text.match(/(?<=- uses: ).*/g) ?? [])
  const names = new Set(used.map((line) => line.split('@')[0]))
  expect(new Set(used).size).toBe(names.size)
})

test('the tests run what a developer runs', () => {
  const { all } = workflowOf('test.yaml').workflow.jobs
  expect(all?.steps?.at(-1)).toEqual({ run: '.ci/run' })
})

test('.ci/run installs the pip that it calls, which the image of Node lacks', () => {
  const script = read('.ci/run')
  expect(script).toContain('python3 -m pip')
  expect(script).toContain(' pip3:python3-pip')
})

describe('a release', () => {
  const { workflow, text } = workflowOf('release.yaml')

  test('is made by a plain version, and published only after the tests and the build', () => {
    expect(workflow.on).toEqual({ push: { tags: ['v[0-9]+.[0-9]+.[0-9]+'] } })
    const { test: tests, build, image, chart } = workflow.jobs
    expect(tests?.uses).toBe('./.github/workflows/test.yaml')
    expect(build?.uses).toBe('./.github/workflows/image.yaml')
    expect(image?.needs).toEqual(['test', 'build'])
    expect(chart?.needs).toBe('image')
  })

  test('pushes the images that documents and chart name', () => {
    const push = workflow.jobs.image?.steps?.find((step) => step.with?.push === true)
    const tags = String(push?.with?.tags).trim().split('\n')
    const expression = (name: string) => `\${{ ${name} }}`
    const repository = `ghcr.io/${expression('github.repository')}`
    const version = expression('steps.version.outputs.version')
    expect(tags).toEqual([`${repository}:${version}`, `${repository}:latest`])
    // Docker takes latest where no tag is named.
    const named = `${read('README.md')}${read('docs/install.md')}`.match(
      /ghcr\.io\/ephemeral-port-exporter\/ephemeral[\w-]+(:\S+)?/g,
    )
    expect(new Set(named)).toEqual(
      new Set(['ghcr.io/ephemeral-port-exporter/ephemeral-port-exporter']),
    )
    const {
      registry,
      repository: name,
      tag,
    } = parse(read('deploy/helm/ephemeral-port-exporter/values.yaml')).image
    expect(`${registry}/${name}`).toBe('ghcr.io/ephemeral-port-exporter/ephemeral-port-exporter')
    expect(tag).toBe('')
  })

  test('packages the chart by a Helm that it is tested with', () => {
    const [, version] = /^HELM_4=(\S+)$/m.exec(read('.ci/run')) ?? []
    expect(text).toContain(`HELM: v${version}\n`)
  })
})

test('the image may be hardly larger than its documentation says', () => {
  const [, megabytes] = /([\d.]+)\s+MB\s+unpacked/.exec(read('docs/install.md')) ?? []
  const [, limit] = /-lt (\d+)$/m.exec(workflowOf('image.yaml').text) ?? []
  const slack = Number(limit) / (Number(megabytes) * 1e6)
  expect(slack).toBeGreaterThan(1)
  expect(slack).toBeLessThan(1.15)
})

test('a change of whatever the image is made of builds it', () => {
  const { paths = [] } = workflowOf('image.yaml').workflow.on.pull_request ?? {}
  const copied = read('.dockerignore').match(/(?<=^!).*/gm) ?? []
  expect(copied.length).toBeGreaterThan(5)
  const watched = paths.map((path) => path.replace('/**', ''))
  expect(copied.filter((path) => !watched.includes(path))).toEqual([])
  expect(watched).toContain('deploy/Dockerfile')
})
