// The page at `/`: verdict, the worst pools, all namespaces, and what is not known. Snapshot and Diagnosis -> HTML.

import type { Diagnosis } from '../diagnosis/diagnose.ts'
import { createGap, type Finding } from '../diagnosis/finding.ts'
import { diagnosePool, listDistinct } from '../diagnosis/pool-diagnosis.ts'
import { describeLeftOut } from '../diagnosis/unreadable.ts'
import {
  renderCount,
  renderDuration,
  renderList,
  renderNumber,
  renderRisk,
} from '../diagnosis/words.ts'
import {
  hasState,
  type Namespace,
  type NamespaceState,
  type Pool,
  type Snapshot,
} from '../snapshot.ts'
import {
  escapeHtml,
  type Frame,
  renderBar,
  renderCard,
  renderNamespaceLink,
  renderPage,
  symbols,
} from './page.ts'

const MOST_CARDS = 5
const FULLEST = 3
/** A table is read from the top; the rest is in the JSON. */
const MOST_ROWS = 150
const MOST_FINDINGS = 8
const MOST_NAMES = 5

export interface StatusPage extends Frame {
  readonly snapshot: Snapshot
  readonly diagnosis: Diagnosis
  /** Seconds since the sample. */
  readonly ageSeconds: number
}

export function renderStatusPage(page: StatusPage): string {
  const { diagnosis, snapshot } = page
  return renderPage(page, {
    title: diagnosis.headline,
    severity: diagnosis.severity,
    subtitle: renderSubtitle(page),
    body: [
      renderCards(page),
      renderTable(snapshot, diagnosis),
      renderFindings('What is not known', listUnknown(page)),
      renderFindings('What will bite', diagnosis.findings.filter(willBite)),
    ].join('\n'),
  })
}

/** Age, machine and exactness: whether to believe the rest. */
export function renderSubtitle({
  snapshot,
  ageSeconds,
  host,
}: Pick<StatusPage, 'snapshot' | 'ageSeconds' | 'host'>): string {
  const read = snapshot.namespaces.filter(hasState)
  const inexact = read.filter(({ state }) => state.exactness !== 'exact').length
  const exactness =
    inexact === 0
      ? 'exact'
      : `${renderCount(inexact, 'namespace')} may have fewer ports left than shown`
  return `<p class="soft">${escapeHtml(host)}, sampled ${renderDuration(ageSeconds)} ago, ${exactness}</p>`
}

function renderCards({ diagnosis, snapshot }: StatusPage): string {
  const pools = listDistinct(diagnosis.pools)
  if (pools.length > 0) {
    const rest = pools.length - MOST_CARDS
    const more =
      rest > 0 ? `<p class="soft">${renderCount(rest, 'more pool')} in the table below.</p>` : ''
    return `<h2>What to do</h2><div class="cards">${pools
      .slice(0, MOST_CARDS)
      .map((pool) => renderCard(pool))
      .join('\n')}</div>${more}`
  }
  const fullest = snapshot.namespaces
    .filter(hasState)
    .flatMap((namespace) => namespace.state.pools.map((pool) => ({ namespace, pool })))
    .toSorted((a, b) => b.pool.utilizationRatio - a.pool.utilizationRatio)
    .slice(0, FULLEST)
  if (fullest.length === 0) return ''
  return `<h2>The fullest pools</h2><div class="cards">${fullest
    .map(({ namespace, pool }) =>
      renderCard(diagnosePool(namespace, namespace.state, { pool, failedAllocations: undefined })),
    )
    .join('\n')}</div>`
}

