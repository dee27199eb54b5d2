// The table of the destinations whose ports ran out, and of who asked: one for the fleet and one for a namespace.

import { anyIsBad } from './scales.ts'
import { type Column, type TableOptions, tablePanel } from './tables.ts'

export interface RefusedOptions extends Pick<TableOptions, 'title' | 'width' | 'height'> {
  /** The counter, as far as the page is about it. */
  readonly failed: string
  /** Labels beside destination and owner that tell the rows apart. */
  readonly by?: readonly string[]
  /** The columns of these. */
  readonly place?: readonly Column[]
  /** Makes the labels that links need. */
  readonly link?: (expression: string) => string
}

export function refusedTable({ failed, by = [], place = [], link, ...options }: RefusedOptions) {
  const labels = [...by, 'destination', 'owner'].join(', ')
  const worst = `topk(20, sum by (${labels}) (increase(${failed}[$__range])) > 0)`
  return tablePanel({
    ...options,
    description:
      'connect() calls that failed for want of a port in the time shown, by destination and owner; the 20 with the most. ' +
      'Empty when none failed, or where failures cannot be observed (see Refused).',
    unit: 'none',
    queries: [{ expr: link === undefined ? worst : link(worst) }],
    columns: [
      {
        value: 0,
        title: 'Failed',
        unit: 'locale',
        decimals: 0,
        scale: anyIsBad,
        look: 'color',
        width: 90,
      },
      { label: 'destination', minWidth: 165 },
      { label: 'owner', minWidth: 165 },
      ...place,
    ],
    sortBy: [['Failed', 'desc']],
    runbook: 'EphemeralPortAllocationsFailing',
  })
}
