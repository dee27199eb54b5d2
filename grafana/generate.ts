// Writes the dashboards' JSON beside their sources: `npm run dashboards`.

import { writeFileSync } from 'node:fs'
import { renderDashboards } from './dashboards.ts'

for (const [name, text] of Object.entries(renderDashboards())) {
  writeFileSync(new URL(name, import.meta.url), text)
}