function renderTable({ namespaces }: Snapshot, { pools }: Diagnosis): string {
  const sick = new Map(pools.map((pool) => [`${pool.netns} ${pool.pool}`, pool.severity]))
  const rows = namespaces
    .filter(({ failure }) => failure?.reason !== 'vanished')
    .map((namespace) => ({ namespace, pool: worstPool(namespace.state) }))
    .toSorted((a, b) => compare(a.pool, b.pool))
  const cut = rows.length - MOST_ROWS
  const cells = rows.slice(0, MOST_ROWS).map(({ namespace, pool }) => {
    const link = renderNamespaceLink(namespace.netns) + renderHint(namespace)
    if (pool === undefined) {
      return `<tr><td>${link}</td><td colspan="6" class="warning">${symbols.warning} cannot be read (${namespace.failure?.reason ?? 'no reason'})</td></tr>`
    }
    const severity = sick.get(`${namespace.netns} ${pool.pool}`) ?? 'ok'
    const eta = pool.etaSeconds === 0 ? 'now' : renderDuration(pool.etaSeconds)
    return `<tr><td>${link}</td><td class="wide">${pool.pool}</td><td class="number">${renderNumber(pool.availablePorts)}<span class="wide"> of ${renderNumber(pool.capacityPorts)}</span></td><td class="${severity}">${renderBar(pool.utilizationRatio)}</td><td class="number wide">${renderRisk(pool.riskRatio)}</td><td class="number wide">${eta}</td><td class="wide">${escapeHtml(pool.worstDestination?.destination ?? '-')}</td></tr>`
  })
  const caption =
    cut > 0
      ? `The ${MOST_ROWS} at most risk; ${renderCount(cut, 'more namespace')} in the JSON of the last sample.`
      : 'By risk, then by use; of each namespace the pool that is worst off.'
  return `<h2>Namespaces</h2><table><caption>${caption}</caption><thead><tr><th scope="col">Namespace</th><th scope="col" class="wide">Pool</th><th scope="col" class="number">Left</th><th scope="col">Used</th><th scope="col" class="number wide">Risk</th><th scope="col" class="number wide">Fails in</th><th scope="col" class="wide">Worst destination</th></tr></thead><tbody>${cells.join('\n')}</tbody></table>`
}

/** Who an inode is: the program that has been there longest. */
function renderHint({ oldest }: Namespace): string {
  if (oldest === undefined) return ''
  return ` <span class="soft">${escapeHtml(`${oldest.program}, PID ${oldest.pid}`)}</span>`
}

/** bind() to port 0 is the last to matter: many destinations fill that pool on a healthy host. */
function worstPool(state: NamespaceState | undefined): Pool | undefined {
  const pools = state?.pools.toSorted(compare) ?? []
  return pools.find(({ pool }) => pool !== 'tcp_bind') ?? pools[0]
}

/** Compares by risk, then by use, worst first. What cannot be read is last. */
function compare(a: Pool | undefined, b: Pool | undefined): number {
  return (
    (b?.riskRatio ?? -1) - (a?.riskRatio ?? -1) ||
    (b?.utilizationRatio ?? -1) - (a?.utilizationRatio ?? -1)
  )
}

function listUnknown({ diagnosis, snapshot }: StatusPage): readonly Finding[] {
  const leftOut = describeLeftOut(snapshot).map((what) => createGap('note', what))
  return [...diagnosis.findings.filter(isUnknown), ...leftOut]
}

function isUnknown({ topic }: Finding): boolean {
  return topic !== 'exposure'
}

function willBite({ severity, topic }: Finding): boolean {
  return severity !== 'ok' && topic === 'exposure'
}

function renderFindings(title: string, findings: readonly Finding[]): string {
  if (findings.length === 0) return ''
  const items = findings
    .slice(0, MOST_FINDINGS)
    .map(({ severity, namespaces, what, why, fix, commands }) => {
      const where =
        namespaces.length > 1
          ? `${namespaces.length} namespaces (${renderList(namespaces, MOST_NAMES)}): `
          : namespaces.map((name) => `${name}: `).join('')
      const lines = commands.map((command) => `<pre><code>${escapeHtml(command)}</code></pre>`)
      const for_ =
        namespaces.length > 1 && commands.length > 0
          ? `<p class="soft">For ${escapeHtml(namespaces[0] ?? '')}:</p>`
          : ''
      return `<li><span class="${severity}">${symbols[severity]} ${severity}</span> ${escapeHtml(where + what)}<p class="soft">${escapeHtml(`${why} ${fix}`.trim())}</p>${for_}${lines.join('')}</li>`
    })
  const more = findings.length - MOST_FINDINGS
  return `<h2>${title}</h2><ul>${items.join('\n')}</ul>${more > 0 ? `<p class="soft">${more} more: the command "doctor" has them.</p>` : ''}`
}
