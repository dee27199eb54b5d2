// The generated part of docs/metrics.md: families -> Markdown, a heading for each theme and each metric.

import { destinationFamilies } from '../../src/metrics/destinations.ts'
import { exporterFamilies } from '../../src/metrics/exporter.ts'
import { failureFamilies } from '../../src/metrics/failures.ts'
import { families } from '../../src/metrics/families.ts'
import type { Family } from '../../src/metrics/family.ts'
import { namespaceFamilies } from '../../src/metrics/namespaces.ts'
import { natFamilies } from '../../src/metrics/nat.ts'
import { ownerFamilies } from '../../src/metrics/owners.ts'
import { poolFamilies } from '../../src/metrics/pools.ts'
import { rangeFamilies } from '../../src/metrics/range.ts'
import { wrapMarkdown } from './markdown.ts'

const THEMES: readonly (readonly [title: string, families: readonly Family[]])[] = [
  ['The range', rangeFamilies],
  ['Pools', poolFamilies],
  ['Destinations and listeners', destinationFamilies],
  ['Owners', ownerFamilies],
  ['Source NAT and conntrack', natFamilies],
  ['Failures and probes', failureFamilies],
  ['Namespaces', namespaceFamilies],
  ['The exporter', exporterFamilies],
]

/** Every family once, in the order of the page. */
export function renderMetrics(): string {
  const known = new Map(THEMES.flatMap(([title, rows]) => rows.map(({ name }) => [name, title])))
  const sections = new Map<string, string[]>()
  for (const family of families) {
    const title = known.get(family.name) ?? 'Others'
    const section = sections.get(title) ?? [`## ${title}\n`]
    section.push(renderFamily(family))
    sections.set(title, section)
  }
  return [...sections.values()].flat().join('\n')
}

function renderFamily({ name, type, labels, help, details, experimental }: Family): string {
  const facts = [
    `**${experimental ? 'EXPERIMENTAL' : 'STABLE'}**`,
    type,
    labels.length === 0 ? 'no label' : labels.map((label) => `\`${label}\``).join(', '),
  ]
  const texts = [facts.join(' · '), help, ...(details === undefined ? [] : [details])]
  return [`### ${name}\n`, ...texts.map((text) => `${wrapMarkdown(quoteMarkup(text))}\n`)].join(
    '\n',
  )
}

/** Markdown reads * and _ as markup where a word begins or ends with them. */
function quoteMarkup(text: string): string {
  return text.replace(/(?<=^|\s)([*_]|<)(?=\S)(?!\*)/g, '\\$1')
}
