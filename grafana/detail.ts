// The page of one namespace, from "how bad, how soon" and "who" down: its pools, who holds the ports, their states, what blocks them,
// what was refused, and how far the numbers can be trusted.

import { exporterSection } from './detail-exporter.ts'
import { holdersSection } from './detail-holders.ts'
import { natSection } from './detail-nat.ts'
import { poolsSection, summary } from './detail-pools.ts'
import { rangeSection } from './detail-range.ts'
import { blockedSection, failuresSection, socketsSection } from './detail-sockets.ts'
import type { Section } from './section.ts'

export function detailSections(): readonly Section[] {
  return [
    { title: '$netns on $instance', panels: summary() },
    holdersSection(),
    poolsSection(),
    socketsSection(),
    blockedSection(),
    failuresSection(),
    natSection(),
    rangeSection(),
    exporterSection(),
  ]
}
