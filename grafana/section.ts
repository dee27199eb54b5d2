// What a dashboard is made of: rows of panels.

import type { PanelBuilder } from './panels.ts'

/** A row and its panels; a folded one asks for its data only when it is opened. */
export interface Section {
  readonly title: string
  readonly folded?: boolean
  readonly panels: readonly PanelBuilder[]
}
