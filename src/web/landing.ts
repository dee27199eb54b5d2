// The page at `/`: what this is and where to go. Build -> HTML.

import { createHash } from 'node:crypto'
import type { Build } from '../snapshot.ts'

const STYLE = `
body { font-family: system-ui, sans-serif; margin: 0; color: #1c2b33 }
header { background: #0f5c6e; color: #fff; padding: 1.2rem 2rem }
header h1 { font-size: 1.4rem; margin: 0 }
main { padding: 1rem 2rem; max-width: 46rem; line-height: 1.5 }
a { color: #0b6478 }
`

/** Nothing is loaded or run but the one style sheet, which is named by its hash. */
export const landingPagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export interface LandingLink {
  readonly path: string
  readonly text: string
}

export function renderLandingPage(page: {
  readonly build: Build
  readonly links: readonly LandingLink[]
}): string {
  const { version, revision } = page.build
  const links = page.links.map(
    ({ path, text }) => `<li><a href="${escapeHtml(path)}">${escapeHtml(text)}</a></li>`,
  )
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>ephemeral-port-exporter</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>ephemeral-port-exporter</h1></header>
<main>
<p>A Prometheus exporter that says which pool of ephemeral ports is running out, when, and because of which destination.</p>
<p>Version ${escapeHtml(version)}, revision ${escapeHtml(revision)}</p>
<ul>
${links.join('\n')}
</ul>
</main>
</body>
</html>
`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
