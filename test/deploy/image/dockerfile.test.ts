// The Dockerfile as text: what a reader must be able to rely on without building it.

import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ENTRYPOINT, NONROOT } from '../../../deploy/image/rootfs.ts'

const root = new URL('../../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
/** Instructions, continuation lines joined, without comments. */
const instructions = read('deploy/Dockerfile')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line !== '')
const stages = instructions.flatMap((line, index) => (line.startsWith('FROM ') ? [index] : []))
const final = instructions.slice(stages.at(-1))
const argument = (name: string) =>
  instructions.find((line) => line.startsWith(`ARG ${name}=`))?.slice(`ARG ${name}=`.length)

test('both bases are pinned by digest, and both are Node 24', () => {
  expect(argument('NODE_IMAGE')).toMatch(/^node:24\.\d+\.\d+-\S+@sha256:[0-9a-f]{64}$/)
  expect(argument('BASE_IMAGE')).toMatch(
    /^gcr\.io\/distroless\/nodejs24-debian\d+:nonroot@sha256:[0-9a-f]{64}$/,
  )
  expect(instructions.filter((line) => line.startsWith('FROM '))).toEqual([
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Docker's own
    'FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Docker's own
    'FROM ${BASE_IMAGE}',
  ])
})

test('the build uses the Node that .ci/run tests with', () => {
  const tested = /^NODE_24=(\S+)$/m.exec(read('.ci/run'))?.[1]
  expect(argument('NODE_IMAGE')).toContain(`node:${tested}-`)
})

test('the final stage runs nothing, and takes nothing but the tree', () => {
  expect(final.filter((line) => /^(RUN|ADD|SHELL|HEALTHCHECK|VOLUME)/.test(line))).toEqual([])
  expect(final.filter((line) => line.startsWith('COPY'))).toEqual(['COPY --from=build /app /app'])
})

test('the user is not root, by number', () => {
  expect(final).toContain(`USER ${NONROOT}:${NONROOT}`)
  expect(final.indexOf(`USER ${NONROOT}:${NONROOT}`)).toBeGreaterThan(
    final.findIndex((line) => line.startsWith('COPY')),
  )
})

test('what the smoke test starts is what the image starts', () => {
  expect(final.at(-1)).toBe(`ENTRYPOINT ${JSON.stringify(ENTRYPOINT).replaceAll(',', ', ')}`)
})

test('says what it is in the labels that registries read', () => {
  const labels = final.find((line) => line.startsWith('LABEL ')) ?? ''
  const named = [...labels.matchAll(/org\.opencontainers\.image\.([a-z.]+)=/g)].map(
    ([, key]) => key,
  )
  expect(named.sort()).toEqual([
    'base.name',
    'description',
    'documentation',
    'licenses',
    'revision',
    'source',
    'title',
    'version',
  ])
  const { description, license } = JSON.parse(read('package.json'))
  expect(labels).toContain(`description="${description}"`)
  expect(labels).toContain(`licenses=${license}`)
})

test('the build context has exactly what is copied from it', () => {
  const copied = instructions
    .filter((line) => /^COPY (?!--from)/.test(line))
    .flatMap((line) => line.split(' ').slice(1, -1))
  expect(copied.filter((path) => !existsSync(new URL(path, root)))).toEqual([])
  const [everything, ...allowed] = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(everything).toBe('*')
  expect(allowed.map((line) => line.replace(/^!/, '')).sort()).toEqual(copied.sort())
})
