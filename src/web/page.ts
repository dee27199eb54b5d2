// What the pages have in common: style sheet, policy, frame and the parts that both use. Values -> HTML.

import { createHash } from 'node:crypto'
import type { PoolDiagnosis } from '../diagnosis/pool-diagnosis.ts'
import type { Severity } from '../diagnosis/severity.ts'
import { renderPercent, renderVisible } from '../diagnosis/words.ts'
import type { Build } from '../snapshot.ts'

const STYLE = `
:root { color-scheme: light dark; --ground: #f6f8f9; --card: #fff; --text: #15242c; --soft: #4a5b65; --line: #cfd8dd;
  --link: #0b5a6c; --ok: #1d6b3a; --note: #1f5f86; --warning: #8a4b00; --critical: #b3141f; --bar: #dfe6ea }
@media (prefers-color-scheme: dark) {
  :root { --ground: #10181d; --card: #18232a; --text: #e6edf1; --soft: #a9b8c1; --line: #35454f; --link: #7cc7dc;
    --ok: #74cf96; --note: #86c3ec; --warning: #f0b463; --critical: #ff8f8f; --bar: #2c3b45 } }
* { box-sizing: border-box }
body { font: 16px/1.45 system-ui, sans-serif; margin: 0 auto; padding: 0 1rem 2rem; max-width: 84rem; background: var(--ground); color: var(--text); overflow-wrap: anywhere }
a { color: var(--link) }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0 .3rem; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 1.6rem 0 .5rem }
h3 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere }
p { margin: .35rem 0 }
.soft { color: var(--soft) }
.ok { color: var(--ok) } .note { color: var(--note) } .warning { color: var(--warning) } .critical { color: var(--critical) }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: .8rem }
.card { background: var(--card); border: 1px solid var(--line); border-left: .35rem solid currentcolor; border-radius: .4rem; padding: .7rem .9rem; min-width: 0 }
.card > * { color: var(--text); overflow-wrap: anywhere } .card > .ok { color: var(--ok) } .card > .warning { color: var(--warning) } .card > .critical { color: var(--critical) }
.big { font-size: 1.3rem; font-weight: 600 }
.bar { display: inline-block; vertical-align: middle; width: 6rem; height: .6rem; border-radius: .2rem; background: var(--bar) }
.card .bar { width: calc(100% - 4.5rem) }
.bar rect { fill: currentcolor }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: .3rem; padding: .5rem; margin: .3rem 0; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; font-size: .85rem }
table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line) }
caption { text-align: left; color: var(--soft); padding: .2rem 0 }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; vertical-align: top }
th { color: var(--soft); font-weight: 600; overflow-wrap: normal }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem .9rem; margin: 0 } dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
li { margin: .5rem 0 } ul { padding-left: 1.2rem }
@media (max-width: 44rem) { .wide { display: none } h1 { font-size: 1.35rem } td .bar { width: 3rem } dl { grid-template-columns: 1fr } dd { margin-bottom: .4rem } }
`

/** Nothing is loaded or run but the one style sheet, which is named by its hash. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Says in signs what the colours say, for a reader who does not see colours. */
export const symbols: Readonly<Record<Severity, string>> = {
  ok: '✓',
  note: 'ℹ',
  warning: '⚠',
  critical: '✖',
}

export interface PageLink {
  readonly path: string
  readonly text: string
}

export interface Frame {
  readonly build: Build
  readonly links: readonly PageLink[]
  /** Name of the machine. */
  readonly host: string
}

/** The document around the parts, which are HTML. */
export function renderPage(
  { build, links, host }: Frame,
  page: {
    readonly title: string
    readonly severity: Severity
    /** Below the title, as HTML. */
    readonly subtitle: string
    readonly body: string
  },
): string {
  const items = links.map(
    ({ path, text }) => `<a href="${escapeHtml(path)}">${escapeHtml(text)}</a>`,
  )
  const title = `${symbols[page.severity]} ${escapeHtml(page.title)}`
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} on ${escapeHtml(host)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<div role="status"><h1 class="${page.severity}">${title}</h1></div>
${page.subtitle}
</header>
<main>
${page.body}
</main>
<footer class="soft">
<p>${items.join(' · ')}</p>
<p>ephemeral-port-exporter ${escapeHtml(build.version)}, revision ${escapeHtml(build.revision)}. It says which pool of ephemeral ports is running out, when, and because of which destination.</p>
</footer>
</body>
</html>
`
}

/** A bar and its number; the number is for all, the bar for those who see it. */
export function renderBar(ratio: number): string {
  const width = Math.min(100, Math.max(0, ratio * 100)).toFixed(1)
  return (
    `<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" focusable="false"><rect width="${width}" height="10"/></svg> ` +
    renderPercent(ratio)
  )
}

const verdictWords: Readonly<Record<PoolDiagnosis['verdict'], string>> = {
  ok: 'well',
  watch: 'nearly full',
  at_risk: 'at risk',
  exhausted: 'no port left',
}

/** One pool: how much is left, how soon, because of whom, and the first remedy that has a command. */
export function renderCard(one: PoolDiagnosis, all = false): string {
  const { severity, headline, when, because, explanation, remedies } = one
  const first = remedies.find(({ command }) => command !== undefined) ?? remedies[0]
  const shown = all ? remedies : first === undefined ? [] : [first]
  return `<article class="card ${severity}">
<h3>${renderNamespaceLink(one.netns)} <span class="soft">${one.pool}</span></h3>
<p class="big ${severity}">${symbols[severity]} ${escapeHtml(headline)}</p>
<p class="${severity}">${renderBar(one.utilizationRatio)}</p>
<p>${escapeHtml([`${verdictWords[one.verdict]}`, when].filter(Boolean).join(', '))}</p>
${because === undefined ? '' : `<p><strong>${escapeHtml(because)}.</strong> ${escapeHtml(explanation)}</p>`}
${shown.map(renderRemedy).join('\n')}
${severity === 'ok' ? '' : `<p><a href="${escapeHtml(one.runbookUrl)}">Runbook</a></p>`}
</article>`
}

function renderRemedy({
  advice,
  buys,
  check,
  command,
  missing,
  podSpec,
}: PoolDiagnosis['remedies'][number]): string {
  const pre = (text: string | undefined) =>
    text === undefined ? '' : `<pre><code>${escapeHtml(text)}</code></pre>`
  return (
    `<p>${escapeHtml(advice)} It ${escapeHtml(buys)}.</p>` +
    (check === undefined ? '' : `<p class="soft">Look first:</p>${pre(check)}`) +
    (missing === undefined ? '' : `<p class="soft">${escapeHtml(missing)}</p>`) +
    (command === undefined ? '' : `<p class="soft">Type on the node:</p>${pre(command)}`) +
    (podSpec === undefined ? '' : `<p class="soft">In the spec of the pod:</p>${pre(podSpec)}`)
  )
}

export function renderNamespaceLink(netns: string): string {
  return `<a href="${escapeHtml(pathOfNamespace(netns))}">${escapeHtml(netns)}</a>`
}

/** Where the page of a namespace is. */
export function pathOfNamespace(netns: string): string {
  return `/namespaces/${netns.split('/').map(encodeURIComponent).join('/')}`
}

/** Text of other programs among HTML of ours. */
export function escapeHtml(text: string): string {
  return renderVisible(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
