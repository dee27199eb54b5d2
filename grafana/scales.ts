// From which value on something is worth a look, and from which on it is trouble: the colors of the panels. The numbers are
// those of the alerts.

import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import type { ThresholdsConfig } from '@grafana/grafana-foundation-sdk/dashboard'
import {
  type FieldColor,
  FieldColorBuilder,
  FieldColorModeId,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard'
import type { Holder, PoolName } from '../src/snapshot-pools.ts'

export type Scale = readonly Threshold[]

const GREEN = 'green'
const YELLOW = 'yellow'
const ORANGE = 'orange'
const RED = 'red'

/** Of what is not known: neither good nor bad. */
export const GREY = '#8e8e8e'

export const POOL_COLORS = {
  tcp_connect: 'blue',
  tcp_bind: 'purple',
  udp: 'orange',
  nat_tcp: 'dark-blue',
  nat_udp: 'dark-orange',
} as const satisfies Readonly<Record<PoolName, string>>

/** Of what holds the ports of a pool. */
export const HOLDER_COLORS = {
  established: 'green',
  time_wait: 'blue',
  close_wait: 'red',
  fin_wait: 'light-blue',
  syn_sent: 'orange',
  bound: 'purple',
  listener: 'light-purple',
  hidden: 'dark-purple',
  other: '#8e8e8e',
} as const satisfies Readonly<Record<Holder, string>>

/** The same in every graph: what is normal is green and blue, what is on its way out grey, what an application forgot red. */
export const STATE_COLORS = {
  established: 'green',
  time_wait: 'blue',
  close_wait: 'red',
  syn_sent: 'orange',
  bound: 'purple',
  connected: 'light-green',
  fin_wait1: 'light-blue',
  fin_wait2: 'super-light-blue',
  last_ack: 'light-red',
  closing: 'light-orange',
  syn_recv: 'yellow',
  listen: 'light-purple',
  close: '#8e8e8e',
} as const

function rising(...steps: readonly (readonly [from: number, color: string])[]): Scale {
  return [{ value: null, color: GREEN }, ...steps.map(([value, color]) => ({ value, color }))]
}

function lines(...steps: readonly (readonly [from: number, color: string])[]): Scale {
  return [
    { value: null, color: 'transparent' },
    ...steps.map(([value, color]) => ({ value, color })),
  ]
}

/** Past half a connect() may be slow; 80 % and 95 % are the alerts'. */
export const utilizationScale = rising([0.5, YELLOW], [0.8, ORANGE], [0.95, RED])
export const riskScale = rising([0.05, YELLOW], [0.2, ORANGE], [0.75, RED])
/** As lines in a graph: only where an alert is. */
export const alertLines = lines([0.8, ORANGE], [0.95, RED])
export const riskLines = lines([0.2, ORANGE], [0.75, RED])
export const conntrackLines = lines([0.9, ORANGE])
export const natFailureLines = lines([0.5, RED])
export const anyIsBad = rising([1, RED])
export const anyRateIsBad = rising([1e-9, RED])
export const anyIsOdd = rising([1, ORANGE])
/** Of seconds left; NOT_AHEAD is below all of them, and shown as a text. */
export const NOT_AHEAD = -1
export const etaScale: Scale = [
  { value: null, color: RED },
  { value: 900, color: ORANGE },
  { value: 1800, color: YELLOW },
  { value: 14_400, color: GREEN },
]
/** Of seconds since a sample. */
export const ageScale = rising([30, ORANGE], [60, RED])
export const goodIfOne: Scale = [
  { value: null, color: RED },
  { value: 1, color: GREEN },
]

/** What the builders of all kinds of panels have in common. */
export interface Colorable {
  thresholds(thresholds: Builder<ThresholdsConfig>): unknown
  colorScheme(color: Builder<FieldColor>): unknown
}

export function thresholdsOf(scale: Scale): ThresholdsConfigBuilder {
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([...scale])
}

/**
 * Numbers take the color of their scale. Lines keep one of their own, so that they can be told apart: by their order, or by
 * their name where it stands in several graphs.
 */
export function colors(
  panel: Colorable,
  scale: Scale | undefined,
  kind: 'instant' | 'range' | 'table',
  byName = false,
): void {
  const isGraph = kind === 'range' && scale === undefined
  const palette = byName ? FieldColorModeId.PaletteClassicByName : FieldColorModeId.PaletteClassic
  panel.colorScheme(new FieldColorBuilder().mode(isGraph ? palette : FieldColorModeId.Thresholds))
  panel.thresholds(thresholdsOf(scale ?? [{ value: null, color: isGraph ? GREEN : 'text' }]))
}
