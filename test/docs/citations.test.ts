// What source and tests cite of docs/: each `docs/...md#anchor` in a comment is a heading of that page.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listAnchors } from './markdown.ts'

const root = join(import.meta.dirname, '../..')
const files = ['src', 'test', 'grafana'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mts|cjs|c)$/.test(name) && !name.includes('node_modules'))
    .map((name) => join(folder, name)),
)
const texts = files.map((file) => [file, readFileSync(join(root, file), 'utf8')] as const)

test('every citation leads to a heading', () => {
  const citations = texts.flatMap(([file, text]) =>
    [...text.matchAll(/(?<![\w/])docs\/[\w/-]+\.md(?:#([\w-]+))?/g)].map(([whole, anchor]) => ({
      file,
      page: whole.replace(/#.*/, ''),
      anchor,
    })),
  )
  const broken = citations.filter(({ page, anchor }) => {
    if (!existsSync(join(root, page))) return true
    return anchor !== undefined && !listAnchors(readFileSync(join(root, page), 'utf8')).has(anchor)
  })
  expect(broken).toEqual([])
  const ofPortModel = citations.filter(({ page }) => page.endsWith('/port-model.md'))
  expect(ofPortModel.length).toBeGreaterThan(25)
  expect(ofPortModel.filter(({ anchor }) => anchor === undefined)).toEqual([])
})

test('nothing is cited that is not in the repository', () => {
  const forbidden = new RegExp(['PORT', 'NAT'].map((name) => `\\b${name}-MODEL\\b`).join('|'))
  expect(texts.filter(([, text]) => forbidden.test(text)).map(([file]) => file)).toEqual([])
})
